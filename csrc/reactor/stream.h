/* SPDX-License-Identifier: MIT */
/* A writer and a reader over one descriptor: the body of tcp, unix and pipe. */
#ifndef AW_STREAM_H
#define AW_STREAM_H

#include "reactor/fd.h"

struct aw_fd_stream {
  aw_writer w;
  aw_reader r;
  struct aw_fd io;
  unsigned halves; /* still alive: bit AW_READ, bit AW_WRITE */
  bool connecting;
  int saved_flags; /* of a descriptor whose open file is shared: put back at close; -1: nothing to put back */
};

/* Takes fd over, also when it fails (then it is closed). A NULL type: that half does not exist. */
int aw_fd_stream_new(aw_stream *out, aw_reactor *reactor, int fd, bool socket, const aw_writer_type *wt,
                     const aw_reader_type *rt);

void aw_fd_stream_close(
    struct aw_fd_stream *self); /* the descriptor goes, the halves stay: writes fail with UV_EPIPE */

/* A non-blocking open file of its own for the terminal, pipe or device behind fd; negative when it cannot be had. */
int aw_fd_reopen(int fd, int access);

struct aw_fd_stream *aw_fd_stream_of_writer(const aw_writer *w);
struct aw_fd_stream *aw_fd_stream_of_reader(const aw_reader *r);

ssize_t aw_fd_stream_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
int aw_fd_stream_poll_flush(aw_writer *w, aw_waker *waker);
int aw_socket_poll_shutdown(aw_writer *w, aw_waker *waker);
ssize_t aw_fd_stream_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len);
void aw_fd_stream_destroy_writer(aw_writer *w);
void aw_fd_stream_destroy_reader(aw_reader *r);

/* Sockets. connect takes fd over as above; listen does so only when it succeeds. */
int aw_socket_open(int domain);
int aw_socket_connect(aw_stream *out, aw_reactor *reactor, int fd, const struct sockaddr *to, socklen_t len,
                      const aw_writer_type *wt, const aw_reader_type *rt);

struct aw_listener {
  struct aw_fd io;
  const aw_writer_type *wt;
  const aw_reader_type *rt;
  void (*on_free)(struct aw_listener *listener); /* before the descriptor closes; may be NULL */
  char *path;                                    /* unix: unlinked if it is still the file that was bound */
  uint64_t dev, ino;
  pid_t pid;
};
int aw_socket_listen(aw_listener **out, aw_reactor *reactor, int fd, int backlog, const aw_writer_type *wt,
                     const aw_reader_type *rt);

#endif
