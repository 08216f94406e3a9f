/* SPDX-License-Identifier: MIT */
/* The state of the binding in one lua_State: nothing is static, so two states in a process share nothing. */
#include "lua/awl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char awl_state_key = 0;

struct awl_state *awl_state_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static int state_gc(lua_State *L) {
  struct awl_state *st = lua_touserdata(L, 1);
  if (st->dead) return 0;
  for (struct awl_box *b = st->boxes; b; b = b->next) {
    awl_close_box(b);
    awl_trace_unref(b->trace);
    b->trace = NULL;
  }
  for (struct awl_handle *h = st->handles; h; h = h->next) awl_drop_handle(h);
  st->boxes = NULL;
  st->handles = NULL;
  st->dead = true;
  awl_embed_free(st->embed);
  st->embed = NULL;
  aw_reactor_free(st->reactor);
  st->reactor = NULL;
  while (st->ready) {
    struct awl_wakeable *who = st->ready;
    st->ready = who->next;
    who->queued = false;
    aw_waker_unref(&who->waker);
  }
  free(st->scratch);
  st->scratch = NULL;
  return 0;
}

static int keep_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  if (mode) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* What loops look up for every few bytes. Lua finds the key that came first to its place in a table at once, those that
 * came later behind it; where the places are differs from process to process. The table has room, so that it is never
 * sorted anew. */
static int keep_methods(lua_State *L) {
  static const char *const hot[] = {"poll_write", "write_all", "write", "poll_read", "read", "poll_flush", "flush"};
  lua_createtable(L, 0, 256);
  for (size_t i = 0; i < sizeof hot / sizeof *hot; i++) {
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, hot[i]);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

struct awl_state *awl_state_open(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &awl_state_key);
  if (lua_touserdata(L, -1)) return lua_touserdata(L, -1);
  lua_pop(L, 1);
  struct awl_state *st = lua_newuserdatauv(L, sizeof *st, 0);
  memset(st, 0, sizeof *st);
  st->pid = getpid();
  st->ready_tail = &st->ready;
  st->error_ref = st->said_ref = st->dying_ref = LUA_NOREF;
  /* The first metatable with __gc: what is created later is finalised before it. */
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &awl_state_key);
  st->thread = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX);
  st->methods_ref = keep_methods(L);
  st->tasks_ref = keep_table(L, "k");
  st->customs_ref = keep_table(L, "v");
  st->live_ref = keep_table(L, NULL);
  st->sources_ref = keep_table(L, NULL);
  return st;
}

aw_reactor *awl_reactor(lua_State *L, struct awl_state *st, const char *op) {
  if (st->dead) awl_raise(L, op, "the Lua state is closing");
  if (st->pid != getpid() && st->reactor)
    awl_raise(L, op, "the event loop belongs to process %d, not to this fork of it", (int)st->pid);
  if (st->reactor) return st->reactor;
  st->pid = getpid();
  int rc = aw_reactor_new(&st->reactor, NULL);
  if (rc < 0) awl_raise(L, op, "the event loop could not be made: %s", aw_strerror(rc));
  return st->reactor;
}

void awl_add_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &awl_state_key);
    if (functions->func) lua_pushcclosure(L, functions->func, 1);
    else lua_pushboolean(L, 0), lua_replace(L, -2); /* as luaL_setfuncs */
    lua_setfield(L, -2, functions->name);
  }
}

int awl_new_metatable(lua_State *L, const char *name, const luaL_Reg *methods) {
  lua_createtable(L, 0, 16);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index"); /* first: see keep_methods */
  awl_add_functions(L, methods);
  lua_pushfstring(L, "asyncwrite.%s", name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "locked");
  lua_setfield(L, -2, "__metatable");
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void awl_set_metatable(lua_State *L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_setmetatable(L, -2);
}

void *awl_to_handle(lua_State *L, int index, int ref) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? lua_touserdata(L, index) : NULL;
}

void *awl_check_handle(lua_State *L, int ref) {
  void *handle = awl_to_handle(L, 1, ref);
  if (handle == NULL) luaL_argerror(L, 1, "wrong self");
  return handle;
}
