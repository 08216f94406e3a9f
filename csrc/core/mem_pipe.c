/* SPDX-License-Identifier: MIT */
/* A bounded in-memory pipe. Every wake is the last thing a function does: the waker may free the other side (W7). */
#include "core/mem_pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct aw_mem_pipe *aw_mem_pipe_new(size_t limit) {
  struct aw_mem_pipe *p = calloc(1, sizeof *p);
  if (p) p->limit = limit, p->refs = 2;
  return p;
}

void aw_mem_pipe_unref(struct aw_mem_pipe *p) {
  if (--p->refs > 0) return;
  aw_slot_clear(&p->write_slot);
  aw_slot_clear(&p->read_slot);
  aw_hold_end(&p->hold);
  free(p->ring);
  free(p);
}

/* Empties a slot and hands its waker over, so that the pipe need not outlive the wake. */
static aw_waker *take(aw_waker **slot) {
  aw_waker *waker = *slot;
  *slot = NULL;
  return waker;
}

static bool grow(struct aw_mem_pipe *p, size_t want) {
  if (want > p->limit) want = p->limit;
  if (want <= p->size) return true;
  size_t size = p->size ? p->size : 256;
  while (size < want) size = size > p->limit / 2 ? p->limit : size * 2;
  if (size > p->limit) size = p->limit;
  char *ring = malloc(size);
  if (ring == NULL) return false;
  size_t tail = p->size - p->head < p->len ? p->size - p->head : p->len;
  if (p->len > 0) {
    memcpy(ring, p->ring + p->head, tail);
    memcpy(ring + tail, p->ring, p->len - tail);
  }
  free(p->ring);
  p->ring = ring, p->size = size, p->head = 0;
  return true;
}

static size_t put(struct aw_mem_pipe *p, const char *base, size_t len) {
  size_t room = p->size - p->len;
  if (len > room) len = room;
  size_t at = p->head + p->len;
  if (at >= p->size) at -= p->size;
  size_t first = p->size - at < len ? p->size - at : len;
  memcpy(p->ring + at, base, first);
  memcpy(p->ring, base + first, len - first);
  p->hold.bytes = p->len += len;
  return len;
}

ssize_t aw_mem_pipe_write(struct aw_mem_pipe *p, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  if (p->reader_gone || p->writer_gone) return UV_EPIPE;
  if (bufs[0].len == 0) return 0;
  if (p->len == p->limit) {
    aw_slot_park(&p->write_slot, waker);
    return AW_PENDING;
  }
  size_t want = p->len;
  for (unsigned i = 0; i < nbufs && want < p->limit; i++)
    want = bufs[i].len > p->limit - want ? p->limit : want + bufs[i].len;
  if (!grow(p, want)) return UV_ENOMEM;
  size_t n = 0;
  for (unsigned i = 0; i < nbufs && p->len < p->limit; i++)
    if (bufs[i].len > 0) n += put(p, bufs[i].base, bufs[i].len);
  aw_slot_wake(&p->read_slot);
  return (ssize_t)n;
}

/* There is room again: who watches is told, then the writer, unless it was freed by that. */
static void give_back(struct aw_mem_pipe *p) {
  p->hold.bytes = p->len;
  if (p->hold.watches == NULL) {
    aw_slot_wake(&p->write_slot);
    return;
  }
  p->refs++;
  aw_hold_tell(&p->hold);
  aw_waker *writer = take(&p->write_slot);
  aw_mem_pipe_unref(p);
  aw_slot_wake(&writer);
}

ssize_t aw_mem_pipe_read(struct aw_mem_pipe *p, aw_waker *waker, char *base, size_t len) {
  if (p->len == 0) {
    if (p->writer_gone) return 0;
    aw_slot_park(&p->read_slot, waker);
    return AW_PENDING;
  }
  if (len > p->len) len = p->len;
  size_t first = p->size - p->head < len ? p->size - p->head : len;
  memcpy(base, p->ring + p->head, first);
  memcpy(base + first, p->ring, len - first);
  p->head += len, p->len -= len;
  if (p->head >= p->size) p->head -= p->size;
  give_back(p);
  return (ssize_t)len;
}

int aw_mem_pipe_flush(const struct aw_mem_pipe *p) { return p->reader_gone ? UV_EPIPE : 0; }

void aw_mem_pipe_shutdown(struct aw_mem_pipe *p) {
  p->writer_gone = true;
  aw_slot_wake(&p->read_slot);
}

void aw_mem_pipe_drop_writer(struct aw_mem_pipe *p) {
  p->writer_gone = true;
  aw_waker *reader = take(&p->read_slot);
  aw_slot_clear(&p->write_slot);
  aw_mem_pipe_unref(p);
  aw_slot_wake(&reader);
}

void aw_mem_pipe_drop_reader(struct aw_mem_pipe *p) {
  p->reader_gone = p->hold.closed = true;
  aw_slot_clear(&p->read_slot);
  free(p->ring); /* nobody will ever read it */
  p->ring = NULL;
  p->size = p->head = p->len = 0;
  p->hold.bytes = 0;
  aw_hold_tell(&p->hold);
  aw_waker *writer = take(&p->write_slot);
  aw_mem_pipe_unref(p);
  aw_slot_wake(&writer);
}

ssize_t aw_mem_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  return aw_mem_pipe_write(((struct aw_mem_writer *)w)->pipe, waker, bufs, nbufs);
}

int aw_mem_poll_flush(aw_writer *w, aw_waker *waker) {
  (void)waker;
  return aw_is_shutdown(w) ? 0 : aw_mem_pipe_flush(((struct aw_mem_writer *)w)->pipe);
}

int aw_mem_poll_shutdown(aw_writer *w, aw_waker *waker) {
  (void)waker;
  aw_mem_pipe_shutdown(((struct aw_mem_writer *)w)->pipe);
  return 0;
}

void aw_mem_describe_writer(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "%s(%zu)", w->type->name, ((const struct aw_mem_writer *)w)->pipe->limit);
}

void aw_mem_destroy_writer(aw_writer *w) {
  struct aw_mem_pipe *pipe = ((struct aw_mem_writer *)w)->pipe;
  free(w);
  aw_mem_pipe_drop_writer(pipe);
}

ssize_t aw_mem_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  return aw_mem_pipe_read(((struct aw_mem_reader *)r)->pipe, waker, base, len);
}

void aw_mem_describe_reader(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "%s(%zu)", r->type->name, ((const struct aw_mem_reader *)r)->pipe->limit);
}

void aw_mem_destroy_reader(aw_reader *r) {
  struct aw_mem_pipe *pipe = ((struct aw_mem_reader *)r)->pipe;
  free(r);
  aw_mem_pipe_drop_reader(pipe);
}

int aw_mem_ends_new(aw_stream *out, const aw_writer_type *wt, const aw_reader_type *rt, size_t limit) {
  if (limit == 0) return UV_EINVAL;
  struct aw_mem_pipe *pipe = aw_mem_pipe_new(limit);
  struct aw_mem_writer *mw = calloc(1, sizeof *mw);
  struct aw_mem_reader *mr = calloc(1, sizeof *mr);
  if (pipe == NULL || mw == NULL || mr == NULL) goto fail;
  aw_holder_init(&mw->h, wt, &pipe->hold);
  aw_reader_init(&mr->r, rt, NULL);
  mw->pipe = mr->pipe = pipe;
  *out = (aw_stream){.w = &mw->h.w, .r = &mr->r};
  return 0;
fail:
  free(pipe), free(mw), free(mr);
  return UV_ENOMEM;
}
