/* SPDX-License-Identifier: MIT */
/* Timers: a heap of due times behind one uv timer. Every deadline and sleep goes through here, so that one clock rules.
 */
#include "reactor/reactor.h"

#include <stdlib.h>

struct aw_timer {
  aw_reactor *reactor; /* NULL once the reactor is gone */
  uint64_t due, number;
  size_t at; /* index in the heap, or OUT */
  aw_waker *slot;
};

#define OUT SIZE_MAX
#define NS_PER_MS 1000000u

static void place(aw_reactor *r, aw_timer *t, size_t at) {
  r->heap[at] = t;
  t->at = at;
}

static bool before(const aw_timer *a, const aw_timer *b) {
  return a->due < b->due || (a->due == b->due && a->number < b->number);
}

static void sift_up(aw_reactor *r, aw_timer *t, size_t at) {
  while (at > 0 && before(t, r->heap[(at - 1) / 2])) {
    place(r, r->heap[(at - 1) / 2], at);
    at = (at - 1) / 2;
  }
  place(r, t, at);
}

static void sift_down(aw_reactor *r, aw_timer *t, size_t at) {
  for (size_t kid; (kid = 2 * at + 1) < r->timers; at = kid) {
    if (kid + 1 < r->timers && before(r->heap[kid + 1], r->heap[kid])) kid++;
    if (before(t, r->heap[kid])) break;
    place(r, r->heap[kid], at);
  }
  place(r, t, at);
}

static void take_out(aw_timer *t) {
  aw_reactor *r = t->reactor;
  size_t at = t->at;
  if (r == NULL || at == OUT) return;
  aw_timer *last = r->heap[--r->timers];
  t->at = OUT;
  if (last == t) return;
  sift_down(r, last, at);
  sift_up(r, last, last->at);
}

/* Before 1.45 libuv runs what is due first and then goes to sleep, though a task may be ready now: it is told not to.
 */
static void on_tick(uv_timer_t *tick) {
  aw_reactor *r = tick->data;
  if (r == NULL) return;
  if (r->loop == &r->own) uv_stop(r->loop);
  aw_timers_run(r);
}

int aw_timers_timeout(const aw_reactor *r) {
  if (r->timers == 0) return -1;
  uint64_t now = aw_reactor_now(r), due = r->heap[0]->due;
  uint64_t ms = due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;
  return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void arm(aw_reactor *r) {
  int timeout = aw_timers_timeout(r);
  if (timeout < 0) {
    uv_timer_stop(r->tick);
    return;
  }
  uv_update_time(r->loop);
  uv_timer_start(r->tick, on_tick, (uint64_t)timeout, 0);
}

void aw_timers_run(aw_reactor *r) {
  uint64_t now = aw_reactor_now(r);
  while (r->timers > 0 && r->heap[0]->due <= now) aw_timer_fire(r->heap[0]);
  arm(r);
}

void aw_timers_sweep(aw_reactor *r) {
  size_t kept = 0;
  for (size_t i = 0; i < r->timers; i++) {
    aw_timer *t = r->heap[i];
    if (t->slot && t->slot->dead) {
      t->at = OUT;
      aw_slot_clear(&t->slot);
    } else {
      r->heap[kept++] = t;
    }
  }
  r->timers = kept;
  for (size_t i = kept; i-- > 0;) sift_down(r, r->heap[i], i);
  arm(r);
}

bool aw_timers_first(const aw_reactor *r, uint64_t *due) {
  if (r->timers > 0) *due = r->heap[0]->due;
  return r->timers > 0;
}

void aw_timers_move(aw_reactor *r, uint64_t now, uint64_t new_now) {
  for (size_t i = 0; i < r->timers; i++) {
    uint64_t due = r->heap[i]->due;
    r->heap[i]->due = new_now + (due > now ? due - now : 0);
  }
  aw_timers_run(r);
}

void aw_timers_detach(aw_reactor *r) {
  for (size_t i = 0; i < r->timers; i++) {
    r->heap[i]->at = OUT;
    r->heap[i]->reactor = NULL;
  }
  size_t n = r->timers;
  r->timers = 0;
  for (size_t i = 0; i < n; i++) aw_slot_wake(&r->heap[i]->slot);
}

int aw_poll_timer(aw_timer *t, aw_waker *waker) {
  if (t->at == OUT) return 0;
  if (t->due <= aw_reactor_now(t->reactor)) {
    take_out(t);
    return 0;
  }
  aw_slot_park(&t->slot, waker);
  return AW_PENDING;
}

void aw_timer_fire(aw_timer *t) {
  if (t->at == OUT) return;
  take_out(t);
  aw_slot_wake(&t->slot);
}

void aw_timer_free(aw_timer *t) {
  if (t == NULL) return;
  take_out(t);
  aw_slot_clear(&t->slot);
  free(t);
}

int aw_timer_new(aw_timer **out, aw_reactor *r, uint64_t due) {
  int rc = aw_reactor_usable(r);
  if (rc < 0) return rc;
  if (r->timers == r->heap_size) {
    size_t size = r->heap_size ? r->heap_size * 2 : 16;
    aw_timer **heap = realloc(r->heap, size * sizeof *heap);
    if (heap == NULL) return UV_ENOMEM;
    r->heap = heap, r->heap_size = size;
  }
  aw_timer *t = calloc(1, sizeof *t);
  if (t == NULL) return UV_ENOMEM;
  t->reactor = r, t->due = due, t->number = r->made++;
  sift_up(r, t, r->timers++);
  if (t->at == 0) arm(r);
  *out = t;
  return 0;
}
