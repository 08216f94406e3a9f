/* SPDX-License-Identifier: MIT */
/* Functions of Lua that a writer in C calls while it is polled. They run protected on the coroutine that polls; errors
 * are caught before they could cross C, and raised again at the box that was polled. */
#include "lua/awl.h"

#include <stdlib.h>

struct awl_callback {
  struct awl_state *st;
};

/* The box holds the function (its anchor), so that one that knows its own box is no leak; here it is looked up weakly.
 */
static int keep(lua_State *L) { /* box, function, callback */
  struct awl_callback *self = lua_touserdata(L, 3);
  struct awl_box *b = lua_touserdata(L, 1);
  if (!b->anchored) {
    lua_newtable(L);
    awl_set_anchor(L, 1);
  }
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->st->customs_ref);
  for (int table = 4; table <= 5; table++) {
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 2);
    lua_rawset(L, table);
  }
  return 0;
}

struct awl_callback *awl_callback_new(lua_State *L, const char *op, int f) {
  lua_pushcfunction(L, keep);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, f);
  struct awl_callback *self = calloc(1, sizeof *self);
  if (self == NULL) {
    awl_raise(L, op, "not enough memory");
    return NULL;
  }
  self->st = ((struct awl_box *)lua_touserdata(L, -2))->st;
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 3, 0, 0) == 0) return self;
  free(self);
  lua_error(L);
  return NULL;
}

void awl_callback_free(void *callback) {
  struct awl_callback *self = callback;
  lua_State *L = self->st->thread;
  if (!self->st->dead) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, self->st->customs_ref);
    lua_pushlightuserdata(L, self);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  free(self);
}

struct run {
  struct awl_callback *self;
  int (*push)(lua_State *L, const void *data);
  const void *data;
};

int awl_callback_body(lua_State *L) {
  const struct run *run = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, "callback");
  lua_rawgeti(L, LUA_REGISTRYINDEX, run->self->st->customs_ref);
  lua_pushlightuserdata(L, run->self);
  lua_rawget(L, -2);
  if (!lua_isnil(L, -1)) lua_call(L, run->push(L, run->data), 0);
  return 0;
}

void awl_callback_run(struct awl_callback *self, int (*push)(lua_State *L, const void *data), const void *data) {
  struct awl_state *st = self->st;
  if (st->dead) return;
  lua_State *L = st->poll_L && lua_checkstack(st->poll_L, 4) ? st->poll_L : st->thread;
  struct run run = {.self = self, .push = push, .data = data};
  struct awl_frame frame = {.waker = NULL, .up = st->frame};
  st->frame = &frame;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->handler_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->callback_ref);
  lua_pushlightuserdata(L, &run);
  int rc = lua_pcall(L, 1, 0, -3);
  st->frame = frame.up;
  if (rc != 0) {
    luaL_unref(L, LUA_REGISTRYINDEX, st->error_ref);
    st->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_pop(L, 1);
}
