/* SPDX-License-Identifier: MIT */
/* buf_writer: collects small writes in front of another writer, as tokio's BufWriter (B1-B7, F5, V6). A wrapper. */
#include "core/buffered.h"

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct aw_buffered *self = (struct aw_buffered *)w;
  if (nbufs == 1 && bufs->len < self->capacity - self->len) {
    aw_buffered_append(self, bufs->base, bufs->len);
    return (ssize_t)bufs->len;
  }
  return aw_buffered_write(self, waker, bufs, nbufs);
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
