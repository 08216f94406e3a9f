/* SPDX-License-Identifier: MIT */
/* set_deadline of a box: when it passes, waits on the box end with ETIMEDOUT, until another deadline is set. */
#include "lua/awl.h"

#include <stdlib.h>

struct awl_deadline {
  aw_waker waker; /* of the timer */
  struct awl_box *box;
  aw_timer *timer;
};

static void on_wake(aw_waker *waker) {
  struct awl_box *b = ((struct awl_deadline *)waker)->box;
  for (int dir = AWL_READ; dir <= AWL_WRITE; dir++)
    if (b->parked[dir].who) b->parked[dir].who->waker.type->wake(&b->parked[dir].who->waker);
}

static void on_free(aw_waker *waker) { free(waker); }

static const aw_waker_type type = {.wake = on_wake, .free = on_free};

bool awl_deadline_passed(const struct awl_box *b) {
  return aw_poll_timer(b->deadline->timer, &b->deadline->waker) == 0;
}

void awl_deadline_free(struct awl_box *b) {
  struct awl_deadline *d = b->deadline;
  b->deadline = NULL;
  if (d == NULL) return;
  aw_timer_free(d->timer);
  aw_waker_unref(&d->waker);
}

lua_Number awl_check_seconds(lua_State *L, const char *op, int index, int arg, const char *name) {
  if (lua_type(L, index) != LUA_TNUMBER) awl_type_error(L, op, index, arg, name, "number");
  lua_Number seconds = lua_tonumber(L, index);
  if (!(seconds >= 0) || seconds > 1e9)
    awl_arg_error(L, op, arg, name, "0 to 1e9 expected, got %s", lua_tostring(L, index));
  return seconds;
}

/* set_deadline(seconds): from now; nil takes it off. That of the deadline wrapper, where there is one in the chain. */
static int w_set_deadline(lua_State *L) {
  const char *op = "set_deadline";
  struct awl_box *b = awl_check_box(L, op, 1, 0, "self");
  bool off = lua_isnoneornil(L, 2);
  lua_Number seconds = off ? 0 : awl_check_seconds(L, op, 2, 1, "seconds");
  aw_deadline *wrapper = aw_deadline_find(&(aw_stream){.w = b->w, .r = b->r});
  if (wrapper) {
    uint64_t due = off ? AW_NEVER : aw_reactor_now(awl_reactor(L, b->st, op)) + (uint64_t)(seconds * 1e9);
    aw_deadline_set(wrapper, due);
    awl_poke_outside(L, b->st);
    awl_drain_functions(L, b->st);
    return 0;
  }
  awl_deadline_free(b);
  if (off) return 0;
  aw_reactor *reactor = awl_reactor(L, b->st, op);
  struct awl_deadline *d = calloc(1, sizeof *d);
  int rc = d ? aw_timer_new(&d->timer, reactor, aw_reactor_now(reactor) + (uint64_t)(seconds * 1e9)) : UV_ENOMEM;
  if (rc < 0) {
    free(d);
    return awl_raise(L, op, "%s", aw_strerror(rc));
  }
  aw_waker_init(&d->waker, &type);
  d->box = b;
  b->deadline = d;
  /* Whoever waits already is held to it too. */
  if (aw_poll_timer(d->timer, &d->waker) == 0) on_wake(&d->waker);
  awl_poke_outside(L, b->st);
  return 0;
}

const luaL_Reg awl_deadline_methods[] = {{"set_deadline", w_set_deadline}, {NULL, NULL}};

/* core.timer(seconds [, op]): polled with poll(), true once the time has come. */
static int l_timer(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  const char *op = luaL_optstring(L, 2, "sleep");
  lua_Number seconds = awl_check_seconds(L, op, 1, 1, "seconds");
  aw_reactor *reactor = awl_reactor(L, st, op);
  aw_timer **t = lua_newuserdatauv(L, sizeof(aw_timer *), 0);
  *t = NULL;
  awl_set_metatable(L, st->meta_timer_ref);
  int rc = aw_timer_new(t, reactor, aw_reactor_now(reactor) + (uint64_t)(seconds * 1e9));
  return rc < 0 ? awl_raise(L, "sleep", "%s", aw_strerror(rc)) : 1;
}

static int w_poll(lua_State *L) {
  aw_timer **t = awl_check_handle(L, awl_state_of(L)->meta_timer_ref);
  struct awl_state *st = awl_state_of(L);
  lua_pushboolean(L, *t == NULL || aw_poll_timer(*t, awl_context(L, st, "sleep")) == 0);
  return 1;
}

static int w_free(lua_State *L) {
  aw_timer **t = awl_check_handle(L, awl_state_of(L)->meta_timer_ref);
  aw_timer_free(*t);
  *t = NULL;
  return 0;
}

const luaL_Reg awl_timer_functions[] = {{"timer", l_timer}, {NULL, NULL}};
const luaL_Reg awl_timer_methods[] = {{"poll", w_poll}, {"free", w_free}, {"__gc", w_free}, {NULL, NULL}};
