/* SPDX-License-Identifier: MIT */
/* checksum: a running digest of what the inner writer has accepted, or of what a reader gave. Wrappers. */
#include "core/chain.h"
#include "core/digest.h"

#include <stdio.h>
#include <stdlib.h>

struct checksum {
  aw_writer w;
  struct aw_digest digest;
};

struct checksum_reader {
  aw_reader r;
  struct aw_digest digest;
};

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  ssize_t n = aw_poll_write(w->inner, waker, bufs, nbufs);
  for (size_t left = n > 0 ? (size_t)n : 0; left > 0; bufs++) {
    size_t part = bufs->len < left ? bufs->len : left;
    if (part > 0) aw_digest_update(&((struct checksum *)w)->digest, bufs->base, part);
    left -= part;
  }
  return n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  ssize_t n = aw_poll_read(r->inner, waker, base, len);
  if (n > 0) aw_digest_update(&((struct checksum_reader *)r)->digest, base, (size_t)n);
  return n;
}

static void describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "checksum(%s)", aw_digest_name(&((const struct checksum *)w)->digest));
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "checksum_reader(%s)", aw_digest_name(&((const struct checksum_reader *)r)->digest));
}

static void destroy(aw_writer *w) { free(w); }

static void destroy_reader(aw_reader *r) { free(r); }

static const aw_writer_type type = {
    .name = "checksum",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_pass_flush,
    .poll_shutdown = aw_pass_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "checksum_reader",
    .poll_read = poll_read,
    .describe = describe_reader,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

size_t aw_checksum_value(const aw_writer *w, uint8_t out[AW_CHECKSUM_MAX]) {
  const struct checksum *self = (const struct checksum *)aw_chain_find(w, &type);
  return self ? aw_digest_value(&self->digest, out) : 0;
}

size_t aw_checksum_reader_value(const aw_reader *r, uint8_t out[AW_CHECKSUM_MAX]) {
  const struct checksum_reader *self = (const struct checksum_reader *)aw_chain_find_reader(r, &reader_type);
  return self ? aw_digest_value(&self->digest, out) : 0;
}

int aw_checksum_new(aw_writer **out, aw_writer *inner, const char *algorithm) {
  struct checksum *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  if (!aw_digest_init(&self->digest, algorithm)) goto fail;
  aw_writer_init(&self->w, &type, inner);
  *out = &self->w;
  return 0;
fail:
  free(self);
  return UV_EINVAL;
}

int aw_checksum_reader_new(aw_reader **out, aw_reader *inner, const char *algorithm) {
  struct checksum_reader *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  if (!aw_digest_init(&self->digest, algorithm)) goto fail;
  aw_reader_init(&self->r, &reader_type, inner);
  *out = &self->r;
  return 0;
fail:
  free(self);
  return UV_EINVAL;
}
