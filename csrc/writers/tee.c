/* SPDX-License-Identifier: MIT */
/* tee: writes everything to several writers. A wrapper of all of them: the first that is left is its inner, by which
 * chains are walked, the others are its own.
 *
 * A poll that is NotReady or fails has taken nothing (P2, P3), so once one branch has taken bytes they are accepted.
 * What the others have not taken yet is held back, at most capacity bytes; each branch has its own place in that. */
#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct branch {
  aw_writer *w; /* NULL: dropped */
  char *name;   /* of a dropped one; NULL: no memory for it */
  size_t done;  /* it lacks buf[done, len) */
  size_t took;  /* of the write under way */
  int failed;   /* why it was dropped */
  int late;     /* an error when others had accepted already: told by the next poll */
  int error;    /* its latest, until something goes well again */
};

struct tee {
  aw_writer w;
  unsigned flags, n;
  char *buf;
  size_t capacity, len;
  struct branch branches[];
};

static unsigned count_live(const struct tee *self) {
  unsigned live = 0;
  for (unsigned i = 0; i < self->n; i++) live += self->branches[i].w != NULL;
  return live;
}

/* The first byte of buf that a branch lacks. */
static size_t slowest(const struct tee *self) {
  size_t done = self->len;
  for (unsigned i = 0; i < self->n; i++)
    if (self->branches[i].w && self->branches[i].done < done) done = self->branches[i].done;
  return done;
}

static void drop(struct tee *self, struct branch *b, int code) {
  char name[160];
  aw_describe(b->w, name, sizeof name);
  aw_writer *gone = b->w;
  b->name = strdup(name);
  b->failed = code;
  b->w = NULL;
  for (unsigned i = self->n; i-- > 0;)
    if (self->branches[i].w) self->w.inner = self->branches[i].w;
  aw_writer_free(gone);
}

/* An error of a branch: it is dropped if that is wanted and another one is left; else it is everybody's. */
static int fail(struct tee *self, struct branch *b, int code) {
  b->error = code;
  if (!(self->flags & AW_TEE_DROP_FAILED) || count_live(self) < 2) return code;
  drop(self, b, code);
  return 0;
}

/* The outcome of several polls: the first error, else pending, else ready. */
static int combine(int a, int b) {
  if (a < 0 && a != AW_PENDING) return a;
  return b < 0 ? b : a;
}

/* Brings one branch up to where the others are. */
static int drain(struct tee *self, struct branch *b, aw_waker *waker) {
  int late = b->late;
  b->late = 0;
  if (late) return late;
  while (b->done < self->len) {
    uv_buf_t rest = {.base = self->buf + b->done, .len = self->len - b->done};
    ssize_t n = aw_poll_write(b->w, waker, &rest, 1);
    if (n < 0) return (int)n;
    if (n == 0) return AW_EWRITEZERO;
    b->done += (size_t)n;
  }
  return 0;
}

/* Every branch that is where the others are goes on with next (which may be NULL). */
static int for_all(struct tee *self, aw_waker *waker, int (*next)(aw_writer *w, aw_waker *waker)) {
  int outcome = 0;
  for (unsigned i = 0; i < self->n; i++) {
    struct branch *b = &self->branches[i];
    if (b->w == NULL) continue;
    int rc = drain(self, b, waker);
    if (rc == 0 && next) rc = next(b->w, waker);
    if (rc < 0 && rc != AW_PENDING) rc = fail(self, b, rc);
    else if (rc == 0) b->error = 0;
    outcome = combine(outcome, rc);
  }
  return outcome;
}

/* Drops those who have no room left, if that is wanted and not all are so slow. */
static void drop_slow(struct tee *self) {
  size_t done = slowest(self);
  unsigned faster = 0;
  for (unsigned i = 0; i < self->n; i++) faster += self->branches[i].w && self->branches[i].done > done;
  if (!(self->flags & AW_TEE_DROP_SLOW) || self->len - done < self->capacity || faster == 0) return;
  for (unsigned i = 0; i < self->n; i++)
    if (self->branches[i].w && self->branches[i].done == done) drop(self, &self->branches[i], UV_ENOBUFS);
}

