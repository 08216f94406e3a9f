/* SPDX-License-Identifier: MIT */
/* A bounded in-memory pipe with one writing and one reading side: the inside of duplex and simplex (M1-M4). */
#ifndef AW_MEM_PIPE_H
#define AW_MEM_PIPE_H

#include "core/hold.h"

struct aw_mem_pipe {
  char *ring; /* grows up to limit as bytes arrive */
  size_t size, limit, head, len;
  unsigned refs;
  bool writer_gone, reader_gone;
  aw_waker *write_slot, *read_slot;
  struct aw_hold hold; /* what is unread */
};

struct aw_mem_pipe *aw_mem_pipe_new(size_t limit); /* two references: a writer's and a reader's; NULL: no memory */
void aw_mem_pipe_unref(struct aw_mem_pipe *p);

ssize_t aw_mem_pipe_write(struct aw_mem_pipe *p, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
ssize_t aw_mem_pipe_read(struct aw_mem_pipe *p, aw_waker *waker, char *base, size_t len);
int aw_mem_pipe_flush(const struct aw_mem_pipe *p);
void aw_mem_pipe_shutdown(struct aw_mem_pipe *p); /* the reader drains, then sees end of file */
void aw_mem_pipe_drop_writer(struct aw_mem_pipe *p);
void aw_mem_pipe_drop_reader(struct aw_mem_pipe *p);

/* The writer and the reader of duplex and simplex ends: one half of a pipe each. */
struct aw_mem_writer {
  struct aw_holder h;
  struct aw_mem_pipe *pipe;
};
struct aw_mem_reader {
  aw_reader r;
  struct aw_mem_pipe *pipe;
};
ssize_t aw_mem_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
int aw_mem_poll_flush(aw_writer *w, aw_waker *waker);
int aw_mem_poll_shutdown(aw_writer *w, aw_waker *waker);
void aw_mem_describe_writer(const aw_writer *w, char *text, size_t size);
void aw_mem_destroy_writer(aw_writer *w);
ssize_t aw_mem_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len);
void aw_mem_describe_reader(const aw_reader *r, char *text, size_t size);
void aw_mem_destroy_reader(aw_reader *r);

/* Makes both ends of one pipe. Returns 0, UV_EINVAL (limit 0) or UV_ENOMEM. */
int aw_mem_ends_new(aw_stream *out, const aw_writer_type *wt, const aw_reader_type *rt, size_t limit);

#endif
