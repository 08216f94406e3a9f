/* SPDX-License-Identifier: MIT */
/* line_writer: hands whole lines on at once and keeps the last, unfinished one, as std's LineWriter (B8-B10). Like that
 * it only writes to inner, it does not flush it (B9). A wrapper. */
#include "core/buffered.h"
#include "core/chain.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Bytes up to and with the last newline; 0: there is none. (Not everybody has memrchr.) */
static size_t lines_in(const char *base, size_t len) {
  if (len == 0 || memchr(base, '\n', len) == NULL) return 0;
  while (base[len - 1] != '\n') len--;
  return len;
}

/* Buffers what fits of these bytes. Nothing is held back when it is called. */
static size_t keep(struct aw_buffered *self, const char *base, size_t len) {
  len = smaller(len, self->capacity - self->len);
  aw_buffered_append(self, base, len);
  return len;
}

/* A write that ends no line: a line that waits complete goes out before, the rest is as in a buf_writer. An empty write
 * tries to send that line and does not wait for it (P5). */
static ssize_t write_unfinished(struct aw_buffered *self, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  if (self->len > self->done && self->buf[self->len - 1] == '\n') {
    bool empty = aw_bufs_total(bufs, nbufs) == 0;
    int rc = aw_buffered_drain(self, empty ? NULL : waker);
    if (rc < 0) return empty && rc == AW_PENDING ? 0 : rc;
  }
  return aw_buffered_write(self, waker, bufs, nbufs);
}

static ssize_t write_one(struct aw_buffered *self, aw_waker *waker, const uv_buf_t *buf) {
  size_t lines = lines_in(buf->base, buf->len);
  if (lines == 0) return write_unfinished(self, waker, buf, 1);
  int rc = aw_buffered_drain(self, waker);
  if (rc < 0) return rc;
  uv_buf_t whole = {.base = buf->base, .len = lines};
  ssize_t n = aw_poll_write(self->w.inner, waker, &whole, 1);
  if (n <= 0) return n;
  const char *rest = buf->base + n;
  size_t done = (size_t)n;
  if (done == lines) return n + (ssize_t)keep(self, rest, buf->len - done);
  /* Short: whole lines are kept if one ends within the capacity, so that the buffer ends like a line again. */
  size_t len = lines - done;
  if (len > self->capacity) {
    size_t fit = lines_in(rest, self->capacity);
    len = fit > 0 ? fit : self->capacity;
  }
  return n + (ssize_t)keep(self, rest, len);
}

/* The last buffer with a newline goes out whole, with all before it; what comes after is kept. */
static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct aw_buffered *self = (struct aw_buffered *)w;
  if (nbufs == 1) return write_one(self, waker, bufs);
  unsigned split = nbufs;
  while (split > 0 && lines_in(bufs[split - 1].base, bufs[split - 1].len) == 0) split--;
  if (split == 0) return write_unfinished(self, waker, bufs, nbufs);
  int rc = aw_buffered_drain(self, waker);
  if (rc < 0) return rc;
  ssize_t n = aw_poll_write(w->inner, waker, bufs, split);
  if (n <= 0) return n;
  size_t left = (size_t)n;
  for (unsigned i = 0; i < split; i++) {
    if (left < bufs[i].len) return n;
    left -= bufs[i].len;
  }
  for (unsigned i = split; i < nbufs; i++) n += (ssize_t)keep(self, bufs[i].base, bufs[i].len);
  return n;
}

static const aw_writer_type type = {
    .name = "line_writer",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_buffered_poll_flush,
    .poll_shutdown = aw_buffered_poll_shutdown,
    .describe = aw_buffered_describe,
    .held = aw_buffered_held,
    .destroy = aw_buffered_destroy,
};

int aw_line_writer_new(aw_writer **out, aw_writer *inner, size_t capacity) {
  return aw_buffered_new(out, &type, inner, capacity);
}
