/* SPDX-License-Identifier: MIT */
/* The loop as the executor and the hosts see it. */
#include "lua/awl.h"

/* core.turn(wait): lets the loop run its callbacks, waiting for the first when wait is true. */
static int l_turn(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  if (st->poll_L || st->embed)
    awl_raise(L, "turn", st->embed ? "the program runs the loop" : "the loop cannot turn inside a poll");
  st->force_turn = false;
  /* With a paused clock real time plays no part in who runs when: see awl_spend. */
  st->turned = st->reactor && aw_reactor_is_paused(st->reactor) ? 0 : uv_hrtime();
  if (st->reactor == NULL) return 0;
  int rc = aw_reactor_turn(st->reactor, lua_toboolean(L, 1));
  if (rc == UV_EBUSY) awl_raise(L, "turn", "the loop is already running");
  if (rc < 0) awl_reactor(L, st, "turn");
  awl_drain_functions(L, st);
  return 0;
}

/* core.pending(): ready tasks, waits that the loop can end, and whether a task wants a turn of the loop first. */
static int l_pending(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  if (st->stale && st->reactor && st->ready == NULL) {
    aw_reactor_sweep(st->reactor);
    st->stale = false;
  }
  lua_pushinteger(L, (lua_Integer)st->nready);
  lua_pushinteger(L, st->reactor ? (lua_Integer)aw_reactor_waiting(st->reactor) : 0);
  lua_pushboolean(L, st->force_turn);
  return 3;
}

/* core.backend_fd(): for a host that turns the loop: see aw_reactor_backend_fd. */
static int l_backend_fd(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  int fd = aw_reactor_backend_fd(awl_reactor(L, st, "backend_fd"));
  if (fd < 0) awl_raise(L, "backend_fd", "%s", aw_strerror(fd));
  st->hosted = true;
  lua_pushinteger(L, fd);
  return 1;
}

/* core.pumping(on): while on, the host looks after every wake itself and need not be poked. */
static int l_pumping(lua_State *L) {
  awl_state_of(L)->pumping = lua_toboolean(L, 1);
  return 0;
}

static int l_poke(lua_State *L) {
  aw_reactor_poke(awl_reactor(L, awl_state_of(L), "poke"));
  return 0;
}

static int l_backend_timeout(lua_State *L) {
  lua_pushinteger(L, aw_reactor_backend_timeout(awl_reactor(L, awl_state_of(L), "backend_timeout")));
  return 1;
}

/* core.now(): seconds of the clock that all timers use. It makes no loop: a master of workers may ask. */
static int l_now(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  lua_pushnumber(L, (lua_Number)(st->reactor ? aw_reactor_now(st->reactor) : uv_hrtime()) / 1e9);
  return 1;
}

const luaL_Reg awl_loop_functions[] = {
    {"turn", l_turn},       {"pending", l_pending}, {"backend_fd", l_backend_fd},
    {"pumping", l_pumping}, {"poke", l_poke},       {"backend_timeout", l_backend_timeout},
    {"now", l_now},         {NULL, NULL},
};
