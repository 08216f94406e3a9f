/* SPDX-License-Identifier: MIT */
/* What every poll of a box does before and after: the context, the slot, the budget, the deadline, errors from Lua. */
#include "lua/awl.h"

/* The task that waits in this direction, unless it is the caller's own. */
static bool taken(const struct awl_box *b, int dir, const aw_waker *mine) {
  const struct awl_parked *at = &b->parked[dir];
  return at->who && &at->who->waker != mine && !at->who->waker.dead && at->who->turn == at->turn;
}

aw_waker *awl_check_pollable(lua_State *L, struct awl_box *b, int dir, const char *op) {
  aw_waker *waker = awl_context(L, b->st, op);
  if (b->busy) awl_raise(L, op, "it is being polled already");
  if (taken(b, dir, waker)) awl_raise(L, op, "EBUSY: another task is waiting on it; share it with a mutex");
  return waker;
}

static void begin_context(lua_State *L, struct awl_poll *p, const char *op, bool trying) {
  struct awl_state *st = p->box->st;
  if (trying) {
    if (p->box->busy) awl_raise(L, op, "it is being polled already");
    return;
  }
  p->waker = awl_check_pollable(L, p->box, p->dir, op);
  p->task = st->frame ? NULL : (struct awl_wakeable *)p->waker;
  if (awl_spend(st)) return;
  p->waker->type->wake(p->waker);
  p->early = AW_PENDING;
}

void awl_begin(lua_State *L, struct awl_poll *p, struct awl_box *b, int dir, const char *op, bool trying) {
  *p = (struct awl_poll){.box = b, .dir = dir, .op = op, .outer_L = b->st->poll_L};
  begin_context(L, p, op, trying);
  if (b->traced) p->started = awl_now(b->st) + 1; /* virtual time starts at 0 */
  b->busy = true;
  b->st->poll_L = L;
}

void awl_unpark(struct awl_box *b, int dir) {
  awl_note(&b->parked[dir], NULL);
  if (dir == AWL_WRITE) awl_stall_ends(b);
}

static ssize_t not_ready(struct awl_poll *p) {
  struct awl_box *b = p->box;
  if (p->task && !p->early) b->st->budget++; /* only progress is counted (W12) */
  if (b->deadline && awl_deadline_passed(b)) return UV_ETIMEDOUT;
  if (p->task) awl_note(&b->parked[p->dir], p->task);
  if (p->dir == AWL_WRITE && p->other) awl_stall_ends(b);
  else if (p->dir == AWL_WRITE && !p->early) awl_stall(b, p->task);
  return AW_PENDING;
}

ssize_t awl_leave(struct awl_poll *p, ssize_t result) {
  struct awl_box *b = p->box;
  b->st->poll_L = p->outer_L;
  b->busy = false;
  if (result == AW_PENDING && b->close_later) result = UV_ECANCELED; /* its own poll closes it: no wake would come */
  if (result == AW_PENDING) result = not_ready(p);
  else if (p->task && b->parked[p->dir].who == p->task) awl_unpark(b, p->dir);
  if (result > 0) b->stats.bytes[p->dir] += (size_t)result;
  if (b->traced) awl_trace_poll(p, result);
  awl_close_if_asked(b);
  return result;
}

void awl_settle(lua_State *L, struct awl_state *st) {
  if (st->error_ref != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, st->error_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, st->error_ref);
    st->error_ref = LUA_NOREF;
    lua_error(L);
  }
  awl_drain_functions(L, st);
}

ssize_t awl_end(lua_State *L, struct awl_poll *p, ssize_t result) {
  result = awl_leave(p, result);
  awl_settle(L, p->box->st);
  return result;
}

bool awl_canceled(lua_State *L, int index, int dir) {
  struct awl_box *b = awl_to_box(L, index);
  if (b == NULL || !b->closed || b->moved || b->parked[dir].who == NULL) return false;
  if (b->st->frame || b->parked[dir].who != awl_current_task(L, b->st)) return false;
  awl_note(&b->parked[dir], NULL);
  return true;
}
