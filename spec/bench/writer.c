/* The floor of every writing benchmark: writer PORT MODE CHUNK TOTAL [NODELAY].
 *
 * MODE plain     one write of CHUNK bytes after the other
 *      blocking  the same on a blocking socket, to see what the event loop costs (not a floor)
 *      buffered  chunks copied into a buffer of 8 KiB, written out when the next does not fit (tokio's BufWriter)
 *      vectored  a header of 16 bytes and CHUNK bytes, by one writev
 *
 * The socket does not block, and a full one is waited for with epoll, as a program with an event loop must.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"
#include "out.h"

#define HEADER_SIZE 16

static char payload[1024 * 1024];
static char header[HEADER_SIZE];

static void writev_all(struct out *out, struct iovec *iov, int count) {
  while (count) {
    ssize_t n = writev(out->fd, iov, count);
    if (n < 0) {
      bench_check(errno == EAGAIN, "writev");
      out_wait_for_room(out);
      continue;
    }
    for (; count && (size_t)n >= iov->iov_len; iov++, count--) n -= (ssize_t)iov->iov_len;
    if (count) {
      iov->iov_base = (char *)iov->iov_base + n;
      iov->iov_len -= (size_t)n;
    }
  }
}

static void write_pair(struct out *out, size_t len) {
  struct iovec iov[2] = {{header, HEADER_SIZE}, {payload, len}};
  writev_all(out, iov, 2);
}

static void pump(struct out *out, const char *mode, size_t chunk, double count) {
  long i, n = (long)count;
  if (strcmp(mode, "buffered") == 0) {
    for (i = 0; i < n; i++) out_write_buffered(out, payload, chunk);
    out_flush(out);
  } else if (strcmp(mode, "vectored") == 0) {
    for (i = 0; i < n; i++) write_pair(out, chunk);
  } else {
    for (i = 0; i < n; i++) out_write_all(out, payload, chunk);
  }
}

int main(int argc, char **argv) {
  static struct out out;
  const char *mode = argc > 2 ? argv[2] : "plain";
  size_t chunk = (size_t)bench_int(argc, argv, 3, 65536);
  size_t each = chunk + (strcmp(mode, "vectored") == 0 ? HEADER_SIZE : 0);
  double count = bench_number(argc, argv, 4, 1e9) / (double)each;
  bench_init();
  memset(payload, 'p', sizeof payload);
  memset(header, 'h', sizeof header);
  out.fd = bench_connect(bench_int(argc, argv, 1, 0));
  out.ep = -1;
  if (strcmp(mode, "blocking") != 0) bench_nonblock(out.fd);
  if (bench_int(argc, argv, 5, 0)) bench_nodelay(out.fd);
  bench_reset_peak();
  long rss = bench_status_kb("VmRSS:");
  double user = bench_user(), wall = bench_wall(), cpu = bench_cpu();
  pump(&out, mode, chunk, count);
  cpu = bench_cpu() - cpu;
  wall = bench_wall() - wall;
  user = bench_user() - user;
  long peak = bench_status_kb("VmHWM:");
  bench_finish(out.fd);
  printf("RESULT cpu=%.6f user=%.6f wall=%.6f ops=%ld bytes=%.0f grown_kb=%ld\n", cpu, user, wall, (long)count,
         (double)(long)count * (double)each, peak - rss);
  return 0;
}
