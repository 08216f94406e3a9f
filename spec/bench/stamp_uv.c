/* The floor of the wake-up latency: plain uv_run and uv_read_start. stamp_uv PORT.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <uv.h>

#define MAX_SAMPLES (1 << 16)

static double samples[MAX_SAMPLES];
static size_t count;
static char bytes[4096];

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)handle, (void)suggested;
  *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  if (n < 0) {
    uv_close((uv_handle_t *)stream, NULL);
    return;
  }
  uint64_t now = uv_hrtime(), sent = 0;
  for (int k = 7; k >= 0; k--) sent = sent << 8 | (unsigned char)buf->base[k];
  if (n == 8 && count < MAX_SAMPLES) samples[count++] = (double)(now - sent) / 1e3;
}

static void on_connected(uv_connect_t *request, int status) {
  bench_check(status == 0, "connect");
  uv_read_start(request->handle, on_alloc, on_read);
}

int main(int argc, char **argv) {
  bench_init();
  struct sockaddr_in to = bench_loopback(bench_int(argc, argv, 1, 0));
  uv_tcp_t tcp;
  uv_connect_t request;
  uv_tcp_init(uv_default_loop(), &tcp);
  bench_check(uv_tcp_connect(&request, &tcp, (struct sockaddr *)&to, on_connected) == 0, "connect");
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  bench_check(count > 0, "no stamp came");
  qsort(samples, count, sizeof *samples, compare);
  printf("RESULT n=%zu p50_us=%.3f p99_us=%.3f cpu_us=%.3f\n", count, samples[count / 2], samples[count * 99 / 100],
         bench_cpu() * 1e6 / (double)count);
  return 0;
}
