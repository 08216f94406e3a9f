/* SPDX-License-Identifier: MIT */
/* The few names that Lua 5.4 and LuaJIT do not share. */
#ifndef AWL_COMPAT_H
#define AWL_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
static inline void lua_rawgetp(lua_State *L, int t, const void *key) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, t);
}
static inline void lua_rawsetp(lua_State *L, int t, const void *key) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_insert(L, -2);
  lua_rawset(L, t);
}
#endif
#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, n) lua_newuserdata(L, size)
/* The environment of a userdata is its one user value; it must be a table, and by default is one of no interest. */
#define lua_setiuservalue(L, index, n) lua_setfenv(L, index)
#define lua_getiuservalue(L, index, n) lua_getfenv(L, index)
/* A C function of LuaJIT cannot go on after a yield, and must not yield at all in a finaliser or a hook. */
#define AWL_LUA_YIELDS
static inline int awl_resume(lua_State *co, lua_State *from, int nargs, int *nresults) {
  (void)from;
  int status = lua_resume(co, nargs);
  *nresults = lua_gettop(co);
  return status;
}
#else
#define awl_resume lua_resume
#endif

#endif
