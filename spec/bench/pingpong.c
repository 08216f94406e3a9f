/* The floor of the ping-pong: pingpong PORT COUNT. One byte out, epoll_wait, one byte in: three system calls per
 * round trip, as few as a program with an event loop can do. echo_peer takes the time.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

int main(int argc, char **argv) {
  int i, count = bench_int(argc, argv, 2, 100000);
  struct epoll_event ev;
  char byte = 'x';
  bench_init();
  int fd = bench_connect(bench_int(argc, argv, 1, 0));
  int ep = epoll_create1(EPOLL_CLOEXEC);
  bench_nodelay(fd);
  bench_nonblock(fd);
  bench_epoll_add(ep, fd, EPOLLIN, NULL);
  double cpu = bench_cpu();
  for (i = 0; i < count; i++) {
    bench_check(write(fd, &byte, 1) == 1, "write");
    do bench_check(epoll_wait(ep, &ev, 1, -1) >= 0 || errno == EINTR, "epoll_wait");
    while (read(fd, &byte, 1) != 1);
  }
  cpu = bench_cpu() - cpu;
  bench_finish(fd);
  printf("RESULT cpu=%.6f ops=%d\n", cpu, count);
  return 0;
}
