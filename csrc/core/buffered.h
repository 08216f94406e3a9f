/* SPDX-License-Identifier: MIT */
/* A writer that holds bytes back in front of another: the inside of buf_writer and line_writer (B1-B8, F5, V6). */
#ifndef AW_BUFFERED_H
#define AW_BUFFERED_H

#include "asyncwrite.h"

#include <string.h>

struct aw_buffered {
  aw_writer w;
  char *buf; /* buf[done, len) waits for inner */
  size_t capacity, done, len;
};

/* Room for len bytes must be there. */
static inline void aw_buffered_append(struct aw_buffered *self, const char *base, size_t len) {
  if (len == 0) return;
  memcpy(self->buf + self->len, base, len);
  self->len += len;
  self->w.buffered += len;
}

int aw_buffered_drain(struct aw_buffered *self, aw_waker *waker);
ssize_t aw_buffered_write(struct aw_buffered *self, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);

/* Slots of the types. describe: "name(capacity)". */
int aw_buffered_poll_flush(aw_writer *w, aw_waker *waker);
int aw_buffered_poll_shutdown(aw_writer *w, aw_waker *waker);
void aw_buffered_describe(const aw_writer *w, char *text, size_t size);
const char *aw_buffered_held(const aw_writer *w, size_t *len);
void aw_buffered_destroy(aw_writer *w);

int aw_buffered_new(aw_writer **out, const aw_writer_type *type, aw_writer *inner, size_t capacity);

#endif
