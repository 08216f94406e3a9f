/* SPDX-License-Identifier: MIT */
/* buf_reader: reads ahead, for reading by lines and small pieces, as tokio's BufReader. A wrapper of a reader.
 * The buffer is held only while it has bytes: an idle connection costs none. */
#include "asyncwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buf_reader {
  aw_reader r;
  char *buf; /* buf[pos, len) is read ahead */
  size_t capacity, size, pos, len;
  size_t scanned; /* bytes after pos known to hold no `sought`: a long line is searched once */
  size_t sought_len;
  char sought[16]; /* the delimiter of the search that was cut short; a longer one is not remembered */
};

static void release(struct buf_reader *self) {
  free(self->buf);
  self->buf = NULL;
  self->size = self->pos = self->len = 0;
}

/* Makes room for at least one more byte without losing what is buffered. */
static int make_room(struct buf_reader *self) {
  if (self->pos > 0 && (self->pos == self->len || self->len == self->size)) {
    memmove(self->buf, self->buf + self->pos, self->len - self->pos);
    self->len -= self->pos, self->pos = 0;
  }
  if (self->len < self->size) return 0;
  size_t size = self->size ? self->size * 2 : self->capacity;
  char *buf = realloc(self->buf, size);
  if (buf == NULL) return UV_ENOMEM;
  self->buf = buf, self->size = size;
  return 0;
}

/* Reads once from inner behind what is buffered. */
static ssize_t more(struct buf_reader *self, aw_waker *waker) {
  int rc = make_room(self);
  if (rc < 0) return rc;
  ssize_t n = aw_poll_read(self->r.inner, waker, self->buf + self->len, self->size - self->len);
  if (n > 0) self->len += (size_t)n;
  if (self->pos == self->len) release(self);
  return n;
}

static const char *find(const char *data, size_t len, const char *delim, size_t dlen) {
  return dlen == 1 ? memchr(data, delim[0], len) : memmem(data, len, delim, dlen);
}

/* The next search may be for another delimiter, which may be in what the last one has passed over. */
static void seek(struct buf_reader *self, const char *delim, size_t dlen) {
  if (dlen == self->sought_len && memcmp(delim, self->sought, dlen) == 0) return;
  self->scanned = 0;
  self->sought_len = dlen <= sizeof self->sought ? dlen : 0;
  memcpy(self->sought, delim, self->sought_len);
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct buf_reader *self = (struct buf_reader *)r;
  if (self->pos == self->len && len >= self->capacity) return aw_poll_read(r->inner, waker, base, len);
  const char *data;
  ssize_t n = aw_buf_reader_poll_fill(r, waker, &data);
  if (n <= 0) return n;
  if ((size_t)n > len) n = (ssize_t)len;
  memcpy(base, data, (size_t)n);
  aw_buf_reader_consume(r, (size_t)n);
  return n;
}

static void describe(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "buf_reader(%zu)", ((const struct buf_reader *)r)->capacity);
}

static const char *held(const aw_reader *r, size_t *len) { return aw_buf_reader_data(r, len); }

static void destroy(aw_reader *r) {
  free(((struct buf_reader *)r)->buf);
  free(r);
}

static const aw_reader_type type = {
    .name = "buf_reader",
    .poll_read = poll_read,
    .describe = describe,
    .held = held,
    .destroy = destroy,
};

bool aw_is_buf_reader(const aw_reader *r) { return r->type == &type; }

ssize_t aw_buf_reader_poll_fill(aw_reader *r, aw_waker *waker, const char **data) {
  struct buf_reader *self = (struct buf_reader *)r;
  if (self->pos == self->len) {
    ssize_t n = more(self, waker);
    if (n <= 0) return n;
  }
  *data = self->buf + self->pos;
  return (ssize_t)(self->len - self->pos);
}

void aw_buf_reader_consume(aw_reader *r, size_t n) {
  struct buf_reader *self = (struct buf_reader *)r;
  size_t have = self->len - self->pos;
  if (n > have) n = have;
  self->pos += n;
  self->scanned = 0;
  if (self->pos == self->len) self->pos = self->len = 0;
}

const char *aw_buf_reader_data(const aw_reader *r, size_t *len) {
  const struct buf_reader *self = (const struct buf_reader *)r;
  *len = self->len - self->pos;
  return *len ? self->buf + self->pos : "";
}

ssize_t aw_buf_reader_poll_until(aw_reader *r, aw_waker *waker, const char *delim, size_t dlen, size_t max,
                                 const char **data) {
  struct buf_reader *self = (struct buf_reader *)r;
  seek(self, delim, dlen);
  for (;;) {
    size_t have, skip = self->scanned;
    const char *start = aw_buf_reader_data(r, &have);
    const char *hit = have >= skip + dlen ? find(start + skip, have - skip, delim, dlen) : NULL;
    if (hit && (size_t)(hit - start) + dlen <= max) {
      *data = start;
      return hit - start + (ssize_t)dlen;
    }
    if (hit || have >= max) return UV_EMSGSIZE;
    self->scanned = have >= dlen ? have - dlen + 1 : 0;
    ssize_t n = more(self, waker);
    if (n < 0) return n;
    if (n == 0) {
      *data = aw_buf_reader_data(r, &have);
      return (ssize_t)have;
    }
  }
}

int aw_buf_reader_new(aw_reader **out, aw_reader *inner, size_t capacity) {
  if (capacity == 0 || capacity > INT32_MAX) return UV_EINVAL;
  struct buf_reader *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_reader_init(&self->r, &type, inner);
  self->capacity = capacity;
  *out = &self->r;
  return 0;
}
