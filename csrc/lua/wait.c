/* SPDX-License-Identifier: MIT */
/* Methods that wait, for Lua 5.4: a poll, and a suspension of the task until its answer is there, without a frame of
 * Lua in between. C functions of LuaJIT cannot do that; io.lua does it there. */
#include "lua/awl.h"

#ifndef AWL_LUA_YIELDS

/* Suspends the calling task, which waits for what is at index on. It goes on in k, which takes no notice of what is on
 * the stack then beyond what was: somebody else may resume a coroutine, with anything. */
int awl_wait(lua_State *L, const char *op, int on, lua_Integer accepted, lua_KContext context, lua_KFunction k) {
  struct awl_state *st = awl_state_of(L);
  struct awl_wakeable *who = awl_current_task(L, st);
  const char *why = awl_cannot_park(L, st, who);
  if (why) awl_raise(L, op, "%s", why);
  who->op = op;
  who->on = (unsigned char)on;
  who->accepted = accepted;
  return lua_yieldk(L, 0, context, k);
}

/* Upvalues of a waiting method, after the state. */
enum { POLL = 2, OP, COUNTS, MOST };

static int go_on(lua_State *L, int status, lua_KContext nargs);

static int attempt(lua_State *L, int nargs) {
  int n = lua_tocfunction(L, lua_upvalueindex(POLL))(L); /* on the same stack, with the same first upvalue */
  if (n == 1 && lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    lua_settop(L, nargs);
    return awl_wait(L, lua_tostring(L, lua_upvalueindex(OP)), 1, -1, nargs, go_on);
  }
  if (n == 3 && lua_toboolean(L, lua_upvalueindex(COUNTS))) lua_pushinteger(L, 0), n++;
  return n;
}

static int go_on(lua_State *L, int status, lua_KContext nargs) {
  (void)status;
  lua_settop(L, (int)nargs);
  return attempt(L, (int)nargs);
}

static int waiting_method(lua_State *L) {
  int nargs = lua_gettop(L), most = (int)lua_tointeger(L, lua_upvalueindex(MOST));
  if (nargs > most) lua_settop(L, nargs = most);
  return attempt(L, nargs);
}

/* core.waiting(op, poll, most, counts): the method that waits for what poll, a poll of ours, returns. most: the
 * arguments it takes, self being one; what more there are the poll does not see. counts: a failure is told with the
 * number of bytes accepted, which is 0. */
static int l_waiting(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkinteger(L, 3);
  lua_settop(L, 4);
  if (lua_tocfunction(L, 2) == NULL) return luaL_argerror(L, 2, "a poll of the library expected");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, lua_toboolean(L, 4));
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, waiting_method, MOST);
  return 1;
}

const luaL_Reg awl_wait_functions[] = {{"waiting", l_waiting}, {NULL, NULL}};

#else

const luaL_Reg awl_wait_functions[] = {{"waiting", NULL}, {NULL, NULL}};

#endif
