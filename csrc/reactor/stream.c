/* SPDX-License-Identifier: MIT */
/* Streams over descriptors. The halves are freed one by one; the descriptor closes with the last. When only the writing
 * half of a socket goes its peer gets FIN; when both go, reader first, close alone decides (so linger 0 resets). */
#include "reactor/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/sysmacros.h>
#endif
#include <unistd.h>

enum { READ_HALF = 1 << AW_READ, WRITE_HALF = 1 << AW_WRITE };

struct aw_fd_stream *aw_fd_stream_of_writer(const aw_writer *w) {
  return (struct aw_fd_stream *)(uintptr_t)w;
}

struct aw_fd_stream *aw_fd_stream_of_reader(const aw_reader *r) {
  return (struct aw_fd_stream *)((uintptr_t)r - offsetof(struct aw_fd_stream, r));
}

void aw_fd_stream_close(struct aw_fd_stream *self) {
  if (self->saved_flags >= 0 && self->io.fd >= 0) fcntl(self->io.fd, F_SETFL, self->saved_flags);
  aw_fd_close(&self->io);
}

static void drop_half(struct aw_fd_stream *self, int dir) {
  self->halves &= ~(1u << dir);
  if (self->halves) {
    aw_fd_forget(&self->io, dir);
    return;
  }
  aw_fd_stream_close(self);
  free(self);
}

ssize_t aw_fd_stream_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  return aw_fd_write(&aw_fd_stream_of_writer(w)->io, waker, bufs, nbufs);
}

/* Nothing is held back here, so there is nothing to flush (F3), but a dead peer is told (F4). */
int aw_fd_stream_poll_flush(aw_writer *w, aw_waker *waker) {
  (void)waker;
  return aw_is_shutdown(w) ? 0 : aw_fd_stream_of_writer(w)->io.error[AW_WRITE];
}

int aw_socket_poll_shutdown(aw_writer *w, aw_waker *waker) {
  (void)waker;
  if (shutdown(aw_fd_stream_of_writer(w)->io.fd, SHUT_WR) == 0 || errno == ENOTCONN) return 0;
  return uv_translate_sys_error(errno);
}

ssize_t aw_fd_stream_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  return aw_fd_read(&aw_fd_stream_of_reader(r)->io, waker, base, len);
}

void aw_fd_stream_destroy_writer(aw_writer *w) {
  struct aw_fd_stream *self = aw_fd_stream_of_writer(w);
  if ((self->halves & READ_HALF) && self->io.socket) shutdown(self->io.fd, SHUT_WR);
  drop_half(self, AW_WRITE);
}

void aw_fd_stream_destroy_reader(aw_reader *r) { drop_half(aw_fd_stream_of_reader(r), AW_READ); }

int aw_fd_stream_new(aw_stream *out, aw_reactor *reactor, int fd, bool socket, const aw_writer_type *wt,
                     const aw_reader_type *rt) {
  struct aw_fd_stream *self = calloc(1, sizeof *self);
  if (self == NULL) {
    close(fd);
    return UV_ENOMEM;
  }
  if (wt) aw_writer_init(&self->w, wt, NULL);
  if (rt) aw_reader_init(&self->r, rt, NULL);
  aw_fd_init(&self->io, reactor, fd, socket);
  self->halves = (wt ? WRITE_HALF : 0u) | (rt ? READ_HALF : 0u);
  self->saved_flags = -1;
  *out = (aw_stream){.w = wt ? &self->w : NULL, .r = rt ? &self->r : NULL};
  return 0;
}

/* Opening a device anew may make another one, such as the next pseudo terminal of a master. */
static bool is_same_when_reopened(int fd) {
  struct stat st;
  if (fstat(fd, &st) < 0) return false;
  if (S_ISFIFO(st.st_mode)) return true;
  if (!S_ISCHR(st.st_mode)) return false;
#ifdef __linux__
  unsigned number;
  if (major(st.st_rdev) == 1) return true; /* null, zero, full, random ... */
  return isatty(fd) && ioctl(fd, TIOCGPTN, &number) < 0;
#else
  return isatty(fd);
#endif
}

