/* SPDX-License-Identifier: MIT */
/* More buffers in one write than the system takes in one call: the dispatcher hands 1,024 on, and the count says so
 * (V7). Run by spec/unit/c_api_spec.lua. */
#include "asyncwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(truth) ((truth) ? (void)0 : failed(__LINE__, #truth))

enum { CAP = 1024, MANY = 3000, EMPTY_AT_START = 5, MOST = MANY * 4 };

static void failed(int line, const char *truth) {
  fprintf(stderr, "many_buffers.c:%d: not so: %s\n", line, truth);
  exit(1);
}

/* ---- A leaf that takes all it is handed, and notes how many buffers those were ---- */
struct log {
  aw_writer w;
  unsigned calls, nbufs;
  size_t len;
  char data[MOST];
};

static ssize_t log_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct log *self = (struct log *)w;
  size_t before = self->len;
  (void)waker;
  self->calls++, self->nbufs = nbufs;
  for (unsigned i = 0; i < nbufs; i++) {
    CHECK(bufs[i].len <= sizeof self->data - self->len);
    if (bufs[i].len > 0) memcpy(self->data + self->len, bufs[i].base, bufs[i].len);
    self->len += bufs[i].len;
  }
  return (ssize_t)(self->len - before);
}

/* Claims the first byte that it was not handed. */
static ssize_t lying_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  return log_write(w, waker, bufs, nbufs) + 1;
}

static void log_destroy(aw_writer *w) { (void)w; }

static const aw_writer_type types[] = {
    {.name = "log",
     .vectored = AW_VECTORED_YES,
     .poll_write = log_write,
     .poll_flush = aw_ready,
     .poll_shutdown = aw_ready,
     .describe = aw_describe_name,
     .destroy = log_destroy},
    {.name = "liar",
     .vectored = AW_VECTORED_YES,
     .poll_write = lying_write,
     .poll_flush = aw_ready,
     .poll_shutdown = aw_ready,
     .describe = aw_describe_name,
     .destroy = log_destroy},
};

static struct log leaf;

static aw_writer *leaf_new(bool lies) {
  memset(&leaf, 0, sizeof leaf);
  aw_writer_init(&leaf.w, &types[lies], NULL);
  return &leaf.w;
}

/* ---- What is written: buffers of 1 to 4 bytes, some of none, the first of none ---- */
static char all[MOST];
static uv_buf_t given[MANY];
static size_t total;

static void make_buffers(void) {
  for (size_t i = 0; i < sizeof all; i++) all[i] = (char)(i * 2654435761u >> 13);
  for (unsigned i = 0; i < MANY; i++) {
    size_t len = i < EMPTY_AT_START || i % 7 == 0 ? 0 : 1 + i % 4;
    given[i] = (uv_buf_t){.base = len > 0 ? all + total : NULL, .len = len};
    total += len;
  }
}

static size_t sum(unsigned from, unsigned n) {
  size_t len = 0;
  for (unsigned i = from; i < from + n; i++) len += given[i].len;
  return len;
}

/* As write_all does it: what was accepted is stepped over, also within a buffer. Returns the number of writes. */
static unsigned write_all(aw_writer *w) {
  uv_buf_t rest[MANY], *at = rest;
  unsigned writes = 0, left = MANY;
  memcpy(rest, given, sizeof rest);
  for (size_t done = 0; done < total; writes++) {
    ssize_t n = aw_poll_write(w, NULL, at, left);
    CHECK(n > 0);
    done += (size_t)n;
    for (size_t skip = (size_t)n; left > 0 && skip >= at->len; at++, left--) skip -= at->len, n -= (ssize_t)at->len;
    if (left > 0) at->base += n, at->len -= (size_t)n;
  }
  return writes;
}

/* ---- The cases ---- */
static void the_cap_is_what_is_handed_on(void) {
  aw_writer *w = leaf_new(false);
  CHECK(aw_poll_write(w, NULL, given, MANY) == (ssize_t)sum(EMPTY_AT_START, CAP));
  CHECK(leaf.calls == 1 && leaf.nbufs == CAP && leaf.len == sum(EMPTY_AT_START, CAP));
  CHECK(memcmp(leaf.data, all, leaf.len) == 0);
  w = leaf_new(false);
  CHECK(aw_poll_write(w, NULL, given + EMPTY_AT_START, CAP) == (ssize_t)sum(EMPTY_AT_START, CAP));
  CHECK(leaf.nbufs == CAP);
}

static void nothing_is_lost(void) {
  CHECK(write_all(leaf_new(false)) == 3);
  CHECK(leaf.calls == 3 && leaf.len == total && memcmp(leaf.data, all, total) == 0);
}

/* The count is held against what was handed on, not against all that was given (P1). */
static void more_than_the_cap_holds_is_a_broken_contract(void) {
  CHECK(aw_poll_write(leaf_new(true), NULL, given, MANY) == AW_ECONTRACT);
}

/* A wrapper that hands vectors on, and one that gathers them. */
static void wrappers_lose_nothing(void) {
  aw_writer *w;
  CHECK(aw_limit_new(&w, leaf_new(false), total) == 0);
  CHECK(write_all(w) == 3 && leaf.len == total && memcmp(leaf.data, all, total) == 0);
  aw_writer_free(w);
  CHECK(aw_buf_writer_new(&w, leaf_new(false), 1000) == 0);
  write_all(w);
  CHECK(aw_poll_flush(w, NULL) == 0 && leaf.len == total && memcmp(leaf.data, all, total) == 0);
  aw_writer_free(w);
}

/* The system refuses more by EINVAL: sendmsg on a socket, writev on a pipe. */
static void try_descriptor(aw_writer *w, aw_reader *r) {
  static char got[MOST];
  CHECK(aw_poll_write(w, NULL, given, MANY) == (ssize_t)sum(EMPTY_AT_START, CAP));
  CHECK(aw_poll_read(r, NULL, got, sizeof got) == (ssize_t)sum(EMPTY_AT_START, CAP));
  CHECK(write_all(w) == 3);
  for (size_t len = 0; len < total;) {
    ssize_t n = aw_poll_read(r, NULL, got + len, sizeof got - len);
    CHECK(n > 0);
    len += (size_t)n;
  }
  CHECK(memcmp(got, all, total) == 0);
}

static void descriptors_take_it(void) {
  aw_reactor *reactor;
  aw_stream near, far, pipe;
  CHECK(aw_reactor_new(&reactor, NULL) == 0);
  CHECK(aw_unix_pair(&near, &far, reactor) == 0 && aw_pipe_pair(&pipe, reactor) == 0);
  try_descriptor(near.w, far.r);
  try_descriptor(pipe.w, pipe.r);
  aw_stream_free(&near), aw_stream_free(&far), aw_stream_free(&pipe);
  aw_reactor_free(reactor);
}

int main(void) {
  make_buffers();
  the_cap_is_what_is_handed_on();
  nothing_is_lost();
  more_than_the_cap_holds_is_a_broken_contract();
  wrappers_lose_nothing();
  descriptors_take_it();
  puts("ok");
  return 0;
}
