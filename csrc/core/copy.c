/* SPDX-License-Identifier: MIT */
/* copy: a reader into a writer through one buffer, resumable at every poll (A7-A9). */
#include "asyncwrite.h"

#include <stdlib.h>

struct aw_copy {
  size_t size, pos, len; /* buf[pos, len) is read and not yet written */
  uint64_t total;
  char *buf; /* held only while it has bytes, so an idle copy costs nothing */
  bool eof, unflushed, shut_down;
  bool writing; /* the last poll was NotReady for the writer */
};

enum { BUDGET = 128 }; /* rounds before it yields, so that a copy that is always ready lets others run (W12) */

static int fill(struct aw_copy *self, aw_reader *r, aw_waker *waker) {
  if (self->buf == NULL && (self->buf = malloc(self->size)) == NULL) return UV_ENOMEM;
  ssize_t n = aw_poll_read(r, waker, self->buf + self->len, self->size - self->len);
  if (n < 0) return (int)n;
  if (n == 0) self->eof = true;
  self->len += (size_t)n;
  return 0;
}

static int drain(struct aw_copy *self, aw_writer *w, aw_waker *waker) {
  uv_buf_t rest = uv_buf_init(self->buf + self->pos, (unsigned)(self->len - self->pos));
  ssize_t n = aw_poll_write(w, waker, &rest, 1);
  if (n < 0) return (int)n;
  if (n == 0) return AW_EWRITEZERO;
  self->pos += (size_t)n;
  self->total += (uint64_t)n;
  self->unflushed = true;
  if (self->pos == self->len) self->pos = self->len = 0;
  return 0;
}

static void release(struct aw_copy *self) {
  free(self->buf);
  self->buf = NULL;
}

/* The reader has nothing now: what was written must not wait for it in a buffer below. */
static int stalled(struct aw_copy *self, aw_writer *w, aw_waker *waker) {
  release(self);
  if (!self->unflushed) return AW_PENDING;
  int rc = aw_poll_flush(w, waker);
  if (rc == 0) self->unflushed = false;
  self->writing = rc == AW_PENDING;
  return rc < 0 && rc != AW_PENDING ? rc : AW_PENDING;
}

static int finish(struct aw_copy *self, aw_writer *w, aw_waker *waker) {
  release(self);
  int rc = self->shut_down ? aw_poll_shutdown(w, waker) : aw_poll_flush(w, waker);
  self->writing = rc == AW_PENDING;
  return rc;
}

int aw_poll_copy(aw_copy *self, aw_reader *r, aw_writer *w, aw_waker *waker) {
  self->writing = false;
  for (int rounds = 0; rounds < BUDGET; rounds++) {
    int got = 0;
    if (!self->eof && self->len < self->size) got = fill(self, r, waker);
    if (got < 0 && got != AW_PENDING) return got;
    if (self->pos == self->len) {
      if (self->eof) return finish(self, w, waker);
      if (got == AW_PENDING) return stalled(self, w, waker);
      continue;
    }
    int rc = drain(self, w, waker);
    self->writing = rc == AW_PENDING && (got == AW_PENDING || self->eof || self->len == self->size);
    if (self->writing) return AW_PENDING;
    if (rc < 0 && rc != AW_PENDING) return rc;
  }
  if (waker) waker->type->wake(waker);
  return AW_PENDING;
}

bool aw_copy_is_writing(const aw_copy *self) { return self->writing; }

uint64_t aw_copy_total(const aw_copy *self) { return self->total; }

void aw_copy_free(aw_copy *self) {
  if (self == NULL) return;
  release(self);
  free(self);
}

int aw_copy_new(aw_copy **out, size_t buffer, bool shut_down) {
  if (buffer == 0 || buffer > INT32_MAX) return UV_EINVAL;
  struct aw_copy *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->size = buffer;
  self->shut_down = shut_down;
  *out = self;
  return 0;
}
