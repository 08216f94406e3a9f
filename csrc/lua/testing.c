/* SPDX-License-Identifier: MIT */
/* What asyncwrite.testing needs of C: the clock, and tasks that are resumed by hand. */
#include "lua/awl.h"

static aw_reactor *reactor(lua_State *L, const char *op) { return awl_reactor(L, awl_state_of(L), op); }

static int l_clock_pause(lua_State *L) {
  aw_reactor_pause(reactor(L, "pause"));
  awl_state_of(L)->turned = 0;
  return 0;
}

static int l_clock_resume(lua_State *L) {
  aw_reactor_resume(reactor(L, "resume"));
  return 0;
}

/* core.clock_set([seconds]): it is so late now; nil: the real time. */
static int l_clock_set(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) aw_reactor_set_clock(reactor(L, "clock_set"), (uint64_t)(luaL_checknumber(L, 1) * 1e9));
  else if (awl_state_of(L)->reactor) aw_reactor_real_time(awl_state_of(L)->reactor);
  return 0;
}

/* core.clock_jump(): to the next timer; false: there is none, or the clock runs. */
static int l_clock_jump(lua_State *L) {
  lua_pushboolean(L, aw_reactor_jump(reactor(L, "advance")));
  awl_drain_functions(L, awl_state_of(L));
  return 1;
}

static int l_clock_is_paused(lua_State *L) {
  lua_pushboolean(L, aw_reactor_is_paused(reactor(L, "is_paused")));
  return 1;
}

/* core.take_wake(handle): was the task woken? It is taken off the ready list. */
static int l_take_wake(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  struct awl_handle *handle = awl_check_handle(L, st->meta_task_ref);
  struct awl_wakeable *who = handle->who, **at = &st->ready;
  bool woken = who && who->queued && !who->blank;
  lua_pushboolean(L, woken);
  if (!woken) return 1;
  while (*at != who) at = &(*at)->next;
  *at = who->next;
  if (*at == NULL) st->ready_tail = at;
  who->queued = false;
  st->nready--;
  aw_waker_unref(&who->waker);
  return 1;
}

/* core.leave(): no task runs. */
static int l_leave(lua_State *L) {
  awl_state_of(L)->current = NULL;
  return 0;
}

const luaL_Reg awl_testing_functions[] = {
    {"clock_pause", l_clock_pause},
    {"clock_resume", l_clock_resume},
    {"clock_set", l_clock_set},
    {"clock_jump", l_clock_jump},
    {"clock_is_paused", l_clock_is_paused},
    {"take_wake", l_take_wake},
    {"leave", l_leave},
    {NULL, NULL},
};
