/* SPDX-License-Identifier: MIT */
/* budgeted: what inner has accepted and still holds is charged to a budget, and a write that finds no room there is
 * NotReady instead of making it more. A wrapper. */
#include "core/budget.h"
#include "core/chain.h"
#include "core/hold.h"

#include <stdio.h>
#include <stdlib.h>

/* Outlives the wrapper while bytes that went through it wait for their reader, or to be written to a disk. */
struct charges {
  struct aw_hold_watch watch;
  struct aw_account account;
  const aw_writer *owner; /* the wrapper; NULL: it is gone */
  bool polling;           /* what changes meanwhile is charged at the end */
  unsigned copies;        /* of each byte that may be held, by the branches of a tee */
  /* Others in the same chain: what goes through both is charged once to a budget that both have, by the outer one. */
  struct charges *outer, *inner, *next; /* the next outer one; the first of the inner ones, and their next */
};

struct budgeted {
  aw_writer w;
  struct charges *charges;
};

static struct charges *of(const aw_writer *w) { return ((const struct budgeted *)w)->charges; }

/* The bytes to be charged now. Watches the leaf that holds them, which may be another than before: a tee drops some. */
static size_t measure(struct charges *self) {
  if (self->owner == NULL) return self->watch.hold ? self->watch.hold->bytes : 0;
  struct aw_hold *hold;
  size_t sum = aw_hold_sum(self->owner->inner, &hold);
  if (hold != self->watch.hold) {
    aw_hold_unwatch(&self->watch);
    if (hold) aw_hold_watch(hold, &self->watch);
  }
  return sum;
}

/* ---- Others in the same chain ---- */

/* The budgets of the inner ones end where one begins that an outer one has too. */
static void share(struct charges *self) {
  aw_budget *stop = NULL;
  for (struct charges *outer = self->outer; outer; outer = outer->outer) {
    aw_budget *shared = aw_account_shared(&self->account, &outer->account);
    if (stop == NULL || aw_budget_is_below(shared, stop)) stop = shared;
  }
  aw_account_stop_at(&self->account, stop);
  for (struct charges *inner = self->inner; inner; inner = inner->next) share(inner);
}

/* Finds the next inner ones, in all branches of a tee. */
static void find_inner(struct charges *self, const aw_writer *w) {
  for (; w; w = w->inner) {
    if (w->type == self->owner->type) {
      struct charges *inner = of(w);
      inner->outer = self, inner->next = self->inner;
      self->inner = inner;
      return;
    }
    for (unsigned i = aw_tee_count(w); i-- > 0;) {
      const aw_writer *branch = aw_tee_look(w, i).w;
      if (branch && branch != w->inner) find_inner(self, branch);
    }
  }
}

static unsigned count_copies(const aw_writer *w) {
  unsigned n = 1;
  for (; w; w = w->inner) {
    for (unsigned i = aw_tee_count(w); i-- > 0;) {
      const aw_writer *branch = aw_tee_look(w, i).w;
      if (branch && branch != w->inner) n += count_copies(branch);
    }
  }
  return n;
}

static void leave_chain(struct charges *self, bool taken_off) {
  struct charges **at = self->outer ? &self->outer->inner : NULL;
  while (at && *at != self) at = &(*at)->next;
  if (at) *at = self->next;
  for (struct charges *inner; (inner = self->inner);) {
    self->inner = inner->next;
    inner->outer = inner->next = NULL;
    if (taken_off) share(inner);
  }
  self->outer = self->next = NULL;
}

/* ---- Its end, and what a leaf tells ---- */

static void end(struct charges *self) {
  struct aw_account account = self->account;
  aw_hold_unwatch(&self->watch);
  free(self);
  aw_account_close(account);
}

/* The leaf holds less, or nobody will take anything from it any more: who waits for room is to be told that too. */
static void on_told(struct aw_hold_watch *watch) {
  struct charges *self = (struct charges *)watch;
  if (self->polling) return;
  size_t charge = measure(self);
  if (self->owner == NULL && charge == 0) {
    end(self);
    return;
  }
  if (watch->hold && watch->hold->closed) aw_account_set_and_tell(&self->account, charge);
  else aw_account_set(&self->account, charge);
}

static void no_longer_waits(struct charges *self) {
  aw_waker *waker = aw_account_unpark(&self->account);
  aw_slot_clear(&waker);
}

