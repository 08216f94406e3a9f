/* SPDX-License-Identifier: MIT */
/* How tasks that are coroutines go on and wait. Lua's executor sees how each starts and ends; the steps between, one
 * for every message of a connection, need nothing of it. */
#include "lua/awl.h"

/* Results of a step. */
enum { WAITS, ENDED, FAILED };

static bool can_go_on(lua_State *co) {
  int status = lua_status(co);
  return status == LUA_YIELD || (status == 0 && lua_gettop(co) > 0); /* the function that it starts with */
}

void awl_leave_wait(struct awl_wakeable *who) {
#ifdef AWL_LUA_YIELDS
  if (who->op) lua_settop(who->co, 0);
#endif
  who->op = NULL;
}

/* Did the task wait, when it yielded n values? In LuaJIT a hook may have raised when park had noted it already. */
static bool has_parked(struct awl_wakeable *who, int n) {
#ifdef AWL_LUA_YIELDS
  if (who->op && (n != 3 || lua_tostring(who->co, 1) != who->op)) who->op = NULL;
#endif
  (void)n;
  return who->op != NULL;
}

/* A message instead of the values on top of one of the two stacks. */
static int fail(lua_State *L, lua_State *values, int *n, const char *message) {
  lua_pop(values, *n);
  lua_pushstring(L, message);
  *n = 1;
  return FAILED;
}

/* Resumes the task with the n values on top of L. It does not end below: only the executor ends it. What it returned is
 * on L afterwards, *n values, or its error. */
static int step(lua_State *L, struct awl_wakeable *who, int *n) {
  lua_State *co = who->co;
  if (co == NULL || !can_go_on(co)) return fail(L, L, n, "the task's coroutine was resumed by somebody else");
  if (!lua_checkstack(co, *n + 1)) return fail(L, L, n, "too many arguments for a task");
  awl_leave_wait(who);
  lua_xmove(L, co, *n);
  int status = awl_resume(co, L, *n, n);
  bool parked = status == LUA_YIELD && has_parked(who, *n);
  /* A bare coroutine.yield is taken as yield(): nothing else would ever wake the task. */
  if (status == LUA_YIELD && !parked) lua_pop(co, *n), who->waker.type->wake(&who->waker);
  if (status == LUA_YIELD) return WAITS;
  if (status != 0) *n = 1;
  if (!lua_checkstack(L, *n + 4)) return fail(L, co, n, "too many results of a task");
  lua_xmove(co, L, *n);
  return status == 0 ? ENDED : FAILED;
}

static void push_task(lua_State *L, const struct awl_wakeable *who) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, who->st->live_ref);
  lua_rawgeti(L, -1, who->ref);
  lua_remove(L, -2);
}

/* task:resume(...): one step. Nothing when it waits now; else as coroutine.resume. */
static int w_resume(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  int n = lua_gettop(L) - 1, how = step(L, who, &n);
  if (how == WAITS) return 0;
  lua_pushboolean(L, how == ENDED);
  lua_insert(L, -1 - n);
  return n + 1;
}

/* task:steady(on): while on, the executor need not look at each of its steps. */
static int w_steady(lua_State *L) {
  awl_check_task(L)->steady = lua_toboolean(L, 2);
  return 0;
}

/* Puts left and the task before what is on L. */
static int push_left(lua_State *L, lua_Integer left, const struct awl_wakeable *who) {
  lua_pushinteger(L, left);
  lua_insert(L, 1);
  push_task(L, who);
  lua_insert(L, 2);
  return lua_gettop(L);
}

/* core.run_ready(n): lets the tasks that are ready go on, n steps at most, until the executor has to look: how many are
 * left of n, the task, and: nil, when it is not steady and has yet to go on; "waits", when it ceased to be steady in
 * its step; or as coroutine.resume. Nothing when no more are ready. */
static int l_run_ready(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  lua_Integer left = lua_tointeger(L, 1);
  lua_settop(L, 0);
  for (struct awl_wakeable *who; left > 0 && (who = awl_next_ready(L, st)); left--) {
    if (!who->steady) return push_left(L, left - 1, who);
    int n = 0, how = step(L, who, &n);
    if (how == WAITS && who->steady) continue;
    if (how == WAITS) lua_pushliteral(L, "waits");
    else lua_pushboolean(L, how == ENDED);
    lua_insert(L, 1);
    return push_left(L, left - 1, who);
  }
  return 0;
}

/* core.next_ready(): the next task to resume, with a fresh budget; nil when none is ready. */
static int l_next_ready(lua_State *L) {
  struct awl_wakeable *who = awl_next_ready(L, awl_state_of(L));
  if (who == NULL) return 0;
  push_task(L, who);
  return 1;
}

const char *awl_cannot_park(lua_State *L, struct awl_state *st, const struct awl_wakeable *who) {
  if (st->frame) return "cannot wait inside with_waker or a poll function of a custom writer";
  if (who == NULL) return "not in the context of a task";
  if (lua_isyieldable(L)) return NULL;
  return "cannot wait here: across a C call such as table.sort, string.gsub or require";
}

/* core.to_park([anyone]): the task of this coroutine, or nil and why it cannot wait now. anyone: true without a task.
 */
static int l_to_park(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  struct awl_wakeable nobody, *who = awl_current_task(L, st);
  const char *why = awl_cannot_park(L, st, who == NULL && lua_toboolean(L, 1) ? &nobody : who);
  if (why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  if (who) push_task(L, who);
  else lua_pushboolean(L, 1);
  return 1;
}

#ifndef AWL_LUA_YIELDS
/* What the coroutine was resumed with is nobody's business: it was not the executor then. */
static int parked(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}
#endif

/* core.park(op, on, accepted): suspends the calling task until it is woken, and then returns nothing. At once a string:
 * why it cannot wait; false: the caller is to yield the three. */
static int l_park(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  struct awl_wakeable *who = awl_current_task(L, st);
  const char *why = awl_cannot_park(L, st, who);
  lua_settop(L, 3);
  if (why) {
    lua_pushstring(L, why);
    return 1;
  }
  who->op = luaL_checkstring(L, 1);
  who->on = 2;
  who->accepted = lua_isnil(L, 3) ? -1 : lua_tointeger(L, 3);
#ifdef AWL_LUA_YIELDS
  lua_pushboolean(L, 0);
  return 1;
#else
  return lua_yieldk(L, 0, 0, parked);
#endif
}

/* task:waits(): while it does: the operation, on what, how many bytes that has accepted. */
static int w_waits(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  if (who->op == NULL || who->co == NULL || !lua_checkstack(who->co, 1)) return 0;
  lua_pushstring(L, who->op);
  lua_pushvalue(who->co, who->on);
  lua_xmove(who->co, L, 1);
  if (who->accepted < 0) lua_pushnil(L);
  else lua_pushinteger(L, who->accepted);
  return 3;
}

const luaL_Reg awl_resume_functions[] = {
    {"run_ready", l_run_ready}, {"next_ready", l_next_ready}, {"to_park", l_to_park}, {"park", l_park}, {NULL, NULL},
};

const luaL_Reg awl_resume_methods[] = {
    {"resume", w_resume},
    {"steady", w_steady},
    {"waits", w_waits},
    {NULL, NULL},
};
