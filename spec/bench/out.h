/* A non-blocking socket with the buffer of tokio's BufWriter: the floor of buffered writing, for C programs (writer.c)
 * and for the barest method of Lua (lua/probe.c).
 *
 * SPDX-License-Identifier: MIT */
#ifndef ASYNCWRITE_SPEC_BENCH_OUT_H
#define ASYNCWRITE_SPEC_BENCH_OUT_H

#include "bench.h"

#define BUFFER_SIZE 8192

struct out {
  int fd, ep;
  size_t fill;
  char buffer[BUFFER_SIZE];
};

static inline void out_wait_for_room(struct out *out) {
  struct epoll_event ev;
  if (out->ep < 0) {
    out->ep = epoll_create1(EPOLL_CLOEXEC);
    bench_epoll_add(out->ep, out->fd, EPOLLOUT, NULL);
  }
  if (epoll_wait(out->ep, &ev, 1, -1) < 0 && errno != EINTR) bench_die("epoll_wait");
}

static inline void out_write_all(struct out *out, const char *s, size_t len) {
  while (len) {
    ssize_t n = write(out->fd, s, len);
    if (n < 0) {
      bench_check(errno == EAGAIN, "write");
      out_wait_for_room(out);
      continue;
    }
    s += n;
    len -= (size_t)n;
  }
}

static inline void out_flush(struct out *out) {
  out_write_all(out, out->buffer, out->fill);
  out->fill = 0;
}

static inline void out_write_buffered(struct out *out, const char *s, size_t len) {
  if (len > BUFFER_SIZE - out->fill) out_flush(out);
  if (len >= BUFFER_SIZE) {
    out_write_all(out, s, len);
    return;
  }
  memcpy(out->buffer + out->fill, s, len);
  out->fill += len;
}

#endif
