/* What the measured Lua programs cannot ask Lua for: the bytes malloc has given out, and a C function that does
 * nothing. Written against three functions of the Lua C API that are the same in every version, so no lua.h of one of
 * them is needed; run.lua compiles it.
 *
 * SPDX-License-Identifier: MIT */
#include <malloc.h>

struct lua_State;
extern void lua_pushnumber(struct lua_State *L, double n);
extern void lua_pushcclosure(struct lua_State *L, int (*f)(struct lua_State *L), int n);

int luaopen_heap(struct lua_State *L);
int luaopen_noop(struct lua_State *L);

static int l_heap(struct lua_State *L) {
#ifdef __GLIBC__
  struct mallinfo2 info = mallinfo2();
  lua_pushnumber(L, (double)(info.uordblks + info.hblkhd));
#else
  lua_pushnumber(L, 0);
#endif
  return 1;
}

static int l_noop(struct lua_State *L) {
  (void)L;
  return 0;
}

__attribute__((visibility("default"))) int luaopen_heap(struct lua_State *L) {
  lua_pushcclosure(L, l_heap, 0);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_noop(struct lua_State *L) {
  lua_pushcclosure(L, l_noop, 0);
  return 1;
}
