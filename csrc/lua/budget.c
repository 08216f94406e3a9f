/* SPDX-License-Identifier: MIT */
/* Budgets for Lua: userdata that holds a reference each, and the wrapper budgeted. */
#include "lua/awl.h"

#include <math.h>
#include <stdio.h>

#define BUDGET_LIMIT ((size_t)(SIZE_MAX >> 11)) /* where size_t has 64 bits, what a number of Lua holds exactly */

/* NULL: no budget. */
static aw_budget **handle_at(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, awl_state_of(L)->meta_budget_ref);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is ? lua_touserdata(L, index) : NULL;
}

static aw_budget *check(lua_State *L, const char *op, int index, int arg, const char *name) {
  aw_budget **handle = handle_at(L, index);
  aw_budget *budget = handle ? *handle : NULL;
  if (handle == NULL) awl_type_error(L, op, index, arg, name, "budget");
  if (budget == NULL) awl_arg_error(L, op, arg, name, "it was collected: the state is closing");
  return budget;
}

/* Bytes; math.huge is no limit. */
static size_t check_limit(lua_State *L, const char *op, int index, int arg, const char *name, size_t min) {
  if (lua_type(L, index) == LUA_TNUMBER && lua_tonumber(L, index) == HUGE_VAL) return AW_UNLIMITED;
  return awl_check_size(L, op, index, arg, name, min, BUDGET_LIMIT);
}

static void push_new(lua_State *L, const char *op, size_t limit, aw_budget *parent) {
  aw_budget **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  awl_set_metatable(L, awl_state_of(L)->meta_budget_ref);
  int rc = aw_budget_new(handle, limit, parent);
  if (rc < 0) awl_raise(L, op, "%s", aw_strerror(rc));
}

/* Pushes the budget above all others of this state. */
static void push_global(lua_State *L, const char *op) {
  struct awl_state *st = awl_state_of(L);
  if (st->budget_ref == 0) {
    push_new(L, op, AW_UNLIMITED, NULL);
    st->budget_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->budget_ref);
}

static int l_global_budget(lua_State *L) {
  push_global(L, "global_budget");
  return 1;
}

/* The budget at the index, by default the global one, which is put there. */
static aw_budget *opt_budget(lua_State *L, const char *op, int index, const char *name) {
  lua_settop(L, index);
  if (lua_isnil(L, index)) {
    push_global(L, op);
    lua_replace(L, index);
  }
  return check(L, op, index, index, name);
}

/* budget(bytes [, parent]) */
static int l_budget(lua_State *L) {
  size_t limit = check_limit(L, "budget", 1, 1, "bytes", 1);
  push_new(L, "budget", limit, opt_budget(L, "budget", 2, "parent"));
  return 1;
}

/* budgeted(w [, budget]) */
static int l_budgeted(lua_State *L) {
  struct awl_box *b = awl_check_wrapped(L, "budgeted");
  aw_budget *budget = opt_budget(L, "budgeted", 2, "budget");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_budgeted_new(&s.w, b->w, budget);
  return awl_finish_wrapper(L, "budgeted", made, rc, s);
}

static void push_size(lua_State *L, size_t n) {
  if (n == AW_UNLIMITED) lua_pushnumber(L, HUGE_VAL);
  else lua_pushinteger(L, (lua_Integer)n);
}

static int w_limit(lua_State *L) {
  push_size(L, aw_budget_limit(check(L, "limit", 1, 0, "self")));
  return 1;
}

static int w_set_limit(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  aw_budget *budget = check(L, "set_limit", 1, 0, "self");
  aw_budget_set_limit(budget, check_limit(L, "set_limit", 2, 1, "n", 0));
  awl_drain_functions(L, st);
  return 0;
}

static int w_used(lua_State *L) {
  push_size(L, aw_budget_used(check(L, "used", 1, 0, "self")));
  return 1;
}

static int w_waiting(lua_State *L) {
  push_size(L, aw_budget_waiting(check(L, "waiting", 1, 0, "self")));
  return 1;
}

static int w_tostring(lua_State *L) {
  char text[48] = "budget(unlimited)";
  size_t limit = aw_budget_limit(check(L, "tostring", 1, 0, "self"));
  if (limit != AW_UNLIMITED) snprintf(text, sizeof text, "budget(%zu)", limit);
  lua_pushstring(L, text);
  return 1;
}

/* Writers that are charged to it hold references of their own. */
static int w_gc(lua_State *L) {
  aw_budget **handle = handle_at(L, 1);
  if (handle == NULL) return 0;
  aw_budget_unref(*handle);
  *handle = NULL;
  return 0;
}

const luaL_Reg awl_budget_functions[] = {
    {"budget", l_budget}, {"budgeted", l_budgeted}, {"global_budget", l_global_budget}, {NULL, NULL}};

const luaL_Reg awl_budget_methods[] = {
    {"limit", w_limit},     {"set_limit", w_set_limit}, {"used", w_used},
    {"waiting", w_waiting}, {"__tostring", w_tostring}, {"__gc", w_gc},
    {NULL, NULL},
};
