/* SPDX-License-Identifier: MIT */
/* memory: collects what is written, as tokio's Vec<u8> (M5), up to a limit. A leaf. */
#include "asyncwrite.h"
#include "core/bytes.h"

#include <stdlib.h>
#include <string.h>

struct memory {
  aw_writer w;
  struct aw_bytes bytes;
};

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  (void)waker;
  struct aw_bytes *b = &((struct memory *)w)->bytes;
  size_t n = 0;
  for (unsigned i = 0; i < nbufs; i++) n += bufs[i].len;
  if (n == 0) return 0;
  if (n > b->limit - b->len) n = b->limit - b->len;
  if (n == 0) return UV_ENOBUFS;
  if (!aw_bytes_reserve(b, b->len + n)) return UV_ENOMEM;
  size_t left = n;
  for (; left > 0; bufs++) {
    size_t part = bufs->len < left ? bufs->len : left;
    if (part > 0) memcpy(b->data + b->len, bufs->base, part);
    b->len += part, left -= part;
  }
  return (ssize_t)n;
}

static void destroy(aw_writer *w) {
  aw_bytes_free(&((struct memory *)w)->bytes);
  free(w);
}

static const aw_writer_type type = {
    .name = "memory",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = aw_ready,
    .poll_shutdown = aw_ready,
    .describe = aw_describe_name,
    .destroy = destroy,
};

const char *aw_memory_data(const aw_writer *w, size_t *len) {
  if (w->type != &type) return NULL;
  const struct memory *self = (const struct memory *)w;
  *len = self->bytes.len;
  return self->bytes.len ? self->bytes.data : "";
}

void aw_memory_clear(aw_writer *w) { aw_bytes_free(&((struct memory *)w)->bytes); }

int aw_memory_new(aw_writer **out, size_t limit) {
  if (limit == 0) return UV_EINVAL;
  struct memory *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, NULL);
  self->bytes.limit = limit;
  *out = &self->w;
  return 0;
}
