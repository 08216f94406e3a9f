/* SPDX-License-Identifier: MIT */
/* The library from C, without Lua: a writer and a reader of our own, stacked under the library's, and tcp on a private
 * loop as well as on one that is ours. Includes asyncwrite.h and nothing else of the library. */
#include "asyncwrite.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                  \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* ---- A waker: counts ---- */
struct counter {
  aw_waker waker;
  unsigned wakes, freed;
};

static void on_wake(aw_waker *waker) { ((struct counter *)waker)->wakes++; }
static void on_free(aw_waker *waker) { ((struct counter *)waker)->freed++; }
static const aw_waker_type counter_type = {.wake = on_wake, .free = on_free};

static void counter_init(struct counter *c) {
  *c = (struct counter){.wakes = 0};
  aw_waker_init(&c->waker, &counter_type);
}

/* ---- A writer: keeps what it gets in capitals, at most three bytes a time, pending every second time ---- */
struct shout {
  aw_writer w;
  char text[256];
  size_t len;
  unsigned polls, flushes, shutdowns;
  bool lies; /* claims one byte more than it was given */
  unsigned *destroyed;
};

static ssize_t shout_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct shout *self = (struct shout *)w;
  CHECK(nbufs == 1); /* not vectored: one buffer (V2) */
  if (self->lies) return (ssize_t)bufs->len + 1;
  if (self->polls++ % 2 == 1) {
    if (waker) waker->type->wake(waker); /* worth polling again at once */
    return AW_PENDING;
  }
  size_t n = bufs->len < 3 ? bufs->len : 3;
  CHECK(self->len + n <= sizeof self->text);
  for (size_t i = 0; i < n; i++) {
    char c = bufs->base[i];
    self->text[self->len++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
  }
  return (ssize_t)n;
}

static int shout_flush(aw_writer *w, aw_waker *waker) {
  (void)waker;
  ((struct shout *)w)->flushes++;
  return 0;
}

static int shout_shutdown(aw_writer *w, aw_waker *waker) {
  (void)waker;
  ((struct shout *)w)->shutdowns++;
  return 0;
}

static void shout_destroy(aw_writer *w) {
  if (((struct shout *)w)->destroyed) ++*((struct shout *)w)->destroyed;
  free(w);
}

static const aw_writer_type shout_type = {
    .name = "shout",
    .vectored = AW_VECTORED_NO,
    .poll_write = shout_write,
    .poll_flush = shout_flush,
    .poll_shutdown = shout_shutdown,
    .describe = aw_describe_name,
    .destroy = shout_destroy,
};

static struct shout *shout_new(unsigned *destroyed) {
  struct shout *self = calloc(1, sizeof *self);
  CHECK(self);
  aw_writer_init(&self->w, &shout_type, NULL);
  self->destroyed = destroyed;
  return self;
}

/* ---- A reader: so many bytes of a pattern ---- */
struct counting {
  aw_reader r;
  size_t at, size;
};

static char byte_at(size_t i) { return (char)('a' + i * 7 % 26); }

static ssize_t counting_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct counting *self = (struct counting *)r;
  (void)waker;
  size_t n = self->size - self->at < len ? self->size - self->at : len;
  for (size_t i = 0; i < n; i++) base[i] = byte_at(self->at++);
  return (ssize_t)n;
}

static void counting_destroy(aw_reader *r) { free(r); }

static const aw_reader_type counting_type = {
    .name = "counting",
    .poll_read = counting_read,
    .describe = aw_reader_describe_name,
    .destroy = counting_destroy,
};

static aw_reader *counting_new(size_t size) {
  struct counting *self = calloc(1, sizeof *self);
  CHECK(self);
  aw_reader_init(&self->r, &counting_type, NULL);
  self->size = size;
  return &self->r;
}

static uv_buf_t text(const char *s) { return (uv_buf_t){.base = (char *)(uintptr_t)s, .len = strlen(s)}; }

