/* SPDX-License-Identifier: MIT */
/* empty: accepts everything, and is at its end for who reads, as tokio's io::empty (M6). A leaf. */
#include "asyncwrite.h"

#include <stdlib.h>

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  (void)w, (void)waker;
  size_t n = 0;
  for (unsigned i = 0; i < nbufs; i++) n += bufs[i].len;
  return (ssize_t)n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  (void)r, (void)waker, (void)base, (void)len;
  return 0;
}

static void destroy(aw_writer *w) { free(w); }

static void destroy_reader(aw_reader *r) { free(r); }

static const aw_writer_type type = {
    .name = "empty",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = aw_ready,
    .poll_shutdown = aw_ready,
    .describe = aw_describe_name,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "empty",
    .poll_read = poll_read,
    .describe = aw_reader_describe_name,
    .destroy = destroy_reader,
};

int aw_empty_new(aw_stream *out) {
  aw_stream s = {.w = malloc(sizeof *s.w), .r = malloc(sizeof *s.r)};
  if (s.w == NULL || s.r == NULL) goto fail;
  aw_writer_init(s.w, &type, NULL);
  aw_reader_init(s.r, &reader_type, NULL);
  *out = s;
  return 0;
fail:
  free(s.w), free(s.r);
  return UV_ENOMEM;
}
