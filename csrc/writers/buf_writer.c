/* SPDX-License-Identifier: MIT */
/* buf_writer: collects small writes in front of another writer, as tokio's BufWriter (B1-B7, F5, V6). A wrapper. */
#include "core/buffered.h"

#include <string.h>

/* One buffer that fits is the common case, and short: it runs for every small write. */
static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct aw_buffered *self = (struct aw_buffered *)w;
  size_t n = bufs->len, at = self->len;
  if (nbufs != 1 || n > self->capacity - at || n == 0 || n == self->capacity)
    return aw_buffered_write(self, waker, bufs, nbufs);
  self->len = at + n;
  self->w.buffered += n;
  memcpy(self->buf + at, bufs->base, n);
  return (ssize_t)n;
}

static const aw_writer_type type = {
    .name = "buf_writer",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = aw_buffered_poll_flush,
    .poll_shutdown = aw_buffered_poll_shutdown,
    .describe = aw_buffered_describe,
    .held = aw_buffered_held,
    .destroy = aw_buffered_destroy,
};

int aw_buf_writer_new(aw_writer **out, aw_writer *inner, size_t capacity) {
  return aw_buffered_new(out, &type, inner, capacity);
}
