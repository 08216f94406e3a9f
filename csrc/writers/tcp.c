/* SPDX-License-Identifier: MIT */
/* tcp: a TCP socket, as tokio's TcpStream. A leaf. */
#include "reactor/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t size_of(const struct sockaddr *addr) {
  return addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void describe_peer(int fd, const char *name, char *text, size_t size) {
  struct sockaddr_storage addr = {0};
  socklen_t len = sizeof addr;
  char ip[INET6_ADDRSTRLEN] = "";
  if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0) {
    snprintf(text, size, "%s", name);
  } else if (addr.ss_family == AF_INET6) {
    uv_ip6_name((struct sockaddr_in6 *)&addr, ip, sizeof ip);
    snprintf(text, size, "%s [%s]:%u", name, ip, ntohs(((struct sockaddr_in6 *)&addr)->sin6_port));
  } else {
    uv_ip4_name((struct sockaddr_in *)&addr, ip, sizeof ip);
    snprintf(text, size, "%s %s:%u", name, ip, ntohs(((struct sockaddr_in *)&addr)->sin_port));
  }
}

static void describe(const aw_writer *w, char *text, size_t size) {
  describe_peer(aw_fd_stream_of_writer(w)->io.fd, w->type->name, text, size);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  describe_peer(aw_fd_stream_of_reader(r)->io.fd, r->type->name, text, size);
}

/* A short read has taken all there is, so the next one waits instead of asking the kernel again (P10): a system call
 * less for each message. Not so once urgent data or the end has been reported: no further edge would come. */
static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct aw_fd *io = &aw_fd_stream_of_reader(r)->io;
  ssize_t n = aw_fd_read(io, waker, base, len);
  if (n > 0 && (size_t)n < len && !io->may_stop_early) io->blocked[AW_READ] = true;
  return n;
}

static const aw_writer_type type = {
    .name = "tcp",
    .vectored = AW_VECTORED_YES,
    .poll_write = aw_fd_stream_poll_write,
    .poll_flush = aw_fd_stream_poll_flush,
    .poll_shutdown = aw_socket_poll_shutdown,
    .describe = describe,
    .destroy = aw_fd_stream_destroy_writer,
};

static const aw_reader_type reader_type = {
    .name = "tcp",
    .poll_read = poll_read,
    .describe = describe_reader,
    .destroy = aw_fd_stream_destroy_reader,
};

int aw_tcp_connect(aw_stream *out, aw_reactor *reactor, const struct sockaddr *to, const struct sockaddr *from) {
  int fd = aw_socket_open(to->sa_family);
  if (fd < 0) return fd;
  if (from && bind(fd, from, size_of(from)) < 0) {
    int rc = uv_translate_sys_error(errno);
    close(fd);
    return rc;
  }
  return aw_socket_connect(out, reactor, fd, to, size_of(to), &type, &reader_type);
}

int aw_tcp_open(aw_stream *out, aw_reactor *reactor, int fd) {
  struct sockaddr_storage peer = {0};
  socklen_t len = sizeof peer;
  if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0) return uv_translate_sys_error(errno);
  if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return UV_EINVAL;
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return uv_translate_sys_error(errno);
  return aw_fd_stream_new(out, reactor, own, true, &type, &reader_type);
}

int aw_tcp_listen(aw_listener **out, aw_reactor *reactor, const struct sockaddr *at, int backlog, bool reuseport) {
  int fd = aw_socket_open(at->sa_family);
  if (fd < 0) return fd;
  const int on = 1;
  int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (rc == 0 && reuseport) rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (rc == 0 && at->sa_family == AF_INET6) rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (rc == 0) rc = bind(fd, at, size_of(at));
  rc = rc < 0 ? uv_translate_sys_error(errno) : aw_socket_listen(out, reactor, fd, backlog, &type, &reader_type);
  if (rc < 0) close(fd);
  return rc;
}
