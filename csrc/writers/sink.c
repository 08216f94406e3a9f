/* SPDX-License-Identifier: MIT */
/* sink: accepts everything without looking at it, as tokio's io::sink (M6). A leaf. */
#include "asyncwrite.h"

#include <stdlib.h>

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  (void)w, (void)waker;
  size_t n = 0;
  for (unsigned i = 0; i < nbufs; i++) n += bufs[i].len;
  return (ssize_t)n;
}

static void destroy(aw_writer *w) { free(w); }

static const aw_writer_type type = {
    .name = "sink",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = aw_ready,
    .poll_shutdown = aw_ready,
    .describe = aw_describe_name,
    .destroy = destroy,
};

int aw_sink_new(aw_writer **out) {
  aw_writer *w = calloc(1, sizeof *w);
  if (w == NULL) return UV_ENOMEM;
  aw_writer_init(w, &type, NULL);
  *out = w;
  return 0;
}