/* ---- What needs no loop ---- */
static void stacked_writer(void) {
  struct counter c;
  counter_init(&c);
  unsigned destroyed = 0;
  struct shout *inner = shout_new(&destroyed);
  aw_writer *w;
  CHECK(aw_buf_writer_new(&w, &inner->w, 8) == 0);
  CHECK(w->inner == &inner->w && aw_is_write_vectored(w) && !aw_is_write_vectored(&inner->w));
  char chain[64];
  aw_describe(w, chain, sizeof chain);
  CHECK(strcmp(chain, "buf_writer(8) > shout") == 0);

  uv_buf_t parts[] = {text("hel"), text(""), text("lo")};
  ssize_t n = aw_poll_write(w, &c.waker, parts, 3); /* inner takes one buffer at a time: so does the buffer (V6) */
  CHECK(n >= 3 && n <= 5);
  if (n < 5) CHECK(aw_poll_write(w, &c.waker, &parts[2], 1) == 2);
  CHECK(inner->len == 0 && aw_buffered(w) == 5);

  uv_buf_t more = text("world");
  while ((n = aw_poll_write(w, &c.waker, &more, 1)) == AW_PENDING) CHECK(c.wakes > 0);
  CHECK(n == 5 && inner->len == 5 && aw_buffered(w) == 5);
  int rc;
  while ((rc = aw_poll_flush(w, &c.waker)) == AW_PENDING) continue;
  CHECK(rc == 0 && aw_buffered(w) == 0 && inner->flushes == 1);
  CHECK(inner->len == 10 && memcmp(inner->text, "HELLOWORLD", 10) == 0);

  while ((rc = aw_poll_shutdown(w, &c.waker)) == AW_PENDING) continue;
  CHECK(rc == 0 && aw_poll_shutdown(w, &c.waker) == 0 && inner->shutdowns == 1 && aw_is_shutdown(&inner->w));
  CHECK(aw_poll_write(w, &c.waker, &more, 1) == UV_EPIPE);
  aw_writer_free(w);
  CHECK(destroyed == 1 && c.waker.refs == 1 && c.freed == 0);
}

static void broken_contracts(void) {
  struct shout *liar = shout_new(NULL);
  uv_buf_t buf = text("x");
  liar->lies = true;
  CHECK(aw_poll_write(&liar->w, NULL, &buf, 1) == AW_ECONTRACT);
  aw_writer *w = NULL;
  CHECK(aw_buf_writer_new(&w, &liar->w, SIZE_MAX) == UV_EINVAL && w == NULL); /* inner stays ours */
  aw_writer_free(&liar->w);
  aw_stream a = {NULL, NULL}, b = {NULL, NULL};
  CHECK(aw_duplex_new(&a, &b, 0) == UV_EINVAL && a.w == NULL); /* M3 */
  CHECK(strcmp(aw_err_name(UV_EPIPE), "EPIPE") == 0 && strcmp(aw_strerror(UV_EPIPE), "broken pipe") == 0);
  CHECK(aw_err_name(-123456) && aw_strerror(-123456));
  aw_writer_free(NULL);
  aw_reader_free(NULL);
}

static void copy_tells_what_it_waits_for(void) {
  aw_stream near, far, source, feed;
  aw_copy *copy;
  struct counter c;
  char got[8];
  counter_init(&c);
  CHECK(aw_duplex_new(&near, &far, 4) == 0 && aw_duplex_new(&source, &feed, 8) == 0);
  CHECK(aw_copy_new(&copy, 8, false) == 0 && aw_poll_copy(copy, source.r, near.w, &c.waker) == AW_PENDING);
  CHECK(!aw_copy_is_writing(copy));
  CHECK(aw_poll_write(feed.w, &c.waker, &(uv_buf_t){.base = (char[]){"abcdef"}, .len = 6}, 1) == 6);
  CHECK(aw_poll_copy(copy, source.r, near.w, &c.waker) == AW_PENDING && aw_copy_is_writing(copy));
  CHECK(aw_poll_read(far.r, &c.waker, got, 8) == 4);
  CHECK(aw_poll_copy(copy, source.r, near.w, &c.waker) == AW_PENDING && !aw_copy_is_writing(copy));
  aw_copy_free(copy);
  aw_stream_free(&near);
  aw_stream_free(&far);
  aw_stream_free(&source);
  aw_stream_free(&feed);
}