/* Offers the buffers to every branch that is behind nobody. The first of them leads: what it takes is accepted, and the
 * others are offered as much; when it takes nothing that is the answer. Where the slow are dropped, one that must wait
 * does not lead. */
static ssize_t offer(struct tee *self, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  ssize_t lead = 0;
  uv_buf_t piece;
  for (unsigned i = 0; i < self->n; i++) {
    struct branch *b = &self->branches[i];
    b->took = 0;
    if (b->w == NULL) continue;
    ssize_t n = b->done < self->len ? AW_PENDING : aw_poll_write(b->w, waker, bufs, nbufs);
    if (n > 0) b->took = (size_t)n, b->error = 0;
    else if (n != AW_PENDING) {
      int rc = fail(self, b, n == 0 ? AW_EWRITEZERO : (int)n);
      if (rc < 0 && lead == 0) return n;
      if (rc != AW_ELUA) b->late = rc; /* what Lua raised is on its way already */
    } else if (lead == 0 && !(self->flags & AW_TEE_DROP_SLOW)) return n;
    if (lead == 0 && n > 0) lead = n, nbufs = aw_bufs_cut(&bufs, nbufs, (uint64_t)n, &piece);
  }
  return lead > 0 ? lead : AW_PENDING;
}

/* Keeps what not every branch took of the first n bytes of bufs. */
static void keep(struct tee *self, const uv_buf_t *bufs, size_t n) {
  size_t least = n, done = slowest(self);
  for (unsigned i = 0; i < self->n; i++)
    if (self->branches[i].w && self->branches[i].took < least) least = self->branches[i].took;
  if (done > 0) memmove(self->buf, self->buf + done, self->len - done);
  size_t before = self->len - done;
  for (unsigned i = 0; i < self->n; i++) {
    struct branch *b = &self->branches[i];
    if (b->w == NULL) continue;
    b->done = b->done < self->len ? b->done - done : before + b->took - least;
  }
  self->len = before;
  for (size_t skip = least, left = n - least; left > 0; bufs++) {
    size_t from = skip < bufs->len ? skip : bufs->len, part = bufs->len - from;
    if (part > left) part = left;
    if (part > 0) memcpy(self->buf + self->len, bufs->base + from, part);
    self->len += part, left -= part, skip -= from;
  }
}

static void count_buffered(struct tee *self) {
  self->w.buffered = self->len - slowest(self);
  for (unsigned i = 0; i < self->n; i++)
    if (self->branches[i].w != self->w.inner) self->w.buffered += aw_buffered(self->branches[i].w);
}

/* An empty write asks everybody whether it is open, and never waits (P5). */
static ssize_t write_nothing(struct tee *self, aw_waker *waker, const uv_buf_t *bufs) {
  for (unsigned i = 0; i < self->n; i++) {
    struct branch *b = &self->branches[i];
    ssize_t n = b->w ? aw_poll_write(b->w, waker, bufs, 1) : 0;
    if (n < 0 && (n = fail(self, b, (int)n)) < 0) return n;
  }
  count_buffered(self);
  return 0;
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct tee *self = (struct tee *)w;
  if (bufs->len == 0) return write_nothing(self, waker, bufs);
  ssize_t n = for_all(self, waker, NULL);
  if (n == 0 || n == AW_PENDING) {
    drop_slow(self);
    size_t room = self->capacity - (self->len - slowest(self));
    uv_buf_t piece;
    n = AW_PENDING;
    if (room > 0) {
      nbufs = aw_bufs_cut(&bufs, nbufs, room, &piece);
      n = offer(self, waker, bufs, nbufs);
    }
    if (n > 0) keep(self, bufs, (size_t)n);
  }
  count_buffered(self);
  return n;
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  int rc = for_all((struct tee *)w, waker, aw_poll_flush);
  count_buffered((struct tee *)w);
  return rc;
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  int rc = for_all((struct tee *)w, waker, aw_poll_shutdown);
  count_buffered((struct tee *)w);
  return rc;
}

