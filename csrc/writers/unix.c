/* SPDX-License-Identifier: MIT */
/* unix: a Unix domain stream socket, as tokio's UnixStream. A leaf. */
#include "reactor/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The name of the peer if it has one, else our own: one of the two ends is always the listener's. */
static void describe_name(int fd, const char *name, char *text, size_t size) {
  struct sockaddr_un addr = {0};
  for (int own = 0; own < 2; own++) {
    socklen_t len = sizeof addr;
    int rc = own ? getsockname(fd, (struct sockaddr *)&addr, &len) : getpeername(fd, (struct sockaddr *)&addr, &len);
    size_t n =
        rc == 0 && len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;
    if (n == 0) continue;
    bool abstract = addr.sun_path[0] == '\0';
    if (abstract) snprintf(text, size, "%s @%.*s", name, (int)n - 1, addr.sun_path + 1);
    else snprintf(text, size, "%s %.*s", name, (int)n, addr.sun_path);
    return;
  }
  snprintf(text, size, "%s", name);
}

static void describe(const aw_writer *w, char *text, size_t size) {
  describe_name(aw_fd_stream_of_writer(w)->io.fd, w->type->name, text, size);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  describe_name(aw_fd_stream_of_reader(r)->io.fd, r->type->name, text, size);
}

static int address(struct sockaddr_un *addr, socklen_t *size, const char *path, size_t len) {
  bool abstract = len > 0 && path[0] == '\0';
  if (len == 0 || (!abstract && memchr(path, '\0', len))) return UV_EINVAL;
  if (len >= sizeof addr->sun_path) return UV_ENAMETOOLONG;
  *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(addr->sun_path, path, len);
  *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (abstract ? 0 : 1));
  return 0;
}

/* Only the file that this process bound is unlinked, not one that has taken its place. */
static void unlink_own(struct aw_listener *listener) {
  struct stat st;
  if (listener->path == NULL || listener->pid != getpid()) return;
  if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino)
    unlink(listener->path);
}

static const aw_writer_type type = {
    .name = "unix",
    .vectored = AW_VECTORED_YES,
    .poll_write = aw_fd_stream_poll_write,
    .poll_flush = aw_fd_stream_poll_flush,
    .poll_shutdown = aw_socket_poll_shutdown,
    .describe = describe,
    .destroy = aw_fd_stream_destroy_writer,
};

static const aw_reader_type reader_type = {
    .name = "unix",
    .poll_read = aw_fd_stream_poll_read,
    .describe = describe_reader,
    .destroy = aw_fd_stream_destroy_reader,
};

int aw_unix_connect(aw_stream *out, aw_reactor *reactor, const char *path, size_t len) {
  struct sockaddr_un addr;
  socklen_t size;
  int rc = address(&addr, &size, path, len);
  if (rc < 0) return rc;
  int fd = aw_socket_open(AF_UNIX);
  return fd < 0 ? fd : aw_socket_connect(out, reactor, fd, (struct sockaddr *)&addr, size, &type, &reader_type);
}

int aw_unix_pair(aw_stream *a, aw_stream *b, aw_reactor *reactor) {
  int fds[2];
#ifdef SOCK_CLOEXEC
  const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
#else
  const int flags = 0;
#endif
  if (socketpair(AF_UNIX, SOCK_STREAM | flags, 0, fds) < 0) return uv_translate_sys_error(errno);
  int rc = aw_fd_stream_new(a, reactor, fds[0], true, &type, &reader_type);
  if (rc < 0) {
    close(fds[1]);
    return rc;
  }
  rc = aw_fd_stream_new(b, reactor, fds[1], true, &type, &reader_type);
  if (rc < 0) aw_stream_free(a);
  return rc;
}

int aw_unix_listen(aw_listener **out, aw_reactor *reactor, const char *path, size_t len, int backlog) {
  struct sockaddr_un addr;
  socklen_t size;
  struct stat st;
  char *copy = NULL;
  bool bound = false;
  int rc = address(&addr, &size, path, len);
  if (rc < 0) return rc;
  int fd = aw_socket_open(AF_UNIX);
  if (fd < 0) return fd;
  if (path[0] != '\0' && (copy = strndup(path, len)) == NULL) errno = ENOMEM;
  else if (bind(fd, (struct sockaddr *)&addr, size) == 0) bound = true;
  if (!bound || (copy && lstat(copy, &st) < 0)) rc = uv_translate_sys_error(errno);
  if (rc == 0) rc = aw_socket_listen(out, reactor, fd, backlog, &type, &reader_type);
  if (rc < 0) goto fail;
  (*out)->path = copy;
  (*out)->on_free = unlink_own;
  if (copy) (*out)->dev = st.st_dev, (*out)->ino = st.st_ino;
  return 0;
fail:
  if (bound && copy) unlink(copy);
  free(copy);
  close(fd);
  return rc;
}
