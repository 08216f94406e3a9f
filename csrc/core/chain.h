/* SPDX-License-Identifier: MIT */
/* What wrappers need again and again: their kind in a chain, and parts of lists of buffers. */
#ifndef AW_CHAIN_H
#define AW_CHAIN_H

#include "asyncwrite.h"

/* The outermost writer of a type in a chain; NULL: there is none. */
static inline aw_writer *aw_chain_find(const aw_writer *w, const aw_writer_type *type) {
  while (w && w->type != type) w = w->inner;
  return (aw_writer *)(uintptr_t)w;
}

static inline aw_reader *aw_chain_find_reader(const aw_reader *r, const aw_reader_type *type) {
  while (r && r->type != type) r = r->inner;
  return (aw_reader *)(uintptr_t)r;
}

static inline size_t aw_bufs_total(const uv_buf_t *bufs, unsigned nbufs) {
  size_t sum = 0;
  for (unsigned i = 0; i < nbufs; i++) sum = bufs[i].len > SIZE_MAX - sum ? SIZE_MAX : sum + bufs[i].len;
  return sum;
}

/* Makes bufs at most max bytes, max >= 1, without a copy of the list: as many whole buffers as fit, or a piece of the
 * first, which is put in *piece. Returns their number. */
static inline unsigned aw_bufs_cut(const uv_buf_t **bufs, unsigned nbufs, uint64_t max, uv_buf_t *piece) {
  unsigned n = 0;
  for (uint64_t sum = 0; n < nbufs && (*bufs)[n].len <= max - sum; n++) sum += (*bufs)[n].len;
  if (n > 0) return n;
  piece->base = (*bufs)[0].base, piece->len = (size_t)max;
  *bufs = piece;
  return 1;
}

#endif
