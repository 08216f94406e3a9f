/* SPDX-License-Identifier: MIT */
/* cursor: bytes with a position that writes go over and reads come from, as std's Cursor (M5). A leaf; both halves
 * share one position. It is also the buffer that write_buf and write_all_buf advance (A4, A5). */
#include "asyncwrite.h"
#include "core/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
  aw_writer w;
  aw_reader r;
  struct aw_bytes bytes;
  size_t pos;
  unsigned halves;
};

static struct cursor *of_reader(aw_reader *r) { return (struct cursor *)((char *)r - offsetof(struct cursor, r)); }

static size_t left(const struct cursor *self) { return self->pos < self->bytes.len ? self->bytes.len - self->pos : 0; }

static void put(struct cursor *self, const char *base, size_t len) {
  struct aw_bytes *b = &self->bytes;
  if (self->pos > b->len) memset(b->data + b->len, 0, self->pos - b->len);
  memcpy(b->data + self->pos, base, len);
  self->pos += len;
  if (self->pos > b->len) b->len = self->pos;
}

static void release(struct cursor *self) {
  if (--self->halves > 0) return;
  aw_bytes_free(&self->bytes);
  free(self);
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  (void)waker;
  struct cursor *self = (struct cursor *)w;
  size_t n = 0, room = self->pos < self->bytes.limit ? self->bytes.limit - self->pos : 0;
  for (unsigned i = 0; i < nbufs; i++) n += bufs[i].len;
  if (n > room) n = room;
  if (n == 0) return 0;
  if (!aw_bytes_reserve(&self->bytes, self->pos + n)) return UV_ENOMEM;
  size_t todo = n;
  for (; todo > 0; bufs++) {
    size_t part = bufs->len < todo ? bufs->len : todo;
    if (part > 0) put(self, bufs->base, part);
    todo -= part;
  }
  return (ssize_t)n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  (void)waker;
  struct cursor *self = of_reader(r);
  size_t n = left(self) < len ? left(self) : len;
  if (n > 0) memcpy(base, self->bytes.data + self->pos, n);
  self->pos += n;
  return (ssize_t)n;
}

static void describe(const aw_writer *w, char *text, size_t size) {
  const struct cursor *self = (const struct cursor *)w;
  snprintf(text, size, "cursor(%zu/%zu)", self->pos, self->bytes.len);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  describe((const aw_writer *)((const char *)r - offsetof(struct cursor, r)), text, size);
}

static void destroy(aw_writer *w) { release((struct cursor *)w); }

static void destroy_reader(aw_reader *r) { release(of_reader(r)); }

static const aw_writer_type type = {
    .name = "cursor",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = aw_ready,
    .poll_shutdown = aw_ready,
    .describe = describe,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "cursor",
    .poll_read = poll_read,
    .describe = describe_reader,
    .destroy = destroy_reader,
};

uv_buf_t aw_cursor_chunk(const aw_writer *w) {
  const struct cursor *self = (const struct cursor *)w;
  char *base = left(self) ? self->bytes.data + self->pos : NULL;
  return (uv_buf_t){.base = base, .len = left(self)};
}

void aw_cursor_advance(aw_writer *w, size_t n) { ((struct cursor *)w)->pos += n; }

const char *aw_cursor_data(const aw_writer *w, size_t *len) {
  if (w->type != &type) return NULL;
  *len = ((const struct cursor *)w)->bytes.len;
  return *len ? ((const struct cursor *)w)->bytes.data : "";
}

size_t aw_cursor_position(const aw_writer *w) { return ((const struct cursor *)w)->pos; }

void aw_cursor_set_position(aw_writer *w, size_t position) { ((struct cursor *)w)->pos = position; }

int aw_cursor_new(aw_stream *out, const char *init, size_t len, size_t limit) {
  if (limit == 0 || len > limit) return UV_EINVAL;
  struct cursor *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->bytes.limit = limit;
  if (!aw_bytes_reserve(&self->bytes, len)) goto fail;
  if (len > 0) memcpy(self->bytes.data, init, len);
  self->bytes.len = len;
  self->halves = 2;
  aw_writer_init(&self->w, &type, NULL);
  aw_reader_init(&self->r, &reader_type, NULL);
  *out = (aw_stream){.w = &self->w, .r = &self->r};
  return 0;
fail:
  free(self);
  return UV_ENOMEM;
}
