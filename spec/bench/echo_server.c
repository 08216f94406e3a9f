/* The floor of the echo server: echo_server CONNECTIONS. Level-triggered epoll, one read buffer for all connections,
 * a small record for each; what a full socket does not take is kept until it does. Serves until all have gone.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"
#include <malloc.h>

struct conn {
  int fd;
  char *rest;
  size_t rest_len;
};

static char buffer[64 * 1024];
static int ep, listener, opened, closed, expected;
static size_t heap_empty, heap_idle;
static double cpu_start, cpu_accepted, cpu_idle, cpu_end;

/* What malloc has given out; glibc only. */
static size_t heap_used(void) {
#ifdef __GLIBC__
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

static void watch(struct conn *c, uint32_t events) {
  struct epoll_event ev;
  memset(&ev, 0, sizeof ev);
  ev.events = events;
  ev.data.ptr = c;
  bench_check(epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) == 0, "epoll_ctl");
}

static void on_connection(void) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  struct conn *c = calloc(1, sizeof *c);
  bench_check(c != NULL, "calloc");
  c->fd = fd;
  bench_epoll_add(ep, fd, EPOLLIN, c);
  if (++opened == expected) {
    cpu_accepted = bench_cpu() - cpu_start;
    heap_idle = heap_used();
    cpu_idle = bench_cpu();
  }
}

static void on_end(struct conn *c) {
  if (closed++ == 0) cpu_end = bench_cpu();
  close(c->fd);
  free(c->rest);
  free(c);
}

static void on_readable(struct conn *c) {
  ssize_t n = read(c->fd, buffer, sizeof buffer);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    on_end(c);
    return;
  }
  ssize_t sent = write(c->fd, buffer, (size_t)n);
  if (sent == n) return;
  bench_check(sent >= 0 || errno == EAGAIN, "write");
  size_t done = sent > 0 ? (size_t)sent : 0;
  c->rest_len = (size_t)n - done;
  c->rest = malloc(c->rest_len);
  bench_check(c->rest != NULL, "malloc");
  memcpy(c->rest, buffer + done, c->rest_len);
  watch(c, EPOLLOUT);
}

static void on_writable(struct conn *c) {
  ssize_t sent = write(c->fd, c->rest, c->rest_len);
  bench_check(sent >= 0 || errno == EAGAIN, "write");
  size_t done = sent > 0 ? (size_t)sent : 0;
  c->rest_len -= done;
  memmove(c->rest, c->rest + done, c->rest_len);
  if (c->rest_len == 0) {
    free(c->rest);
    c->rest = NULL;
    watch(c, EPOLLIN);
  }
}

static void turn(void) {
  static struct epoll_event events[1024];
  int i, n = epoll_wait(ep, events, 1024, -1);
  bench_check(n >= 0 || errno == EINTR, "epoll_wait");
  for (i = 0; i < n; i++) {
    struct conn *c = events[i].data.ptr;
    if (c == NULL) on_connection();
    else if (c->rest) on_writable(c);
    else on_readable(c);
  }
}

int main(int argc, char **argv) {
  expected = bench_int(argc, argv, 1, 2000);
  bench_init();
  ep = epoll_create1(EPOLL_CLOEXEC);
  listener = bench_listen(0);
  bench_nonblock(listener);
  bench_epoll_add(ep, listener, EPOLLIN, NULL);
  heap_empty = heap_used();
  cpu_start = bench_cpu();
  while (closed < expected) turn();
  printf("RESULT cpu=%.6f accept_cpu=%.6f idle_bytes=%.1f\n", cpu_end - cpu_idle, cpu_accepted,
         ((double)heap_idle - (double)heap_empty) / expected);
  return 0;
}
