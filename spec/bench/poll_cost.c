/* The floor of a poll: poll_cost KIND COUNT. Calls poll_write of a vtable, known only at run time, with 64 bytes.
 *
 * KIND sink    counts the bytes
 *      memory  appends them to a buffer that doubles, a new one every ROUND polls
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#define ROUND 16384
#define SIZE 64

struct writer;

struct writer_type {
  const char *name;
  ssize_t (*poll_write)(struct writer *w, const struct iovec *bufs, unsigned nbufs);
};

struct writer {
  const struct writer_type *type;
  char *data;
  size_t len, size;
};

static ssize_t sink_poll_write(struct writer *w, const struct iovec *bufs, unsigned nbufs) {
  size_t n = 0;
  unsigned i;
  for (i = 0; i < nbufs; i++) n += bufs[i].iov_len;
  w->len += n;
  return (ssize_t)n;
}

static ssize_t memory_poll_write(struct writer *w, const struct iovec *bufs, unsigned nbufs) {
  size_t n = 0;
  unsigned i;
  for (i = 0; i < nbufs; i++) {
    if (bufs[i].iov_len > w->size - w->len) {
      w->size = (w->size + bufs[i].iov_len) * 2;
      w->data = realloc(w->data, w->size);
      bench_check(w->data != NULL, "realloc");
    }
    memcpy(w->data + w->len, bufs[i].iov_base, bufs[i].iov_len);
    w->len += bufs[i].iov_len;
    n += bufs[i].iov_len;
  }
  return (ssize_t)n;
}

static const struct writer_type types[] = {{"sink", sink_poll_write}, {"memory", memory_poll_write}};

int main(int argc, char **argv) {
  static char text[SIZE];
  const char *kind = argc > 1 ? argv[1] : "sink";
  double bytes = 0;
  long round, rounds = (long)bench_number(argc, argv, 2, 2e7) / ROUND;
  bench_init();
  double cpu = bench_cpu();
  for (round = 0; round < rounds; round++) {
    struct writer *w = calloc(1, sizeof *w);
    int i;
    bench_check(w != NULL, "calloc");
    w->type = &types[strcmp(kind, "memory") == 0];
    for (i = 0; i < ROUND; i++) {
      struct iovec buf = {text, SIZE};
      bench_check(w->type->poll_write(w, &buf, 1) == SIZE, "poll_write");
    }
    bytes += (double)w->len;
    free(w->data);
    free(w);
  }
  cpu = bench_cpu() - cpu;
  printf("RESULT cpu=%.6f ops=%ld bytes=%.0f\n", cpu, rounds * ROUND, bytes);
  return 0;
}