static void copy_and_lines(void) {
  aw_reader *r = counting_new(100000);
  aw_writer *w;
  aw_copy *copy;
  CHECK(aw_memory_new(&w, 1 << 20) == 0 && aw_copy_new(&copy, 777, true) == 0);
  int rc;
  struct counter c;
  counter_init(&c);
  while ((rc = aw_poll_copy(copy, r, w, &c.waker)) == AW_PENDING)
    CHECK(c.wakes > 0 && !aw_copy_is_writing(copy)); /* it yields now and then */
  CHECK(rc == 0 && aw_copy_total(copy) == 100000 && aw_is_shutdown(w));
  size_t len;
  const char *data = aw_memory_data(w, &len);
  CHECK(len == 100000);
  for (size_t i = 0; i < len; i++) CHECK(data[i] == byte_at(i));
  aw_copy_free(copy);
  aw_writer_free(w);
  aw_reader_free(r);

  aw_reader *lines;
  CHECK(aw_buf_reader_new(&lines, counting_new(60), 16) == 0);
  ssize_t n = aw_buf_reader_poll_until(lines, NULL, "o", 1, 100, &data); /* "aho" */
  CHECK(n == 3 && memcmp(data, "aho", 3) == 0);
  aw_buf_reader_consume(lines, (size_t)n);
  n = aw_buf_reader_poll_until(lines, NULL, "!", 1, 20, &data);
  CHECK(n == UV_EMSGSIZE);
  aw_reader_free(lines);
}

static void pipes_in_memory(void) {
  struct counter c;
  counter_init(&c);
  aw_stream near, far;
  CHECK(aw_duplex_new(&near, &far, 4) == 0);
  uv_buf_t buf = text("123456");
  CHECK(aw_poll_write(near.w, &c.waker, &buf, 1) == 4);
  CHECK(aw_poll_write(near.w, &c.waker, &buf, 1) == AW_PENDING && c.waker.refs == 2);
  char got[8];
  CHECK(aw_poll_read(far.r, NULL, got, sizeof got) == 4 && c.wakes == 1 && c.waker.refs == 1);
  CHECK(aw_poll_read(far.r, NULL, got, sizeof got) == AW_PENDING); /* a try registers nothing */
  aw_stream_free(&far);
  CHECK(aw_poll_write(near.w, &c.waker, &buf, 1) == UV_EPIPE);
  aw_stream_free(&near);
  CHECK(c.waker.refs == 1);
}

/* ---- tcp, on a loop that turn() turns ---- */
struct world {
  aw_reactor *reactor;
  uv_loop_t *own; /* ours to run, or NULL */
  struct counter c;
  unsigned handled; /* wakes that led to polls */
};

/* Until a wake that has not been handled yet; it may have come inside the last poll. */
static void turn(struct world *at) {
  while (at->c.wakes == at->handled) {
    CHECK(aw_reactor_waiting(at->reactor) > 0);
    if (at->own) uv_run(at->own, UV_RUN_ONCE);
    else CHECK(aw_reactor_turn(at->reactor, true) == 0);
  }
  at->handled = at->c.wakes;
}

static void connect_both(struct world *at, aw_stream *near, aw_stream *far) {
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  aw_listener *listener;
  CHECK(aw_tcp_listen(&listener, at->reactor, (struct sockaddr *)&addr, 8, false) == 0);
  socklen_t len = sizeof addr;
  CHECK(getsockname(aw_listener_fd(listener), (struct sockaddr *)&addr, &len) == 0);
  CHECK(aw_tcp_connect(near, at->reactor, (struct sockaddr *)&addr, NULL) == 0);
  int rc;
  while ((rc = aw_poll_connect(near->w, &at->c.waker)) == AW_PENDING) turn(at);
  CHECK(rc == 0);
  while ((rc = aw_poll_accept(listener, &at->c.waker, far)) == AW_PENDING) turn(at);
  CHECK(rc == 0);
  aw_listener_free(listener);
}

/* Pours size bytes through buf_writer > tcp while the other end reads and compares. */
static void pour(struct world *at, size_t size) {
  aw_stream near, far;
  connect_both(at, &near, &far);
  aw_writer *w;
  aw_reader *source = counting_new(size);
  aw_copy *copy;
  CHECK(aw_buf_writer_new(&w, near.w, 5000) == 0 && aw_copy_new(&copy, 3000, true) == 0);
  size_t received = 0;
  bool sent = false, ended = false;
  while (!sent || !ended) {
    int rc = sent ? 0 : aw_poll_copy(copy, source, w, &at->c.waker);
    CHECK(rc == 0 || rc == AW_PENDING);
    sent = rc == 0;
    char got[4096];
    ssize_t n = 0;
    while (!ended && (n = aw_poll_read(far.r, &at->c.waker, got, sizeof got)) > 0)
      for (ssize_t i = 0; i < n; i++) CHECK(got[i] == byte_at(received++));
    CHECK(n == 0 || n == AW_PENDING);
    ended = n == 0;
    if (!ended) turn(at);
  }
  CHECK(received == size && aw_copy_total(copy) == size);
  aw_copy_free(copy);
  aw_reader_free(source);
  aw_reader_free(near.r);
  aw_writer_free(w);
  aw_stream_free(&far);
}

