/* SPDX-License-Identifier: MIT */
/* chaos: makes trouble by dice in front of another writer or reader, within the contract. A wrapper of both. */
#include "core/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_LIMIT = 1 << 20 }; /* recorded; what comes later is rolled, but cannot be replayed but by its seed */

struct aw_dice {
  unsigned refs;
  aw_reactor *reactor;
  aw_chaos_profile profile;
  uint32_t seed, state;
  aw_chaos_step *steps; /* taken until now; a replay has all of them from the start */
  size_t count, size, at;
  bool replay, canceled;
  aw_waker *cancel_slot;
};

/* One direction of one stream. */
struct gate {
  aw_dice *dice;
  aw_timer *late; /* a pending that is under way */
  int fatal;      /* from now on everything fails with it (S9) */
};

struct chaos {
  aw_writer w;
  struct gate gate;
};

struct chaos_reader {
  aw_reader r;
  struct gate gate;
};

/* xorshift32 */
static uint32_t roll(aw_dice *dice, uint32_t n) {
  uint32_t x = dice->state;
  x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  dice->state = x;
  return x % n;
}

static aw_chaos_step make_step(aw_dice *dice) {
  const aw_chaos_profile *p = &dice->profile;
  uint32_t dot = roll(dice, 100), arg = roll(dice, 1 << 16), sum = 0;
  aw_chaos_step step = {.verb = AW_CHAOS_OK};
  for (unsigned verb = AW_CHAOS_SHORT; verb <= AW_CHAOS_CANCEL; verb++) {
    sum += p->percent[verb];
    if (dot >= sum) continue;
    step.verb = (uint16_t)verb;
    break;
  }
  if (step.verb == AW_CHAOS_SHORT) step.arg = (int32_t)(arg % 3 == 0 ? 1 : 1 + arg % 64);
  if (step.verb == AW_CHAOS_LATE || step.verb == AW_CHAOS_SPURIOUS) step.arg = (int32_t)(1 + arg % p->max_late);
  if (step.verb == AW_CHAOS_ERROR) step.arg = p->error;
  if (step.verb == AW_CHAOS_FATAL) step.arg = p->fatal;
  return step;
}

static void record(aw_dice *dice, aw_chaos_step step) {
  if (dice->count == STEPS_LIMIT) return;
  if (dice->count == dice->size) {
    size_t size = dice->size ? dice->size * 2 : 64;
    aw_chaos_step *steps = realloc(dice->steps, size * sizeof *steps);
    if (steps == NULL) return;
    dice->steps = steps, dice->size = size;
  }
  dice->steps[dice->count++] = step;
}

static aw_chaos_step next_step(aw_dice *dice) {
  aw_chaos_step step = {.verb = AW_CHAOS_OK};
  if (dice->replay) {
    if (dice->at < dice->count) step = dice->steps[dice->at];
  } else {
    step = make_step(dice);
    record(dice, step);
  }
  dice->at++;
  return step;
}

/* NotReady until a timer wakes, so many milliseconds from now. */
static int pend_late(struct gate *gate, aw_waker *waker, int32_t ms) {
  aw_reactor *reactor = gate->dice->reactor;
  uint64_t due = reactor ? aw_reactor_now(reactor) + (uint64_t)(ms > 0 ? ms : 1) * 1000000u : 0;
  if (reactor == NULL || aw_timer_new(&gate->late, reactor, due) < 0) gate->late = NULL;
  if (gate->late && aw_poll_timer(gate->late, waker) == AW_PENDING) return AW_PENDING;
  if (waker) waker->type->wake(waker);
  return AW_PENDING;
}

static void cancel(aw_dice *dice) {
  dice->canceled = true;
  aw_slot_wake(&dice->cancel_slot);
}

/* Pendings and errors; 0: the poll goes through, as *step says. */
static int pass_gate(struct gate *gate, aw_waker *waker, aw_chaos_step *step) {
  if (gate->fatal) return gate->fatal;
  if (gate->late) {
    if (aw_poll_timer(gate->late, waker) == AW_PENDING) return AW_PENDING;
    aw_timer_free(gate->late);
    gate->late = NULL;
  }
  *step = next_step(gate->dice);
  switch (step->verb) {
  case AW_CHAOS_EARLY:
    if (waker) waker->type->wake(waker);
    return AW_PENDING;
  case AW_CHAOS_SPURIOUS:
    if (waker) waker->type->wake(waker);
    return pend_late(gate, waker, step->arg);
  case AW_CHAOS_CANCEL: cancel(gate->dice); return pend_late(gate, waker, 1);
  case AW_CHAOS_LATE: return pend_late(gate, waker, step->arg);
  case AW_CHAOS_ERROR: return step->arg;
  case AW_CHAOS_FATAL: return gate->fatal = step->arg;
  default: return 0;
  }
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct chaos *self = (struct chaos *)w;
  aw_chaos_step step;
  uv_buf_t piece;
  if (bufs->len == 0) return self->gate.fatal ? self->gate.fatal : aw_poll_write(w->inner, waker, bufs, nbufs); /* P5 */
  int rc = pass_gate(&self->gate, waker, &step);
  if (rc < 0) return rc;
  if (step.verb == AW_CHAOS_ZERO) return 0;
  if (step.verb == AW_CHAOS_SHORT && step.arg > 0) nbufs = aw_bufs_cut(&bufs, nbufs, (uint64_t)step.arg, &piece);
  return aw_poll_write(w->inner, waker, bufs, nbufs);
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  aw_chaos_step step;
  int rc = pass_gate(&((struct chaos *)w)->gate, waker, &step);
  return rc < 0 ? rc : aw_poll_flush(w->inner, waker);
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  aw_chaos_step step;
  int rc = pass_gate(&((struct chaos *)w)->gate, waker, &step);
  return rc < 0 ? rc : aw_poll_shutdown(w->inner, waker);
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  aw_chaos_step step;
  int rc = pass_gate(&((struct chaos_reader *)r)->gate, waker, &step);
  if (rc < 0) return rc;
  if (step.verb == AW_CHAOS_SHORT && step.arg > 0 && (size_t)step.arg < len) len = (size_t)step.arg;
  return aw_poll_read(r->inner, waker, base, len);
}