int aw_fd_reopen(int fd, int access) {
  char path[64];
  int flags = access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  if (!is_same_when_reopened(fd)) return -1;
#ifdef __linux__
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int own = open(path, flags);
  if (own >= 0) return own;
#endif
  return ttyname_r(fd, path, sizeof path) == 0 ? open(path, flags) : -1;
}

int aw_writer_fd(const aw_writer *w) {
  while (w && w->inner) w = w->inner;
  return w && w->type->poll_write == aw_fd_stream_poll_write ? aw_fd_stream_of_writer(w)->io.fd : -1;
}

int aw_reader_fd(const aw_reader *r) {
  while (r && r->inner) r = r->inner;
  return r && r->type->destroy == aw_fd_stream_destroy_reader ? aw_fd_stream_of_reader(r)->io.fd : -1;
}

int aw_socket_open(int domain) {
#ifdef SOCK_CLOEXEC
  int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
  int fd = socket(domain, SOCK_STREAM, 0);
  if (fd >= 0) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
  }
#endif
  return fd < 0 ? uv_translate_sys_error(errno) : fd;
}

int aw_socket_connect(aw_stream *out, aw_reactor *reactor, int fd, const struct sockaddr *to, socklen_t len,
                      const aw_writer_type *wt, const aw_reader_type *rt) {
  int rc;
  do rc = connect(fd, to, len);
  while (rc < 0 && errno == EINTR);
  if (rc < 0 && errno != EINPROGRESS) {
    rc = uv_translate_sys_error(errno);
    close(fd);
    return rc;
  }
  bool connecting = rc < 0;
  rc = aw_fd_stream_new(out, reactor, fd, true, wt, rt);
  if (rc == 0) aw_fd_stream_of_writer(out->w)->connecting = connecting;
  return rc;
}

int aw_poll_connect(aw_writer *w, aw_waker *waker) {
  struct aw_fd_stream *self = aw_fd_stream_of_writer(w);
  if (!self->connecting) return self->io.error[AW_WRITE];
  /* The first poll must wait for an event: SO_ERROR is 0 while the connection is still under way. */
  if (self->io.watch == NULL || self->io.blocked[AW_WRITE]) return aw_fd_wait(&self->io, AW_WRITE, waker);
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(self->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
  self->connecting = false;
  self->io.error[AW_WRITE] = self->io.error[AW_READ] = error ? uv_translate_sys_error(error) : 0;
  return self->io.error[AW_WRITE];
}

int aw_socket_listen(aw_listener **out, aw_reactor *reactor, int fd, int backlog, const aw_writer_type *wt,
                     const aw_reader_type *rt) {
  struct aw_listener *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  if (listen(fd, backlog) < 0) {
    int rc = uv_translate_sys_error(errno);
    free(self);
    return rc;
  }
  aw_fd_init(&self->io, reactor, fd, true);
  self->wt = wt, self->rt = rt;
  self->pid = getpid();
  *out = self;
  return 0;
}

static int accept_once(int fd) {
#ifdef SOCK_CLOEXEC
  return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
  int conn = accept(fd, NULL, NULL);
  if (conn >= 0) {
    fcntl(conn, F_SETFD, FD_CLOEXEC);
    fcntl(conn, F_SETFL, O_NONBLOCK);
  }
  return conn;
#endif
}

int aw_poll_accept(aw_listener *self, aw_waker *waker, aw_stream *out) {
  int fd;
  do fd = accept_once(self->io.fd);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd >= 0) return aw_fd_stream_new(out, self->io.reactor, fd, true, self->wt, self->rt);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return aw_fd_wait(&self->io, AW_READ, waker);
  return uv_translate_sys_error(errno);
}

int aw_listener_fd(const aw_listener *self) { return self->io.fd; }

void aw_listener_free(aw_listener *self) {
  if (self == NULL) return;
  if (self->on_free) self->on_free(self);
  aw_fd_close(&self->io);
  free(self->path);
  free(self);
}
