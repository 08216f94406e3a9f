/* SPDX-License-Identifier: MIT */
/* inspect: shows what the inner writer has accepted, and nothing else, as tokio-util's InspectWriter (M9); for readers
 * what they gave, as InspectReader. Wrappers. */
#include "asyncwrite.h"

#include <stdlib.h>

struct inspect {
  aw_writer w;
  aw_inspector see;
};

struct inspect_reader {
  aw_reader r;
  aw_inspector see;
};

static void show(const aw_inspector *see, const uv_buf_t *bufs, size_t n) {
  for (; n > 0; bufs++) {
    size_t part = bufs->len < n ? bufs->len : n;
    if (part > 0) see->fn(see->data, bufs->base, part);
    n -= part;
  }
}

static void release(const aw_inspector *see) {
  if (see->release) see->release(see->data);
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  ssize_t n = aw_poll_write(w->inner, waker, bufs, nbufs);
  if (n > 0) show(&((struct inspect *)w)->see, bufs, (size_t)n);
  return n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  ssize_t n = aw_poll_read(r->inner, waker, base, len);
  if (n > 0) ((struct inspect_reader *)r)->see.fn(((struct inspect_reader *)r)->see.data, base, (size_t)n);
  return n;
}

static void destroy(aw_writer *w) {
  release(&((struct inspect *)w)->see);
  free(w);
}

static void destroy_reader(aw_reader *r) {
  release(&((struct inspect_reader *)r)->see);
  free(r);
}

static const aw_writer_type type = {
    .name = "inspect",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_pass_flush,
    .poll_shutdown = aw_pass_shutdown,
    .describe = aw_describe_name,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "inspect_reader",
    .poll_read = poll_read,
    .describe = aw_reader_describe_name,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

int aw_inspect_new(aw_writer **out, aw_writer *inner, aw_inspector see) {
  struct inspect *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, inner);
  self->see = see;
  *out = &self->w;
  return 0;
}

int aw_inspect_reader_new(aw_reader **out, aw_reader *inner, aw_inspector see) {
  struct inspect_reader *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_reader_init(&self->r, &reader_type, inner);
  self->see = see;
  *out = &self->r;
  return 0;
}
