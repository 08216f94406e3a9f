/* SPDX-License-Identifier: MIT */
/* limit: at most so many bytes, then 0, as a writer that is full (P4); take: at most so many bytes, then the end of
 * file, as tokio's Take. Wrappers. */
#include "core/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct limit {
  aw_writer w;
  uint64_t left;
};

struct take {
  aw_reader r;
  uint64_t left;
};

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct limit *self = (struct limit *)w;
  uv_buf_t piece;
  if (bufs->len > 0) { /* an empty write is for inner to answer: it may be closed (P5) */
    if (self->left == 0) return 0;
    nbufs = aw_bufs_cut(&bufs, nbufs, self->left, &piece);
  }
  ssize_t n = aw_poll_write(w->inner, waker, bufs, nbufs);
  if (n > 0) self->left -= (uint64_t)n;
  return n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct take *self = (struct take *)r;
  if (len > self->left) len = (size_t)self->left;
  ssize_t n = aw_poll_read(r->inner, waker, base, len); /* of 0 bytes: the end, and inner is not asked */
  if (n > 0) self->left -= (uint64_t)n;
  return n;
}

static void describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "limit(%" PRIu64 ")", ((const struct limit *)w)->left);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "take(%" PRIu64 ")", ((const struct take *)r)->left);
}

static void destroy(aw_writer *w) { free(w); }

static void destroy_reader(aw_reader *r) { free(r); }

static const aw_writer_type type = {
    .name = "limit",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_pass_flush,
    .poll_shutdown = aw_pass_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "take",
    .poll_read = poll_read,
    .describe = describe_reader,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

uint64_t *aw_limit_left(const aw_writer *w) {
  struct limit *self = (struct limit *)aw_chain_find(w, &type);
  return self ? &self->left : NULL;
}

uint64_t *aw_take_left(const aw_reader *r) {
  struct take *self = (struct take *)aw_chain_find_reader(r, &reader_type);
  return self ? &self->left : NULL;
}

int aw_limit_new(aw_writer **out, aw_writer *inner, uint64_t n) {
  struct limit *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, inner);
  self->left = n;
  *out = &self->w;
  return 0;
}

int aw_take_new(aw_reader **out, aw_reader *inner, uint64_t n) {
  struct take *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_reader_init(&self->r, &reader_type, inner);
  self->left = n;
  *out = &self->r;
  return 0;
}
