/* The reading peer: sink_peer [BYTES_PER_SECOND [RECEIVE_BUFFER]]. Accepts one connection after the other and discards
 * what it reads, as fast as it can (rate 0) or at a fixed rate. A small receive buffer lets the writer feel the rate
 * soon.
 *
 * It is woken when 64 KiB are there, not by each write: waking a sleeping reader on another CPU costs a writer of
 * 64 bytes five times the write itself, and that would hide what the measured program does.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

static char discard[256 * 1024];

static void sleep_until(double when) {
  struct timespec ts;
  ts.tv_sec = (time_t)when;
  ts.tv_nsec = (long)((when - (double)ts.tv_sec) * 1e9);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) continue;
}

static void drain(int fd, double rate) {
  double start = bench_wall(), total = 0;
  size_t step = rate > 0 ? 32 * 1024 : sizeof discard;
  for (;;) {
    ssize_t n = read(fd, discard, step);
    if (n <= 0) return;
    total += (double)n;
    if (rate > 0) sleep_until(start + total / rate);
  }
}

int main(int argc, char **argv) {
  double rate = bench_number(argc, argv, 1, 0);
  bench_init();
  bench_pin_peer();
  int low_water = 64 * 1024, listener = bench_listen(bench_int(argc, argv, 2, 0));
  if (rate <= 0)
    bench_check(setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water) == 0, "SO_RCVLOWAT");
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bench_check(fd >= 0, "accept");
    drain(fd, rate);
    close(fd);
  }
}