/* "tee(memory, sink) > tcp": the first comes after it, as the inner of every wrapper. */
static void describe(const aw_writer *w, char *text, size_t size) {
  const struct tee *self = (const struct tee *)w;
  const char *before = "";
  snprintf(text, size, "tee(");
  for (unsigned i = 0; i < self->n; i++) {
    if (self->branches[i].w == NULL || self->branches[i].w == w->inner) continue;
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", before);
    used = strlen(text);
    aw_describe(self->branches[i].w, text + used, size - used);
    before = ", ";
  }
  size_t used = strlen(text);
  snprintf(text + used, size - used, ")");
}

static const char *held(const aw_writer *w, size_t *len) {
  const struct tee *self = (const struct tee *)w;
  *len = self->len - slowest(self);
  return self->buf + slowest(self);
}

static void destroy(aw_writer *w) {
  struct tee *self = (struct tee *)w;
  for (unsigned i = 0; i < self->n; i++) {
    if (self->branches[i].w != w->inner) aw_writer_free(self->branches[i].w);
    free(self->branches[i].name);
  }
  free(self->buf);
  free(self);
}

#define TEE_TYPE(is_vectored)                                                                                          \
  {                                                                                                                    \
    .name = "tee", .vectored = is_vectored, .poll_write = poll_write, .poll_flush = poll_flush,                        \
    .poll_shutdown = poll_shutdown, .describe = describe, .held = held, .destroy = destroy,                            \
  }

static const aw_writer_type plain_type = TEE_TYPE(AW_VECTORED_NO), vectored_type = TEE_TYPE(AW_VECTORED_YES);

aw_writer *aw_tee_find(const aw_writer *w) {
  aw_writer *tee = aw_chain_find(w, &plain_type);
  return tee ? tee : aw_chain_find(w, &vectored_type);
}

unsigned aw_tee_count(const aw_writer *w) {
  return w->type == &plain_type || w->type == &vectored_type ? ((const struct tee *)w)->n : 0;
}

aw_tee_branch aw_tee_look(const aw_writer *w, unsigned i) {
  const struct tee *self = (const struct tee *)w;
  const struct branch *b = &self->branches[i];
  aw_tee_branch look = {.w = b->w, .failed = b->failed, .error = b->w ? b->error : 0, .name = b->name ? b->name : "?"};
  if (b->w) look.behind = self->buf + b->done, look.len = self->len - b->done;
  return look;
}

void aw_tee_release(aw_writer *w) {
  struct tee *self = (struct tee *)w;
  for (unsigned i = 0; i < self->n; i++) self->branches[i].w = NULL;
  w->inner = NULL;
  destroy(w);
}

int aw_tee_new(aw_writer **out, aw_writer *const *branches, unsigned n, size_t capacity, unsigned flags) {
  if (n == 0 || n > AW_TEE_MAX || capacity == 0 || capacity > INT32_MAX) return UV_EINVAL;
  struct tee *self = calloc(1, sizeof *self + n * sizeof *self->branches);
  if (self == NULL) return UV_ENOMEM;
  self->buf = malloc(capacity); /* now: once a branch has taken bytes it is too late to fail */
  if (self->buf == NULL) goto fail;
  bool vectored = true;
  for (unsigned i = 0; i < n; i++) {
    self->branches[i].w = branches[i];
    vectored = vectored && aw_is_write_vectored(branches[i]);
  }
  self->n = n, self->capacity = capacity, self->flags = flags;
  aw_writer_init(&self->w, vectored ? &vectored_type : &plain_type, branches[0]);
  *out = &self->w;
  return 0;
fail:
  free(self);
  return UV_ENOMEM;
}
