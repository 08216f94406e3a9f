/* SPDX-License-Identifier: MIT */
/* The dispatcher of writers: the clauses every writer shares are held here, once. */
#include "core/dispatch.h"

#include <stdio.h>
#include <string.h>

enum { IOV_LIMIT = 1024 }; /* IOV_MAX on Linux, macOS and the BSDs; more buffers make a short write (V7) */

void aw_writer_init(aw_writer *w, const aw_writer_type *type, aw_writer *inner) {
  bool vectored =
      type->vectored == AW_VECTORED_AS_INNER ? aw_is_write_vectored(inner) : type->vectored == AW_VECTORED_YES;
  *w = (aw_writer){.type = type, .inner = inner, .flags = vectored ? AW_FLAG_VECTORED : 0};
}

void aw_writer_free(aw_writer *w) {
  while (w) {
    aw_writer *inner = w->inner;
    w->type->destroy(w);
    w = inner;
  }
}

ssize_t aw_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  if (nbufs == 1) return aw_poll_write_one(w, waker, bufs);
  if (w->flags & AW_FLAG_SHUTTING) return UV_EPIPE;
  const uv_buf_t none = {.base = (char *)"", .len = 0};
  while (nbufs > 0 && bufs->len == 0) bufs++, nbufs--;
  if (nbufs == 0) bufs = &none, nbufs = 1;
  if (nbufs > IOV_LIMIT) nbufs = IOV_LIMIT;
  if (!(w->flags & AW_FLAG_VECTORED)) nbufs = 1;
  ssize_t n = w->type->poll_write(w, waker, bufs, nbufs);
  if (n <= 0) return n;
  size_t left = (size_t)n;
  for (unsigned i = 0; i < nbufs; i++) {
    if (left <= bufs[i].len) return n;
    left -= bufs[i].len;
  }
  return AW_ECONTRACT;
}

int aw_poll_flush(aw_writer *w, aw_waker *waker) { return w->type->poll_flush(w, waker); }

int aw_poll_shutdown(aw_writer *w, aw_waker *waker) {
  if (w->flags & AW_FLAG_SHUT) return 0;
  w->flags |= AW_FLAG_SHUTTING;
  int rc = w->type->poll_shutdown(w, waker);
  if (rc == 0) w->flags |= AW_FLAG_SHUT;
  return rc;
}

bool aw_is_write_vectored(const aw_writer *w) { return w->flags & AW_FLAG_VECTORED; }

bool aw_is_shutdown(const aw_writer *w) { return w->flags & AW_FLAG_SHUTTING; }

size_t aw_buffered(const aw_writer *w) {
  size_t sum = 0;
  for (; w; w = w->inner) sum += w->buffered;
  return sum;
}

void aw_describe(const aw_writer *w, char *text, size_t size) {
  if (size == 0) return;
  *text = '\0';
  for (; w; w = w->inner) {
    w->type->describe(w, text, size);
    size_t used = strlen(text);
    text += used, size -= used;
    if (w->inner == NULL || size <= 4) return;
    memcpy(text, " > ", 4);
    text += 3, size -= 3;
  }
}

ssize_t aw_pass_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  return aw_poll_write(w->inner, waker, bufs, nbufs);
}

int aw_pass_flush(aw_writer *w, aw_waker *waker) { return aw_poll_flush(w->inner, waker); }

int aw_pass_shutdown(aw_writer *w, aw_waker *waker) { return aw_poll_shutdown(w->inner, waker); }

int aw_ready(aw_writer *w, aw_waker *waker) {
  (void)w, (void)waker;
  return 0;
}

void aw_describe_name(const aw_writer *w, char *text, size_t size) { snprintf(text, size, "%s", w->type->name); }

void aw_stream_free(aw_stream *s) {
  aw_reader_free(s->r);
  aw_writer_free(s->w);
  s->r = NULL, s->w = NULL;
}
