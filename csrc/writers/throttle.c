/* SPDX-License-Identifier: MIT */
/* throttle: so many bytes per second, by a token bucket that fills up to a burst; for readers likewise. Wrappers. */
#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>

struct bucket {
  aw_reactor *reactor;
  double rate, burst, tokens; /* bytes per second, bytes, bytes */
  uint64_t last;              /* when tokens was right */
  aw_timer *timer;            /* of the latest wait; left alone when tokens are there sooner: somebody may wait on it */
};

struct throttle {
  aw_writer w;
  struct bucket bucket;
};

struct throttle_reader {
  aw_reader r;
  struct bucket bucket;
};

#define SLICES 100     /* waits per second, so that the pace is even */
#define TOLERANCE 1e-6 /* bytes by which rounding may be off */

static void refill(struct bucket *b) {
  uint64_t now = aw_reactor_now(b->reactor);
  if (now > b->last) b->tokens += (double)(now - b->last) * b->rate / 1e9;
  if (b->tokens > b->burst) b->tokens = b->burst;
  b->last = now;
}

/* How many of want bytes may go through now, at least 1; or pending, woken when it is a hundredth of a second's worth.
 */
static ssize_t allow(struct bucket *b, aw_waker *waker, size_t want) {
  double need = b->rate / SLICES;
  if (need > b->burst) need = b->burst;
  if (need > (double)want) need = (double)want;
  if (need < 1) need = 1;
  for (;;) {
    refill(b);
    if (b->tokens + TOLERANCE >= need) break;
    if (waker == NULL) return AW_PENDING;
    aw_timer_free(b->timer);
    b->timer = NULL;
    int rc = aw_timer_new(&b->timer, b->reactor, b->last + (uint64_t)((need - b->tokens) * 1e9 / b->rate) + 1);
    if (rc == 0) rc = aw_poll_timer(b->timer, waker);
    if (rc < 0) return rc;
  }
  double most = b->tokens + TOLERANCE;
  return most < (double)want ? (ssize_t)most : (ssize_t)want;
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct bucket *b = &((struct throttle *)w)->bucket;
  size_t want = aw_bufs_total(bufs, nbufs);
  if (want > SSIZE_MAX) want = SSIZE_MAX;
  if (want == 0) return aw_poll_write(w->inner, waker, bufs, nbufs);
  ssize_t n = allow(b, waker, want);
  if (n < 0) return n;
  uv_buf_t piece;
  nbufs = aw_bufs_cut(&bufs, nbufs, (uint64_t)n, &piece);
  n = aw_poll_write(w->inner, waker, bufs, nbufs);
  if (n > 0) b->tokens -= (double)n;
  return n;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct bucket *b = &((struct throttle_reader *)r)->bucket;
  ssize_t n = allow(b, waker, len);
  if (n < 0) return n;
  n = aw_poll_read(r->inner, waker, base, (size_t)n);
  if (n > 0) b->tokens -= (double)n;
  return n;
}

static void describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "throttle(%.0f/s)", ((const struct throttle *)w)->bucket.rate);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  snprintf(text, size, "throttle_reader(%.0f/s)", ((const struct throttle_reader *)r)->bucket.rate);
}

static void destroy(aw_writer *w) {
  aw_timer_free(((struct throttle *)w)->bucket.timer);
  free(w);
}

static void destroy_reader(aw_reader *r) {
  aw_timer_free(((struct throttle_reader *)r)->bucket.timer);
  free(r);
}

static const aw_writer_type type = {
    .name = "throttle",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_pass_flush,
    .poll_shutdown = aw_pass_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "throttle_reader",
    .poll_read = poll_read,
    .describe = describe_reader,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

static struct bucket *find(const aw_stream *s) {
  aw_writer *w = aw_chain_find(s->w, &type);
  aw_reader *r = w ? NULL : aw_chain_find_reader(s->r, &reader_type);
  return w ? &((struct throttle *)w)->bucket : r ? &((struct throttle_reader *)r)->bucket : NULL;
}

bool aw_throttle_rate(const aw_stream *s, double *rate, double *burst) {
  const struct bucket *b = find(s);
  if (b) *rate = b->rate, *burst = b->burst;
  return b != NULL;
}

bool aw_throttle_set_rate(const aw_stream *s, double rate, double burst) {
  struct bucket *b = find(s);
  if (b == NULL || !(rate > 0) || !(burst >= 1)) return false;
  refill(b);
  b->rate = rate, b->burst = burst;
  if (b->timer) aw_timer_fire(b->timer);
  return true;
}

static struct bucket full(aw_reactor *reactor, double rate, double burst) {
  return (struct bucket){
      .reactor = reactor, .rate = rate, .burst = burst, .tokens = burst, .last = aw_reactor_now(reactor)};
}

int aw_throttle_new(aw_writer **out, aw_writer *inner, aw_reactor *reactor, double rate, double burst) {
  if (!(rate > 0) || !(burst >= 1)) return UV_EINVAL;
  struct throttle *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, inner);
  self->bucket = full(reactor, rate, burst);
  *out = &self->w;
  return 0;
}

int aw_throttle_reader_new(aw_reader **out, aw_reader *inner, aw_reactor *reactor, double rate, double burst) {
  if (!(rate > 0) || !(burst >= 1)) return UV_EINVAL;
  struct throttle_reader *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_reader_init(&self->r, &reader_type, inner);
  self->bucket = full(reactor, rate, burst);
  *out = &self->r;
  return 0;
}
