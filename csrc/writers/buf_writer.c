/* SPDX-License-Identifier: MIT */
/* buf_writer: collects small writes in front of another writer, as tokio's BufWriter (B1-B7, F5, V6). A wrapper. */
#include "asyncwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buf_writer {
  aw_writer w;
  char *buf; /* buf[done, len) waits for inner */
  size_t capacity, done, len;
};

/* Moves everything to inner. On an error exactly what inner took is dropped, so a later call resumes (F5). */
static int drain(struct buf_writer *self, aw_waker *waker) {
  while (self->done < self->len) {
    uv_buf_t rest = {.base = self->buf + self->done, .len = self->len - self->done};
    ssize_t n = aw_poll_write(self->w.inner, waker, &rest, 1);
    if (n < 0) return (int)n;
    if (n == 0) return AW_EWRITEZERO;
    self->done += (size_t)n;
    self->w.buffered -= (size_t)n;
  }
  self->done = self->len = 0;
  return 0;
}

static size_t total(const uv_buf_t *bufs, unsigned nbufs) {
  size_t sum = 0;
  for (unsigned i = 0; i < nbufs; i++) sum = bufs[i].len > SIZE_MAX - sum ? SIZE_MAX : sum + bufs[i].len;
  return sum;
}

static void append(struct buf_writer *self, const uv_buf_t *buf) {
  if (buf->len == 0) return;
  memcpy(self->buf + self->len, buf->base, buf->len);
  self->len += buf->len;
  self->w.buffered += buf->len;
}

/* How many leading buffers fit into what is free, for an inner that takes one buffer at a time (V6). */
static unsigned fitting(const struct buf_writer *self, const uv_buf_t *bufs, unsigned nbufs) {
  size_t room = self->capacity - self->len;
  unsigned n = 0;
  while (n < nbufs && bufs[n].len <= room) room -= bufs[n++].len;
  return n;
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct buf_writer *self = (struct buf_writer *)w;
  if (nbufs == 1 && bufs->len < self->capacity - self->len) {
    append(self, bufs);
    return (ssize_t)bufs->len;
  }
  bool whole = nbufs == 1 || aw_is_write_vectored(w->inner);
  size_t need = whole ? total(bufs, nbufs) : bufs[0].len;
  if (need > self->capacity - self->len) {
    int rc = drain(self, waker);
    if (rc < 0) return rc;
  }
  if (need >= self->capacity) return aw_poll_write(w->inner, waker, bufs, whole ? nbufs : 1);
  if (!whole) nbufs = fitting(self, bufs, nbufs);
  for (unsigned i = 0; i < nbufs; i++) append(self, &bufs[i]);
  return (ssize_t)total(bufs, nbufs);
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  int rc = drain((struct buf_writer *)w, waker);
  return rc < 0 ? rc : aw_poll_flush(w->inner, waker);
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  int rc = drain((struct buf_writer *)w, waker);
  return rc < 0 ? rc : aw_poll_shutdown(w->inner, waker);
}

static void describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "buf_writer(%zu)", ((const struct buf_writer *)w)->capacity);
}

static void destroy(aw_writer *w) {
  free(((struct buf_writer *)w)->buf);
  free(w);
}

static const aw_writer_type type = {
    .name = "buf_writer",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = poll_flush,
    .poll_shutdown = poll_shutdown,
    .describe = describe,
    .destroy = destroy,
};

const char *aw_buf_writer_data(const aw_writer *w, size_t *len) {
  if (w->type != &type) return NULL;
  const struct buf_writer *self = (const struct buf_writer *)w;
  *len = self->len - self->done;
  return self->buf + self->done;
}

int aw_buf_writer_new(aw_writer **out, aw_writer *inner, size_t capacity) {
  if (capacity > INT32_MAX) return UV_EINVAL;
  struct buf_writer *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->buf = malloc(capacity ? capacity : 1);
  if (self->buf == NULL) goto fail;
  self->capacity = capacity;
  aw_writer_init(&self->w, &type, inner);
  *out = &self->w;
  return 0;
fail:
  free(self);
  return UV_ENOMEM;
}
