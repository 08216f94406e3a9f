/* The peer of the wake-up latency: sends the time in nanoseconds, 8 bytes little-endian, after pauses of 0.5 to 3 ms.
 * What stands in the way of the receiver's task is its delay. stamp_peer COUNT, per connection.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

static void pause_a_while(unsigned *seed) {
  struct timespec ts = {0, 500000 + (long)rand_r(seed) % 2500000};
  nanosleep(&ts, NULL);
}

static void stamp(int fd, int count) {
  unsigned seed = 1;
  for (int i = 0; i < count; i++) {
    pause_a_while(&seed);
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    unsigned char bytes[8];
    for (int k = 0; k < 8; k++) bytes[k] = (unsigned char)(now >> (8 * k));
    if (write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes) return;
  }
}

int main(int argc, char **argv) {
  bench_init();
  bench_pin_peer();
  int count = bench_int(argc, argv, 1, 1000), listener = bench_listen(0);
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bench_check(fd >= 0, "accept");
    bench_nodelay(fd);
    stamp(fd, count);
    close(fd);
  }
}
