/* SPDX-License-Identifier: MIT */
/* Readiness of descriptors. Interest stays armed between waits, because each change costs libuv two system calls; it is
 * dropped when an event finds nobody waiting for the second time in a row: the first may find a task that was woken and
 * has not run yet. */
#include "reactor/fd.h"
#include "reactor/reactor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const int event_of[2] = {[AW_READ] = UV_READABLE, [AW_WRITE] = UV_WRITABLE};

static int arm(struct aw_fd *io, int events);

static void wake(struct aw_fd *io, int dir) {
  io->blocked[dir] = false;
  if (io->slot[dir] == NULL) return;
  io->reactor->parked--;
  aw_slot_wake(&io->slot[dir]);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct aw_fd *io = poll->data;
  if (status < 0) {
    /* libuv has stopped the handle; the next system call tells what happened (W10). */
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
  /* A waker may free io: the write side is looked up again through the handle. */
  if (events & UV_READABLE) wake(io, AW_READ);
  if ((events & UV_WRITABLE) && poll->data == io) wake(io, AW_WRITE);
}

static void on_closed(uv_handle_t *poll) { free(poll); }

static int arm(struct aw_fd *io, int events) {
  if (io->armed == events) return 0;
  int rc = aw_reactor_usable(io->reactor);
  if (rc < 0) return rc; /* a forked child would change the parent's epoll set */
  rc = events ? uv_poll_start(io->poll, events, on_ready) : uv_poll_stop(io->poll);
  if (rc == 0) io->armed = events;
  return rc;
}

static int open_poll(struct aw_fd *io) {
  if (io->poll) return 0;
  if (io->reactor == NULL) return UV_ECANCELED;
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
  io->poll = poll;
  io->next = io->reactor->fds;
  if (io->next) io->next->prev = io;
  io->reactor->fds = io;
  return 0;
}

int aw_fd_wait(struct aw_fd *io, int dir, aw_waker *waker) {
  io->blocked[dir] = true;
  if (waker == NULL) return AW_PENDING;
  int rc = open_poll(io);
  if (rc == 0) rc = arm(io, io->armed | event_of[dir]);
  if (rc < 0) return rc;
  if (io->slot[dir] == NULL) io->reactor->parked++;
  aw_slot_park(&io->slot[dir], waker);
  io->unheard[dir] = 0;
  return AW_PENDING;
}

/* Outside sockets SIGPIPE cannot be turned off per call: it is blocked on this thread and taken back if it came. */
static ssize_t write_without_sigpipe(int fd, const struct iovec *iov, unsigned n) {
  sigset_t pipe_only, before, pending;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigpending(&pending);
  bool already = sigismember(&pending, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  ssize_t rc = writev(fd, iov, (int)n);
  int error = errno;
  if (rc < 0 && error == EPIPE && !already)
    while (sigtimedwait(&pipe_only, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return rc;
}

static ssize_t write_once(struct aw_fd *io, const uv_buf_t *bufs, unsigned nbufs) {
  /* uv_buf_t is laid out as struct iovec on every Unix, which libuv itself relies on. */
  struct iovec *iov = (struct iovec *)(uintptr_t)bufs;
  if (!io->socket) return write_without_sigpipe(io->fd, iov, nbufs);
  if (nbufs == 1) return send(io->fd, bufs->base, bufs->len, MSG_NOSIGNAL | MSG_DONTWAIT);
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = nbufs};
  return sendmsg(io->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static size_t total(const uv_buf_t *bufs, unsigned nbufs) {
  size_t sum = 0;
  for (unsigned i = 0; i < nbufs; i++) sum += bufs[i].len;
  return sum;
}

ssize_t aw_fd_write(struct aw_fd *io, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  if (io->error[AW_WRITE]) return io->error[AW_WRITE];
  if (bufs[0].len == 0) return 0;
  if (io->blocked[AW_WRITE] && waker) return aw_fd_wait(io, AW_WRITE, waker);
  ssize_t n;
  do n = write_once(io, bufs, nbufs);
  while (n < 0 && errno == EINTR);
  if (n >= 0) {
    io->blocked[AW_WRITE] = io->poll && (size_t)n < total(bufs, nbufs);
    return n;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return aw_fd_wait(io, AW_WRITE, waker);
  int rc = uv_translate_sys_error(errno);
  /* Lack of memory passes; everything else is final (S9). */
  if (rc != UV_ENOMEM && rc != UV_ENOBUFS) io->error[AW_WRITE] = rc;
  return rc;
}

ssize_t aw_fd_read(struct aw_fd *io, aw_waker *waker, char *base, size_t len) {
  if (io->error[AW_READ]) return io->error[AW_READ];
  if (io->blocked[AW_READ] && waker) return aw_fd_wait(io, AW_READ, waker);
  ssize_t n;
  do n = io->socket ? recv(io->fd, base, len, MSG_DONTWAIT) : read(io->fd, base, len);
  while (n < 0 && errno == EINTR);
  if (n >= 0) {
    io->blocked[AW_READ] = io->socket && io->poll && n > 0 && (size_t)n < len;
    return n;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return aw_fd_wait(io, AW_READ, waker);
  int rc = uv_translate_sys_error(errno);
  if (rc != UV_ENOMEM && rc != UV_ENOBUFS) io->error[AW_READ] = rc;
  return rc;
}

void aw_fd_forget(struct aw_fd *io, int dir) {
  if (io->slot[dir] == NULL) return;
  if (io->reactor) io->reactor->parked--;
  aw_slot_clear(&io->slot[dir]);
}

void aw_fd_sweep(struct aw_fd *io) {
  for (int dir = AW_READ; dir <= AW_WRITE; dir++)
    if (io->slot[dir] && io->slot[dir]->dead) aw_fd_forget(io, dir);
}

/* Leaves the reactor: its list, its counts, its loop. */
static void leave(struct aw_fd *io) {
  for (int dir = AW_READ; dir <= AW_WRITE; dir++)
    if (io->slot[dir]) io->reactor->parked--;
  if (io->poll == NULL) return;
  if (io->prev) io->prev->next = io->next;
  else io->reactor->fds = io->next;
  if (io->next) io->next->prev = io->prev;
  io->prev = io->next = NULL;
  io->poll->data = NULL;
  if (aw_reactor_usable(io->reactor) == 0) uv_close((uv_handle_t *)io->poll, on_closed);
  io->poll = NULL;
}

void aw_fd_close(struct aw_fd *io) {
  if (io->reactor) leave(io);
  aw_slot_clear(&io->slot[AW_READ]);
  aw_slot_clear(&io->slot[AW_WRITE]);
  if (io->fd >= 0) close(io->fd);
  io->fd = -1;
}

void aw_fd_detach(struct aw_fd *io) {
  aw_waker *reader = io->slot[AW_READ], *writer = io->slot[AW_WRITE];
  leave(io);
  *io = (struct aw_fd){.fd = io->fd, .socket = io->socket, .error = {io->error[AW_READ], io->error[AW_WRITE]}};
  aw_slot_wake(&reader);
  aw_slot_wake(&writer);
}

void aw_fd_init(struct aw_fd *io, aw_reactor *reactor, int fd, bool socket) {
  *io = (struct aw_fd){.reactor = reactor, .fd = fd, .socket = socket};
}
