/* What the measured Lua programs cannot ask Lua for: the bytes malloc has given out, a C function that does nothing, and a
 * buffered writer that is nothing but a method. Written against functions of the Lua C API that are the same in every
 * version, so no lua.h of one of them is needed; run.lua compiles it.
 *
 * SPDX-License-Identifier: MIT */
#include "../out.h"
#include <malloc.h>

struct lua_State;
extern void lua_pushnumber(struct lua_State *L, double n);
extern void lua_pushinteger(struct lua_State *L, ptrdiff_t n);
extern void lua_pushcclosure(struct lua_State *L, int (*f)(struct lua_State *L), int n);
extern void lua_pushvalue(struct lua_State *L, int index);
extern void *lua_touserdata(struct lua_State *L, int index);
extern const char *lua_tolstring(struct lua_State *L, int index, size_t *len);
extern void lua_createtable(struct lua_State *L, int narr, int nrec);
extern void lua_setfield(struct lua_State *L, int index, const char *name);
extern int lua_setmetatable(struct lua_State *L, int index);
extern void *lua_newuserdatauv(struct lua_State *L, size_t size, int n) __attribute__((weak)); /* 5.4 */
extern void *lua_newuserdata(struct lua_State *L, size_t size) __attribute__((weak));          /* LuaJIT */

int luaopen_bare(struct lua_State *L);
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

/* bare:poll_write(s): the floor's write, and what Lua takes for the call. No check, no contract. */
static int l_bare_poll_write(struct lua_State *L) {
  size_t len;
  const char *s = lua_tolstring(L, 2, &len);
  out_write_buffered(lua_touserdata(L, 1), s, len);
  lua_pushinteger(L, (ptrdiff_t)len);
  return 1;
}

/* bare:finish() */
static int l_bare_finish(struct lua_State *L) {
  struct out *out = lua_touserdata(L, 1);
  out_flush(out);
  bench_finish(out->fd);
  return 0;
}

/* bare(port), port a string: a buffered writer to it */
static int l_bare(struct lua_State *L) {
  int port = atoi(lua_tolstring(L, 1, NULL));
  struct out *out = lua_newuserdatauv ? lua_newuserdatauv(L, sizeof *out, 0) : lua_newuserdata(L, sizeof *out);
  *out = (struct out){.fd = bench_connect(port), .ep = -1};
  bench_nonblock(out->fd);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcclosure(L, l_bare_poll_write, 0);
  lua_setfield(L, -2, "poll_write");
  lua_pushcclosure(L, l_bare_finish, 0);
  lua_setfield(L, -2, "finish");
  lua_setmetatable(L, -2);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_bare(struct lua_State *L) {
  lua_pushcclosure(L, l_bare, 0);
  return 1;
}
