/* SPDX-License-Identifier: MIT */
/* pipe: an operating system pipe, or any other descriptor that can be polled. A leaf. Its shutdown really sends end of
 * file, by closing the descriptor, where tokio's does nothing until drop (S10). */
#include "reactor/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  struct aw_fd_stream *self = aw_fd_stream_of_writer(w);
  if (self->io.socket) return aw_socket_poll_shutdown(w, waker);
  bool alone = self->halves == 1u << AW_WRITE;
  if (alone) aw_fd_stream_close(self);
  return 0;
}

static void describe(const aw_writer *w, char *text, size_t size) {
  int fd = aw_fd_stream_of_writer(w)->io.fd;
  if (fd < 0) snprintf(text, size, "pipe");
  else snprintf(text, size, "pipe %d", fd);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "pipe %d", aw_fd_stream_of_reader(r)->io.fd);
}

static const aw_writer_type type = {
    .name = "pipe",
    .vectored = AW_VECTORED_YES,
    .poll_write = aw_fd_stream_poll_write,
    .poll_flush = aw_fd_stream_poll_flush,
    .poll_shutdown = poll_shutdown,
    .describe = describe,
    .destroy = aw_fd_stream_destroy_writer,
};

static const aw_reader_type reader_type = {
    .name = "pipe",
    .poll_read = aw_fd_stream_poll_read,
    .describe = describe_reader,
    .destroy = aw_fd_stream_destroy_reader,
};

/* A second open file for the same pipe or device, so that O_NONBLOCK is not shared with whoever else holds fd. Where
 * that cannot be had the descriptor is dup'd, and the flags are put back at close; sockets need no flag. */
static int own_descriptor(int fd, int flags, bool socket, bool *shared) {
  int own = socket ? -1 : aw_fd_reopen(fd, flags & O_ACCMODE);
  *shared = own < 0 && !socket && !(flags & O_NONBLOCK);
  if (own >= 0) return own;
  int dup = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return dup < 0 ? uv_translate_sys_error(errno) : dup;
}

int aw_pipe_open(aw_stream *out, aw_reactor *reactor, int fd) {
  struct stat st;
  int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;
  if (flags < 0 || fstat(fd, &st) < 0) return uv_translate_sys_error(errno);
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return UV_EPERM;
  bool shared, socket = S_ISSOCK(st.st_mode);
  int own = own_descriptor(fd, flags, socket, &shared);
  if (own < 0) return own;
  aw_stream s;
  int rc = aw_fd_stream_new(&s, reactor, own, socket, mode == O_RDONLY ? NULL : &type,
                            mode == O_WRONLY ? NULL : &reader_type);
  if (rc < 0) return rc;
  struct aw_fd_stream *self = s.w ? aw_fd_stream_of_writer(s.w) : aw_fd_stream_of_reader(s.r);
  if (shared) {
    self->saved_flags = flags;
    fcntl(own, F_SETFL, flags | O_NONBLOCK);
  }
  *out = s;
  return 0;
}

static int pipe_of_ours(int fds[2]) {
#ifdef __linux__
  return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
#else
  if (pipe(fds) < 0) return -1;
  for (int i = 0; i < 2; i++) {
    fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
#endif
}

int aw_pipe_pair(aw_stream *out, aw_reactor *reactor) {
  int fds[2];
  aw_stream r, w;
  if (pipe_of_ours(fds) < 0) return uv_translate_sys_error(errno);
  int rc = aw_fd_stream_new(&r, reactor, fds[0], false, NULL, &reader_type);
  if (rc < 0) {
    close(fds[1]);
    return rc;
  }
  rc = aw_fd_stream_new(&w, reactor, fds[1], false, &type, NULL);
  if (rc < 0) {
    aw_stream_free(&r);
    return rc;
  }
  *out = (aw_stream){.w = w.w, .r = r.r};
  return 0;
}

int aw_pipe_half(aw_stream *out, aw_reactor *reactor, bool writing, int *other) {
  int fds[2];
  if (pipe_of_ours(fds) < 0) return uv_translate_sys_error(errno);
  int rc = aw_fd_stream_new(out, reactor, fds[writing], false, writing ? &type : NULL, writing ? NULL : &reader_type);
  if (rc < 0) {
    close(fds[!writing]);
    return rc;
  }
  fcntl(fds[!writing], F_SETFL, 0);
  *other = fds[!writing];
  return 0;
}
