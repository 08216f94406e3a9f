/* SPDX-License-Identifier: MIT */
/* A writer that holds bytes back in front of another. */
#include "core/buffered.h"
#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>

/* Moves everything to inner. On an error exactly what inner took is dropped, so a later call resumes (F5). */
int aw_buffered_drain(struct aw_buffered *self, aw_waker *waker) {
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

/* How many leading buffers fit into what is free, for an inner that takes one buffer at a time (V6). */
static unsigned fitting(const struct aw_buffered *self, const uv_buf_t *bufs, unsigned nbufs) {
  size_t room = self->capacity - self->len;
  unsigned n = 0;
  while (n < nbufs && bufs[n].len <= room) room -= bufs[n++].len;
  return n;
}

ssize_t aw_buffered_write(struct aw_buffered *self, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  bool whole = nbufs == 1 || aw_is_write_vectored(self->w.inner);
  size_t need = whole ? aw_bufs_total(bufs, nbufs) : bufs[0].len;
  if (need > self->capacity - self->len) {
    int rc = aw_buffered_drain(self, waker);
    if (rc < 0) return rc;
  }
  if (need >= self->capacity) return aw_poll_write(self->w.inner, waker, bufs, whole ? nbufs : 1);
  if (!whole) nbufs = fitting(self, bufs, nbufs);
  for (unsigned i = 0; i < nbufs; i++) aw_buffered_append(self, bufs[i].base, bufs[i].len);
  return (ssize_t)aw_bufs_total(bufs, nbufs);
}

int aw_buffered_poll_flush(aw_writer *w, aw_waker *waker) {
  int rc = aw_buffered_drain((struct aw_buffered *)w, waker);
  return rc < 0 ? rc : aw_poll_flush(w->inner, waker);
}

int aw_buffered_poll_shutdown(aw_writer *w, aw_waker *waker) {
  int rc = aw_buffered_drain((struct aw_buffered *)w, waker);
  return rc < 0 ? rc : aw_poll_shutdown(w->inner, waker);
}

void aw_buffered_describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "%s(%zu)", w->type->name, ((const struct aw_buffered *)w)->capacity);
}

const char *aw_buffered_held(const aw_writer *w, size_t *len) {
  const struct aw_buffered *self = (const struct aw_buffered *)w;
  *len = self->len - self->done;
  return self->buf + self->done;
}

void aw_buffered_destroy(aw_writer *w) {
  free(((struct aw_buffered *)w)->buf);
  free(w);
}

int aw_buffered_new(aw_writer **out, const aw_writer_type *type, aw_writer *inner, size_t capacity) {
  if (capacity > INT32_MAX) return UV_EINVAL;
  struct aw_buffered *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->buf = malloc(capacity ? capacity : 1);
  if (self->buf == NULL) goto fail;
  self->capacity = capacity;
  aw_writer_init(&self->w, type, inner);
  *out = &self->w;
  return 0;
fail:
  free(self);
  return UV_ENOMEM;
}
