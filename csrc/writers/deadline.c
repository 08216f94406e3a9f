/* SPDX-License-Identifier: MIT */
/* deadline: one point in time for both halves of a stream. Once it has passed every poll fails with UV_ETIMEDOUT, and
 * who waits is woken to be told. A wrapper of a writer, a reader or both. */
#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>

enum { READ, WRITE };

struct aw_deadline {
  aw_waker waker; /* of the timer; each half holds a reference */
  aw_writer w;
  aw_reader r;
  unsigned halves;
  aw_reactor *reactor;
  uint64_t due;
  aw_timer *timer;    /* while somebody waits */
  aw_waker *slots[2]; /* who waits for inner, and so for the deadline too */
};

static struct aw_deadline *of_writer(const aw_writer *w) {
  return (struct aw_deadline *)((char *)(uintptr_t)w - offsetof(struct aw_deadline, w));
}

static struct aw_deadline *of_reader(const aw_reader *r) {
  return (struct aw_deadline *)((char *)(uintptr_t)r - offsetof(struct aw_deadline, r));
}

static bool has_passed(const struct aw_deadline *self) {
  return self->due != AW_NEVER && self->due <= aw_reactor_now(self->reactor);
}

static void stop_timer(struct aw_deadline *self) {
  aw_timer_free(self->timer);
  self->timer = NULL;
}

/* A poll of inner has ended with rc: when it is pending the deadline, or the setting of one, is waited for as well. */
static ssize_t watch(struct aw_deadline *self, int dir, aw_waker *waker, ssize_t rc) {
  if (waker == NULL) return rc;
  if (rc == AW_PENDING) {
    int failed = self->timer || self->due == AW_NEVER ? 0 : aw_timer_new(&self->timer, self->reactor, self->due);
    if (failed < 0) return failed;
    aw_slot_park(&self->slots[dir], waker);
    if (self->timer && aw_poll_timer(self->timer, &self->waker) == 0) rc = UV_ETIMEDOUT;
  }
  if (rc != AW_PENDING && self->slots[dir] == waker) aw_slot_clear(&self->slots[dir]);
  if (!self->slots[READ] && !self->slots[WRITE]) stop_timer(self);
  return rc;
}

static void on_wake(aw_waker *waker) {
  struct aw_deadline *self = (struct aw_deadline *)waker;
  aw_waker *reader = self->slots[READ], *writer = self->slots[WRITE];
  self->slots[READ] = self->slots[WRITE] = NULL;
  aw_slot_wake(&reader);
  aw_slot_wake(&writer);
}

static void on_free(aw_waker *waker) { free(waker); }

static const aw_waker_type waker_type = {.wake = on_wake, .free = on_free};

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct aw_deadline *self = of_writer(w);
  if (has_passed(self)) return UV_ETIMEDOUT;
  return watch(self, WRITE, waker, aw_poll_write(w->inner, waker, bufs, nbufs));
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  struct aw_deadline *self = of_writer(w);
  if (has_passed(self)) return UV_ETIMEDOUT;
  return (int)watch(self, WRITE, waker, aw_poll_flush(w->inner, waker));
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  struct aw_deadline *self = of_writer(w);
  if (has_passed(self)) return UV_ETIMEDOUT;
  return (int)watch(self, WRITE, waker, aw_poll_shutdown(w->inner, waker));
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct aw_deadline *self = of_reader(r);
  if (has_passed(self)) return UV_ETIMEDOUT;
  return watch(self, READ, waker, aw_poll_read(r->inner, waker, base, len));
}

static void describe_it(const struct aw_deadline *self, char *text, size_t size) {
  uint64_t now = aw_reactor_now(self->reactor);
  if (self->due == AW_NEVER) snprintf(text, size, "deadline(none)");
  else if (self->due <= now) snprintf(text, size, "deadline(passed)");
  else snprintf(text, size, "deadline(%.3f s)", (double)(self->due - now) / 1e9);
}

static void describe(const aw_writer *w, char *text, size_t size) { describe_it(of_writer(w), text, size); }

static void describe_reader(const aw_reader *r, char *text, size_t size) { describe_it(of_reader(r), text, size); }

static void release(struct aw_deadline *self, int dir) {
  aw_slot_clear(&self->slots[dir]);
  if (--self->halves == 0) stop_timer(self);
  aw_waker_unref(&self->waker);
}

static void destroy(aw_writer *w) { release(of_writer(w), WRITE); }

static void destroy_reader(aw_reader *r) { release(of_reader(r), READ); }

static const aw_writer_type type = {
    .name = "deadline",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = poll_flush,
    .poll_shutdown = poll_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "deadline",
    .poll_read = poll_read,
    .describe = describe_reader,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

aw_deadline *aw_deadline_find(const aw_stream *s) {
  aw_writer *w = aw_chain_find(s->w, &type);
  aw_reader *r = w ? NULL : aw_chain_find_reader(s->r, &reader_type);
  return w ? of_writer(w) : r ? of_reader(r) : NULL;
}

void aw_deadline_set(aw_deadline *self, uint64_t due) {
  self->due = due;
  stop_timer(self);
  aw_waker_ref(&self->waker); /* a waker may free both halves */
  on_wake(&self->waker);      /* who waits polls again, and waits for the new one */
  aw_waker_unref(&self->waker);
}

int aw_deadline_new(aw_stream *out, aw_stream inner, aw_reactor *reactor, uint64_t due) {
  struct aw_deadline *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_waker_init(&self->waker, &waker_type);
  self->halves = (inner.w ? 1u : 0u) + (inner.r ? 1u : 0u);
  if (self->halves == 2) aw_waker_ref(&self->waker);
  self->reactor = reactor;
  self->due = due;
  if (inner.w) aw_writer_init(&self->w, &type, inner.w);
  if (inner.r) aw_reader_init(&self->r, &reader_type, inner.r);
  *out = (aw_stream){.w = inner.w ? &self->w : NULL, .r = inner.r ? &self->r : NULL};
  return 0;
}