static ssize_t done(struct charges *self, ssize_t rc) {
  self->polling = false;
  aw_account_set(&self->account, measure(self));
  return rc;
}

/* There is no room: what the chain itself holds is to go (P7), and then whether it is closed is to be known. */
static int make_room(struct charges *self, aw_writer *inner, aw_waker *waker) {
  const uv_buf_t none = {.base = (char *)"", .len = 0};
  int rc = self->account.charge > 0 ? aw_poll_flush(inner, waker) : 0;
  if (rc == 0 || rc == AW_PENDING) rc = (int)aw_poll_write(inner, waker, &none, 1);
  aw_account_set(&self->account, measure(self));
  return rc == AW_PENDING ? 0 : rc;
}

/* Woken now, it is behind those who were woken for the room: who gives room back and takes it again in one go would
 * else leave none to them for ever. When they do not come the next poll takes it. */
static ssize_t after_others(struct charges *self, aw_waker *waker) {
  aw_waker *slot = NULL;
  aw_slot_park(&slot, waker);
  aw_slot_wake(&slot);
  return done(self, AW_PENDING);
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct charges *self = of(w);
  aw_budget *least;
  uv_buf_t piece;
  self->polling = true;
  if (bufs->len == 0) return done(self, aw_poll_write(w->inner, waker, bufs, nbufs)); /* for inner to answer (P5) */
  if (waker) no_longer_waits(self);
  size_t room = aw_account_room(&self->account, &least);
  if (room == 0) {
    int rc = make_room(self, w->inner, waker);
    if (rc < 0) return done(self, rc);
    room = aw_account_room(&self->account, &least);
  }
  if (room == 0) {
    aw_account_park(&self->account, least, waker);
    return done(self, AW_PENDING);
  }
  if (waker && aw_account_gives_way(&self->account)) return after_others(self, waker);
  if (self->copies > 1) room = room > self->copies ? room / self->copies : 1;
  nbufs = aw_bufs_cut(&bufs, nbufs, room, &piece);
  /* All of it is charged before: what inner calls may write to others of the group. */
  aw_account_set(&self->account, self->account.charge + aw_bufs_total(bufs, nbufs) * self->copies);
  ssize_t n = aw_poll_write(w->inner, waker, bufs, nbufs);
  if (n > 0) self->account.ticket = 0;
  return done(self, n);
}

/* The latest poll of the direction is what waits (W2). */
static int pass(struct charges *self, aw_waker *waker, int rc) {
  if (rc == AW_PENDING && waker) no_longer_waits(self);
  return (int)done(self, rc);
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  of(w)->polling = true;
  return pass(of(w), waker, aw_poll_flush(w->inner, waker));
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  of(w)->polling = true;
  return pass(of(w), waker, aw_poll_shutdown(w->inner, waker));
}

static void describe(const aw_writer *w, char *text, size_t size) {
  size_t limit = aw_budget_limit(of(w)->account.budget);
  if (limit == AW_UNLIMITED) snprintf(text, size, "budgeted(unlimited)");
  else snprintf(text, size, "budgeted(%zu)", limit);
}

/* inner is NULL when the wrapper was taken off: what that holds is nobody's charge then. */
static void destroy(aw_writer *w) {
  struct charges *self = of(w);
  bool taken_off = w->inner == NULL;
  leave_chain(self, taken_off);
  self->owner = NULL;
  no_longer_waits(self);
  free(w);
  size_t charge = taken_off ? 0 : measure(self);
  if (charge == 0) end(self);
  else aw_account_set(&self->account, charge);
}

static const aw_writer_type type = {
    .name = "budgeted",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = poll_flush,
    .poll_shutdown = poll_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

int aw_budgeted_new(aw_writer **out, aw_writer *inner, aw_budget *budget) {
  struct budgeted *self = calloc(1, sizeof *self);
  struct charges *charges = calloc(1, sizeof *charges);
  if (self == NULL || charges == NULL) goto fail;
  aw_writer_init(&self->w, &type, inner);
  self->charges = charges;
  charges->owner = &self->w;
  charges->watch.told = on_told;
  aw_account_open(&charges->account, budget);
  aw_account_set(&charges->account, measure(charges));
  charges->copies = count_copies(inner);
  find_inner(charges, inner);
  share(charges);
  *out = &self->w;
  return 0;
fail:
  free(self), free(charges);
  return UV_ENOMEM;
}