static void describe_gate(const struct gate *gate, char *text, size_t size) {
  const aw_dice *dice = gate->dice;
  if (dice->replay) snprintf(text, size, "chaos(step %zu of %zu)", dice->at, dice->count);
  else snprintf(text, size, "chaos(seed %" PRIu32 ", step %zu)", dice->seed, dice->at);
}

static void describe(const aw_writer *w, char *text, size_t size) {
  describe_gate(&((const struct chaos *)w)->gate, text, size);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  describe_gate(&((const struct chaos_reader *)r)->gate, text, size);
}

static void release(struct gate *gate) {
  aw_timer_free(gate->late);
  aw_dice_unref(gate->dice);
}

static void destroy(aw_writer *w) {
  release(&((struct chaos *)w)->gate);
  free(w);
}

static void destroy_reader(aw_reader *r) {
  release(&((struct chaos_reader *)r)->gate);
  free(r);
}

static const aw_writer_type type = {
    .name = "chaos",
    .vectored = AW_VECTORED_AS_INNER,
    .poll_write = poll_write,
    .poll_flush = poll_flush,
    .poll_shutdown = poll_shutdown,
    .describe = describe,
    .held = aw_hold_nothing,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "chaos",
    .poll_read = poll_read,
    .describe = describe_reader,
    .held = aw_reader_hold_nothing,
    .destroy = destroy_reader,
};

int aw_dice_new(aw_dice **out, aw_reactor *reactor, uint32_t seed, const aw_chaos_profile *profile) {
  unsigned sum = 0;
  for (unsigned verb = AW_CHAOS_SHORT; verb <= AW_CHAOS_CANCEL; verb++) sum += profile->percent[verb];
  if (sum > 100 || profile->max_late == 0 || profile->error >= 0 || profile->fatal >= 0) return UV_EINVAL;
  aw_dice *dice = calloc(1, sizeof *dice);
  if (dice == NULL) return UV_ENOMEM;
  *dice = (aw_dice){.refs = 1, .reactor = reactor, .profile = *profile, .seed = seed};
  dice->state = (seed + 0x9e3779b9u) * 2654435761u;
  if (dice->state == 0) dice->state = 1;
  for (int i = 0; i < 8; i++) roll(dice, 2); /* seeds that are alike part */
  *out = dice;
  return 0;
}

int aw_dice_replay(aw_dice *dice, const aw_chaos_step *steps, size_t n) {
  if (n > STEPS_LIMIT) return UV_E2BIG;
  dice->count = dice->at = 0;
  dice->replay = false;
  for (size_t i = 0; i < n; i++) record(dice, steps[i]);
  dice->replay = true;
  return dice->count == n ? 0 : UV_ENOMEM;
}

const aw_chaos_step *aw_dice_steps(const aw_dice *dice, size_t *n) {
  *n = dice->replay && dice->at < dice->count ? dice->at : dice->count;
  return dice->steps;
}

int aw_poll_cancel(aw_dice *dice, aw_waker *waker) {
  if (dice->canceled) {
    dice->canceled = false;
    return 0;
  }
  aw_slot_park(&dice->cancel_slot, waker);
  return AW_PENDING;
}

void aw_dice_ref(aw_dice *dice) { dice->refs++; }

void aw_dice_unref(aw_dice *dice) {
  if (--dice->refs > 0) return;
  aw_slot_clear(&dice->cancel_slot);
  free(dice->steps);
  free(dice);
}

int aw_chaos_reader_new(aw_reader **out, aw_reader *inner, aw_dice *dice) {
  struct chaos_reader *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_reader_init(&self->r, &reader_type, inner);
  aw_dice_ref(dice);
  self->gate.dice = dice;
  *out = &self->r;
  return 0;
}

int aw_chaos_new(aw_writer **out, aw_writer *inner, aw_dice *dice) {
  struct chaos *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  aw_writer_init(&self->w, &type, inner);
  aw_dice_ref(dice);
  self->gate.dice = dice;
  *out = &self->w;
  return 0;
}
