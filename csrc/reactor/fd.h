/* SPDX-License-Identifier: MIT */
/* A non-blocking descriptor: system calls first, the loop is asked for a wake-up only when one would block. */
#ifndef AW_FD_H
#define AW_FD_H

#include "asyncwrite.h"

enum { AW_READ, AW_WRITE }; /* directions */

struct aw_fd {
  aw_reactor *reactor;
  struct aw_fd *prev, *next; /* in the reactor's list, from the first wait on */
  void *watch;               /* what ready_*.c keeps of it; NULL until something had to wait */
  int fd;
  int armed;                /* ready_uv.c: the events libuv was told */
  unsigned char unheard[2]; /* ready_uv.c: events in a row that found nobody waiting */
  bool blocked[2];          /* the last call would have blocked: no other before it is reported ready */
  bool socket;
  bool may_stop_early; /* urgent data or the peer's end was reported: a short read may not be the last one */
  int error[2];        /* latched: every later call in this direction fails alike */
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

/* What ready_*.c offers: watch sees to it that readiness in this direction is reported, from now on. */
int aw_ready_open(aw_reactor *reactor); /* once, when the reactor is made */
int aw_ready_watch(struct aw_fd *io, int dir);
void aw_ready_unwatch(struct aw_fd *io);
void aw_ready_keep_alive(aw_reactor *reactor, bool on); /* on: the loop must not end, somebody is parked */
bool aw_ready_turn(aw_reactor *reactor, int timeout);   /* waits (ms) and reports without the loop; false: it cannot */
void aw_ready_free(aw_reactor *reactor);

/* ... and calls. It may free io. */
void aw_fd_report(struct aw_fd *io, bool readable, bool writable);

#endif
