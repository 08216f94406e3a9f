/* SPDX-License-Identifier: MIT */
/* The bridge as asyncwrite.host.resty sees it. */
#include "reactor/bridge.h"
#include "lua/awl.h"

/* core.bridge(folder): a bridge, to be connected to at bridge:path(); nil, message, code. */
static int l_bridge(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  const char *folder = luaL_checkstring(L, 1);
  aw_reactor *reactor = awl_reactor(L, st, "bridge");
  aw_bridge **handle = lua_newuserdatauv(L, sizeof(aw_bridge *), 0);
  *handle = NULL;
  awl_set_metatable(L, st->meta_bridge_ref);
  int rc = aw_bridge_new(handle, reactor, folder);
  if (rc < 0) return awl_fail(L, rc);
  st->hosted = st->eager = true;
  return 1;
}

static aw_bridge *check_bridge(lua_State *L) {
  aw_bridge *bridge = *(aw_bridge **)awl_check_handle(L, awl_state_of(L)->meta_bridge_ref);
  if (bridge == NULL) luaL_error(L, "the bridge is closed");
  return bridge;
}

static int w_path(lua_State *L) {
  lua_pushstring(L, aw_bridge_path(check_bridge(L)));
  return 1;
}

static int w_accept(lua_State *L) { return awl_status(L, aw_bridge_accept(check_bridge(L))); }

static int w_clear(lua_State *L) {
  aw_bridge_clear(check_bridge(L));
  return 0;
}

/* bridge:arm(most): after a turn of the loop; most milliseconds, -1 for none. */
static int w_arm(lua_State *L) { return awl_status(L, aw_bridge_arm(check_bridge(L), (int)luaL_checkinteger(L, 2))); }

/* bridge:arm_timer(most): a task is about to wait. */
static int w_arm_timer(lua_State *L) {
  return awl_status(L, aw_bridge_arm_timer(check_bridge(L), (int)luaL_checkinteger(L, 2)));
}

static int w_wake(lua_State *L) {
  aw_bridge_wake(check_bridge(L));
  return 0;
}

static int w_close(lua_State *L) {
  aw_bridge **handle = awl_check_handle(L, awl_state_of(L)->meta_bridge_ref);
  aw_bridge_free(*handle);
  *handle = NULL;
  return 0;
}

const luaL_Reg awl_bridge_functions[] = {{"bridge", l_bridge}, {NULL, NULL}};

const luaL_Reg awl_bridge_methods[] = {
    {"path", w_path}, {"accept", w_accept}, {"clear", w_clear}, {"arm", w_arm}, {"arm_timer", w_arm_timer},
    {"wake", w_wake}, {"close", w_close},   {"__gc", w_close},  {NULL, NULL},
};
