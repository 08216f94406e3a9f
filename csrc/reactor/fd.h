/* SPDX-License-Identifier: MIT */
/* A non-blocking descriptor: system calls first, a uv_poll_t for the wake-up only when one would block. */
#ifndef AW_FD_H
#define AW_FD_H

#include "asyncwrite.h"

enum { AW_READ, AW_WRITE }; /* directions */

struct aw_fd {
  aw_reactor *reactor;
  struct aw_fd *prev, *next; /* in the reactor's list, from the first wait on */
  uv_poll_t *poll;           /* NULL until something had to wait; freed in its close callback */
  int fd;
  int armed;                /* UV_READABLE | UV_WRITABLE as told to libuv; stays on while wakes are wanted */
  unsigned char unheard[2]; /* events in a row that found nobody waiting */
  bool blocked[2];          /* the last call would have blocked or came back short: wait before the next one (P10) */
  int error[2];             /* latched: every later call in this direction fails alike */
  bool socket;
  aw_waker *slot[2];
};

void aw_fd_init(struct aw_fd *io, aw_reactor *reactor, int fd, bool socket);
void aw_fd_close(struct aw_fd *io);           /* wakes nobody; closes the descriptor */
void aw_fd_detach(struct aw_fd *io);          /* the reactor goes: later waits fail with UV_ECANCELED */
void aw_fd_forget(struct aw_fd *io, int dir); /* nobody waits in that direction any more */
void aw_fd_sweep(struct aw_fd *io);           /* forgets dead wakers */

ssize_t aw_fd_write(struct aw_fd *io, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
ssize_t aw_fd_read(struct aw_fd *io, aw_waker *waker, char *base, size_t len);

/* Parks waker until fd is ready in that direction. AW_PENDING, or why it cannot wait. */
int aw_fd_wait(struct aw_fd *io, int dir, aw_waker *waker);

#endif
