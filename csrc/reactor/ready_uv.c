/* SPDX-License-Identifier: MIT */
/* Readiness by a uv_poll_t for each descriptor: for systems without epoll, and with -DAW_READY_UV. Level-triggered.
 * Interest stays armed between waits, because each change costs libuv two system calls; it is dropped when an event
 * finds nobody waiting for the second time in a row: the first may find a task that was woken and has not run yet. */
#include "reactor/fd.h"
#include "reactor/reactor.h"

#if !defined(__linux__) || defined(AW_READY_UV)

#include <stdlib.h>

static const int event_of[2] = {[AW_READ] = UV_READABLE, [AW_WRITE] = UV_WRITABLE};

static int arm(struct aw_fd *io, int events);

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct aw_fd *io = poll->data;
  if (status < 0) {
    /* libuv has stopped the handle; the next system call tells what happened. */
    io->armed = 0;
    uv_poll_stop(poll);
    events = UV_READABLE | UV_WRITABLE;
  }
  int unwanted = 0;
  for (int dir = AW_READ; dir <= AW_WRITE; dir++) {
    if (!(events & event_of[dir])) continue;
    if (io->slot[dir]) io->unheard[dir] = 0;
    else if (++io->unheard[dir] > 1) unwanted |= event_of[dir];
  }
  if (unwanted & io->armed) arm(io, io->armed & ~unwanted);
  aw_fd_report(io, events & UV_READABLE, events & UV_WRITABLE);
}

static int arm(struct aw_fd *io, int events) {
  if (io->armed == events) return 0;
  int rc = aw_reactor_usable(io->reactor);
  if (rc < 0) return rc; /* a forked child would change the parent's kernel queue */
  rc = events ? uv_poll_start(io->watch, events, on_ready) : uv_poll_stop(io->watch);
  if (rc == 0) io->armed = events;
  return rc;
}

static void on_closed(uv_handle_t *poll) { free(poll); }

int aw_ready_open(aw_reactor *reactor) {
  (void)reactor;
  return 0;
}

int aw_ready_watch(struct aw_fd *io, int dir) {
  if (io->watch == NULL) {
    int rc = aw_reactor_usable(io->reactor);
    if (rc < 0) return rc;
    uv_poll_t *poll = calloc(1, sizeof *poll);
    if (poll == NULL) return UV_ENOMEM;
    rc = uv_poll_init(io->reactor->loop, poll, io->fd);
    if (rc < 0) {
      free(poll);
      return rc;
    }
    poll->data = io;
    io->watch = poll;
  }
  io->unheard[dir] = 0;
  return arm(io, io->armed | event_of[dir]);
}

void aw_ready_unwatch(struct aw_fd *io) {
  uv_poll_t *poll = io->watch;
  io->watch = NULL;
  io->armed = 0;
  poll->data = NULL;
  if (aw_reactor_usable(io->reactor) == 0) uv_close((uv_handle_t *)poll, on_closed);
  else io->reactor->lent = true; /* it stays on the loop */
}

void aw_ready_keep_alive(aw_reactor *reactor, bool on) { (void)reactor, (void)on; }

bool aw_ready_turn(aw_reactor *reactor, int timeout) {
  (void)reactor, (void)timeout;
  return false;
}

void aw_ready_free(aw_reactor *reactor) { (void)reactor; }

#endif
