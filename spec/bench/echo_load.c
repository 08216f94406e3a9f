/* The load on an echo server: echo_load PORT CONNECTIONS MESSAGES. Opens all connections, lets them idle for a second
 * (the server takes its memory then), and keeps one message of 64 bytes on its way on each until all are back.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#define MESSAGE_SIZE 64
#define IDLE_SECONDS 1

struct conn {
  int fd;
  int left;        /* Messages yet to send, the one on its way not counted. */
  size_t expected; /* Bytes of it yet to come back. */
};

static const char message[MESSAGE_SIZE] = "a message of sixty-four bytes";
static int ep;

static void send_message(struct conn *c) {
  bench_check(write(c->fd, message, MESSAGE_SIZE) == MESSAGE_SIZE, "write");
  c->expected = MESSAGE_SIZE;
  c->left--;
}

/* Returns the messages that came back whole: 0 or 1. */
static int on_readable(struct conn *c) {
  char reply[MESSAGE_SIZE];
  ssize_t n = read(c->fd, reply, c->expected);
  if (n < 0 && errno == EAGAIN) return 0;
  bench_check(n > 0, "read");
  bench_check(memcmp(reply, message + (MESSAGE_SIZE - c->expected), (size_t)n) == 0, "echoed bytes differ");
  c->expected -= (size_t)n;
  if (c->expected) return 0;
  if (c->left) send_message(c);
  return 1;
}

static struct conn *open_all(int port, int count, int each) {
  struct conn *conns = calloc((size_t)count, sizeof *conns);
  int i;
  bench_check(conns != NULL, "calloc");
  for (i = 0; i < count; i++) {
    conns[i].fd = bench_connect(port);
    conns[i].left = each;
    bench_nodelay(conns[i].fd);
    bench_nonblock(conns[i].fd);
    bench_epoll_add(ep, conns[i].fd, EPOLLIN, &conns[i]);
  }
  return conns;
}

static void run(struct conn *conns, int count, long total) {
  static struct epoll_event events[1024];
  long done = 0;
  int i;
  for (i = 0; i < count; i++) send_message(&conns[i]);
  while (done < total) {
    int n = epoll_wait(ep, events, 1024, -1);
    bench_check(n >= 0 || errno == EINTR, "epoll_wait");
    for (i = 0; i < n; i++) done += on_readable(events[i].data.ptr);
  }
}

int main(int argc, char **argv) {
  int count = bench_int(argc, argv, 2, 2000), each = bench_int(argc, argv, 3, 400000) / count;
  long total = (long)count * each;
  bench_init();
  bench_pin_peer();
  ep = epoll_create1(EPOLL_CLOEXEC);
  struct conn *conns = open_all(bench_int(argc, argv, 1, 0), count, each);
  sleep(IDLE_SECONDS);
  double wall = bench_wall();
  run(conns, count, total);
  wall = bench_wall() - wall;
  free(conns);
  printf("RESULT wall=%.6f ops=%ld\n", wall, total);
  return 0;
}
