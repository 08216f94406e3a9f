/* SPDX-License-Identifier: MIT */
/* progress: tells how much the inner writer has accepted, at what rate and how long it will take; at most every so
 * often, and once it is shut down. A wrapper. */
#include "asyncwrite.h"

#include <stdlib.h>

struct progress {
  aw_writer w;
  aw_reactor *reactor;
  aw_progress_listener listener;
  uint64_t start, last, interval; /* nanoseconds */
  uint64_t told;                  /* bytes at the last report */
  aw_progress report;
};

#define SMOOTHING 0.3 /* weight of the newest reading in the rate */
#define NS 1e9

static void tell(struct progress *self, uint64_t now, bool ended) {
  aw_progress *p = &self->report;
  double since = (double)(now - (ended ? self->start : self->last)) / NS;
  double rate = since > 0 ? (double)(p->bytes - (ended ? 0 : self->told)) / since : 0;
  p->rate = ended || self->told == 0 ? rate : p->rate + SMOOTHING * (rate - p->rate);
  p->seconds = (double)(now - self->start) / NS;
  p->left = -1;
  if (p->total > 0 && p->rate > 0) p->left = p->bytes < p->total ? (double)(p->total - p->bytes) / p->rate : 0;
  p->ended = ended;
  self->last = now, self->told = p->bytes;
  self->listener.fn(self->listener.data, p);
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct progress *self = (struct progress *)w;
  ssize_t n = aw_poll_write(w->inner, waker, bufs, nbufs);
  if (n <= 0) return n;
  self->report.bytes += (uint64_t)n;
  uint64_t now = aw_reactor_now(self->reactor);
  if (now < self->last) self->last = now; /* a clock of tests was set back */
  if (now - self->last >= self->interval) tell(self, now, false);
  return n;
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  struct progress *self = (struct progress *)w;
  int rc = aw_poll_shutdown(w->inner, waker); /* Ready is latched: this comes once */
  if (rc == 0) tell(self, aw_reactor_now(self->reactor), true);
  return rc;
}

static void destroy(aw_writer *w) {
  struct progress *self = (struct progress *)w;
  if (self->listener.release) self->listener.release(self->listener.data);
  free(w);
}

static const aw_writer_type type = {
    .name = "progress",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = aw_pass_flush,
    .poll_shutdown = poll_shutdown,
    .describe = aw_describe_name,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

int aw_progress_new(aw_writer **out, aw_writer *inner, aw_reactor *reactor, aw_progress_listener listener,
                    uint64_t total, uint64_t interval) {
  struct progress *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, inner);
  self->reactor = reactor;
  self->listener = listener;
  self->start = self->last = aw_reactor_now(reactor);
  self->interval = interval;
  self->report.total = total;
  *out = &self->w;
  return 0;
}
