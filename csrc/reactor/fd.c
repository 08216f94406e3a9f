/* SPDX-License-Identifier: MIT */
/* Reading and writing descriptors, and waiting for them. How readiness is learned is the business of ready_*.c. */
#include "reactor/fd.h"
#include "reactor/reactor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void count_parked(aw_reactor *reactor, int change) {
  reactor->parked += (size_t)change;
  aw_ready_keep_alive(reactor, reactor->parked > 0);
}

void aw_fd_report(struct aw_fd *io, bool readable, bool writable) {
  aw_waker *reader = NULL, *writer = NULL;
  if (readable) {
    io->blocked[AW_READ] = false;
    reader = io->slot[AW_READ];
    io->slot[AW_READ] = NULL;
  }
  if (writable) {
    io->blocked[AW_WRITE] = false;
    writer = io->slot[AW_WRITE];
    io->slot[AW_WRITE] = NULL;
  }
  count_parked(io->reactor, -(reader != NULL) - (writer != NULL));
  aw_slot_wake(&reader);
  aw_slot_wake(&writer);
}

static int watch(struct aw_fd *io, int dir) {
  bool first = io->watch == NULL;
  if (io->reactor == NULL) return UV_ECANCELED;
  int rc = aw_ready_watch(io, dir);
  if (rc < 0 || !first) return rc;
  io->next = io->reactor->fds;
  if (io->next) io->next->prev = io;
  io->reactor->fds = io;
  return 0;
}

int aw_fd_wait(struct aw_fd *io, int dir, aw_waker *waker) {
  io->blocked[dir] = true;
  if (waker == NULL) return AW_PENDING;
  int rc = watch(io, dir);
  if (rc < 0) return rc;
  if (io->slot[dir] == NULL) count_parked(io->reactor, 1);
  aw_slot_park(&io->slot[dir], waker);
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

enum { JOINED = 2048 };

/* Few bytes in several buffers go out as one copy: it costs less than the kernel's handling of a list (500 ns instead
 * of 560 for 16 and 1,024 bytes). Returns 0 where they are too many. */
static size_t join_small(char *joined, const uv_buf_t *bufs, unsigned nbufs) {
  size_t at = 0;
  for (unsigned i = 0; i < nbufs; i++) {
    if (bufs[i].len > JOINED - at) return 0;
    if (bufs[i].len > 0) memcpy(joined + at, bufs[i].base, bufs[i].len);
    at += bufs[i].len;
  }
  return at;
}

static ssize_t write_once(struct aw_fd *io, const uv_buf_t *bufs, unsigned nbufs) {
  /* uv_buf_t is laid out as struct iovec on every Unix, which libuv itself relies on. */
  struct iovec *iov = (struct iovec *)(uintptr_t)bufs;
  if (!io->socket) return write_without_sigpipe(io->fd, iov, nbufs);
  if (nbufs == 1) return send(io->fd, bufs->base, bufs->len, MSG_NOSIGNAL | MSG_DONTWAIT);
  char joined[JOINED];
  size_t len = join_small(joined, bufs, nbufs);
  if (len > 0) return send(io->fd, joined, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = nbufs};
  return sendmsg(io->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t aw_fd_write(struct aw_fd *io, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  if (io->error[AW_WRITE]) return io->error[AW_WRITE];
  if (bufs[0].len == 0) return 0;
  if (io->blocked[AW_WRITE] && waker) return aw_fd_wait(io, AW_WRITE, waker);
  ssize_t n;
  do n = write_once(io, bufs, nbufs);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return n;
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
  if (n >= 0) return n;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return aw_fd_wait(io, AW_READ, waker);
  int rc = uv_translate_sys_error(errno);
  if (rc != UV_ENOMEM && rc != UV_ENOBUFS) io->error[AW_READ] = rc;
  return rc;
}

void aw_fd_forget(struct aw_fd *io, int dir) {
  if (io->slot[dir] == NULL) return;
  if (io->reactor) count_parked(io->reactor, -1);
  aw_slot_clear(&io->slot[dir]);
}

void aw_fd_sweep(struct aw_fd *io) {
  for (int dir = AW_READ; dir <= AW_WRITE; dir++)
    if (io->slot[dir] && io->slot[dir]->dead) aw_fd_forget(io, dir);
}

/* Leaves the reactor: its list, its counts, its loop. */
static void leave(struct aw_fd *io) {
  for (int dir = AW_READ; dir <= AW_WRITE; dir++)
    if (io->slot[dir]) count_parked(io->reactor, -1);
  if (io->watch == NULL) return;
  if (io->prev) io->prev->next = io->next;
  else io->reactor->fds = io->next;
  if (io->next) io->next->prev = io->prev;
  io->prev = io->next = NULL;
  aw_ready_unwatch(io);
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