static void timers_and_names(struct world *at) {
  aw_timer *timer;
  uint64_t due = aw_reactor_now(at->reactor) + 5000000;
  CHECK(aw_timer_new(&timer, at->reactor, due) == 0);
  while (aw_poll_timer(timer, &at->c.waker) == AW_PENDING) turn(at);
  CHECK(aw_reactor_now(at->reactor) >= due);
  aw_timer_free(timer);

  aw_resolve *resolve;
  const struct addrinfo *list = NULL;
  int rc;
  CHECK(aw_resolve_new(&resolve, at->reactor, "localhost", "80", false) == 0);
  while ((rc = aw_poll_resolve(resolve, &at->c.waker, &list)) == AW_PENDING) turn(at);
  CHECK(rc == 0 && list);
  aw_resolve_free(resolve);
}

static void end(struct world *at, aw_stream *left) {
  aw_reactor_free(at->reactor);
  /* What is left fails from here on, and can still be freed. */
  uv_buf_t buf = text("x");
  char got[1];
  CHECK(aw_poll_read(left->r, &at->c.waker, got, 1) == UV_ECANCELED);
  CHECK(aw_poll_write(left->w, NULL, &buf, 1) == 1);
  aw_stream_free(left);
}

static void with_private_loop(void) {
  struct world at = {.own = NULL};
  aw_stream left, peer;
  counter_init(&at.c);
  CHECK(aw_reactor_new(&at.reactor, NULL) == 0);
  CHECK(aw_reactor_backend_fd(at.reactor) >= 0);
  CHECK(aw_reactor_turn(at.reactor, true) == 0); /* with nothing to wait for it returns */
  pour(&at, 1 << 20);
  timers_and_names(&at);
  CHECK(aw_reactor_waiting(at.reactor) == 0);
  CHECK(aw_unix_pair(&left, &peer, at.reactor) == 0);
  char got[1];
  CHECK(aw_poll_read(left.r, &at.c.waker, got, 1) == AW_PENDING && aw_reactor_waiting(at.reactor) == 1);
  unsigned before = at.c.wakes;
  end(&at, &left);
  CHECK(at.c.wakes == before + 1); /* who waited was woken (W11) */
  aw_stream_free(&peer);
  CHECK(at.c.waker.refs == 1);
}

static void with_a_loop_of_ours(void) {
  uv_loop_t loop;
  struct world at = {.own = &loop};
  aw_stream left, peer;
  counter_init(&at.c);
  CHECK(uv_loop_init(&loop) == 0 && aw_reactor_new(&at.reactor, &loop) == 0);
  pour(&at, 1 << 20);
  timers_and_names(&at);
  uv_run(&loop, UV_RUN_DEFAULT); /* nobody waits: it must end */
  CHECK(aw_unix_pair(&left, &peer, at.reactor) == 0);
  char got[1];
  CHECK(aw_poll_read(left.r, &at.c.waker, got, 1) == AW_PENDING);
  end(&at, &left);
  aw_stream_free(&peer);
  uv_run(&loop, UV_RUN_DEFAULT); /* detached handles are freed in later callbacks */
  CHECK(uv_loop_close(&loop) == 0);
  CHECK(at.c.waker.refs == 1);
}

/* The lowest descriptor that is free. */
static int lowest(void) {
  int fd = dup(0);
  close(fd);
  return fd;
}

int main(void) {
  int before = lowest();
  stacked_writer();
  broken_contracts();
  copy_tells_what_it_waits_for();
  copy_and_lines();
  pipes_in_memory();
  with_private_loop();
  with_a_loop_of_ours();
  CHECK(lowest() == before); /* none leaked */
  puts("ok");
  return 0;
}
