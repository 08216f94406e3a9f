/* SPDX-License-Identifier: MIT */
/* Wakers as userdata, with_waker and current_waker: how foreign schedulers and custom writers take part. */
#include "lua/awl.h"

#include <stdlib.h>

struct handle {
  const void *magic;
  aw_waker *waker;
  struct awl_state *st;
};

static const char magic = 0;

int awl_push_waker(lua_State *L, struct awl_state *st, aw_waker *waker) {
  struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (struct handle){.magic = &magic, .st = st};
  awl_set_metatable(L, st->meta_waker_ref);
  aw_waker_ref(waker);
  h->waker = waker;
  return 1;
}

static struct handle *check(lua_State *L, int index, const char *op, int arg, const char *name) {
  struct handle *h = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
  if (h == NULL || lua_rawlen(L, index) != sizeof *h || h->magic != &magic)
    awl_type_error(L, op, index, arg, name, "waker");
  else if (h->waker == NULL) awl_arg_error(L, op, arg, name, "it was collected: the state is closing");
  return h;
}

static int w_wake(lua_State *L) {
  struct handle *h = lua_touserdata(L, 1);
  if (h && lua_rawlen(L, 1) == sizeof *h && h->magic == &magic && !h->waker) return 0; /* the state is closing */
  h = check(L, 1, "wake", 0, "self");
  if (!h->waker->dead) h->waker->type->wake(h->waker);
  awl_drain_functions(L, h->st);
  return 0;
}

static int w_will_wake(lua_State *L) {
  struct handle *a = check(L, 1, "will_wake", 0, "self"), *b = check(L, 2, "will_wake", 1, "other");
  lua_pushboolean(L, a->waker == b->waker);
  return 1;
}

static int w_is_held(lua_State *L) {
  lua_pushboolean(L, awl_is_held(check(L, 1, "is_held", 0, "self")->waker));
  return 1;
}

static int w_gc(lua_State *L) {
  struct handle *h = lua_touserdata(L, 1);
  if (h->waker) aw_waker_unref(h->waker);
  h->waker = NULL;
  return 0;
}

static void no_wake(aw_waker *waker) { (void)waker; }

static void no_free(aw_waker *waker) { free(waker); }

static const aw_waker_type noop_type = {.wake = no_wake, .free = no_free};

/* core.current_waker(): the waker of the innermost context; in a try it is one that does nothing. */
static int l_current_waker(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  aw_waker *waker = awl_context(L, st, "current_waker");
  if (waker) return awl_push_waker(L, st, waker);
  aw_waker *noop = malloc(sizeof *noop);
  if (noop == NULL) return awl_raise(L, "current_waker", "not enough memory");
  aw_waker_init(noop, &noop_type);
  awl_push_waker(L, st, noop);
  aw_waker_unref(noop);
  return 1;
}

/* core.with_waker(waker, f, ...): polls inside f use waker. f runs to its end: waiting inside it raises. */
static int l_with_waker(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  struct handle *h = check(L, 1, "with_waker", 1, "waker");
  if (!lua_isfunction(L, 2)) awl_type_error(L, "with_waker", 2, 2, "f", "function");
  struct awl_frame frame = {.waker = h->waker, .up = st->frame};
  st->frame = &frame;
  int rc = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  st->frame = frame.up;
  if (rc != 0) return lua_error(L);
  return lua_gettop(L) - 1;
}

const luaL_Reg awl_waker_functions[] = {
    {"current_waker", l_current_waker},
    {"with_waker", l_with_waker},
    {NULL, NULL},
};

const luaL_Reg awl_waker_methods[] = {
    {"wake", w_wake}, {"will_wake", w_will_wake}, {"is_held", w_is_held}, {"__gc", w_gc}, {NULL, NULL},
};
