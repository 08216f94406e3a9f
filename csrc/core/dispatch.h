/* SPDX-License-Identifier: MIT */
/* The dispatcher's short path, inline: it runs for every 64 bytes that are written through a buffer. */
#ifndef AW_DISPATCH_H
#define AW_DISPATCH_H

#include "asyncwrite.h"

/* Keeps what is rare out of the caller, which then needs neither a frame nor saved registers for it. */
#if defined(__GNUC__)
#define AW_RARE __attribute__((noinline, cold))
#else
#define AW_RARE
#endif

enum { AW_FLAG_VECTORED = 1, AW_FLAG_SHUTTING = 2, AW_FLAG_SHUT = 4, AW_FLAG_HOLDS = 8 };

/* aw_poll_write of one buffer. */
static inline ssize_t aw_poll_write_one(aw_writer *w, aw_waker *waker, const uv_buf_t *buf) {
  if (w->flags & AW_FLAG_SHUTTING) return UV_EPIPE;
  ssize_t n = w->type->poll_write(w, waker, buf, 1);
  return n <= 0 || (size_t)n <= buf->len ? n : AW_ECONTRACT;
}

#endif
