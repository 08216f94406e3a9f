/* The echoing peer of the ping-pong: sends each byte back and times the cycle from one arrival to the next, which is
 * the whole round trip with all that the client does in it. Client and floor are so timed by the same clock, and the
 * client pays for none. One "RESULT" line per connection.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#define MAX_SAMPLES (1 << 20)
#define WARM_UP 2000

static unsigned samples[MAX_SAMPLES];

static int compare(const void *a, const void *b) {
  unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
  return (x > y) - (x < y);
}

static long now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static size_t echo(int fd) {
  long last = 0, seen = 0;
  size_t count = 0;
  char byte;
  while (read(fd, &byte, 1) == 1) {
    long now = now_ns();
    if (++seen > WARM_UP && count < MAX_SAMPLES) samples[count++] = (unsigned)(now - last);
    last = now;
    if (write(fd, &byte, 1) != 1) break;
  }
  return count;
}

static void report(size_t n) {
  if (n == 0) {
    puts("RESULT n=0");
    return;
  }
  qsort(samples, n, sizeof *samples, compare);
  printf("RESULT n=%zu p50_us=%.3f p90_us=%.3f p99_us=%.3f\n", n, samples[n / 2] / 1e3, samples[n * 9 / 10] / 1e3,
         samples[n * 99 / 100] / 1e3);
}

int main(void) {
  bench_init();
  bench_pin_peer();
  int listener = bench_listen(0);
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bench_check(fd >= 0, "accept");
    bench_nodelay(fd);
    size_t n = echo(fd);
    close(fd);
    report(n);
  }
}
