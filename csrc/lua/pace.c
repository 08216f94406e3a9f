/* SPDX-License-Identifier: MIT */
/* Lua constructors of the wrappers that need the clock: throttle, deadline, progress. */
#include "lua/awl.h"

#include <stdio.h>

#define NS 1e9

static void check_options(lua_State *L, const char *op) {
  if (!lua_isnoneornil(L, 3) && !lua_istable(L, 3)) awl_type_error(L, op, 3, 3, "options", "table");
}

/* Pushes the option of that name; nil without options. */
static bool push_option(lua_State *L, const char *name) {
  if (lua_istable(L, 3)) lua_getfield(L, 3, name);
  else lua_pushnil(L);
  return !lua_isnil(L, -1);
}

/* The number at the index, from min to 1e15. */
static double check_amount(lua_State *L, const char *op, int index, int arg, const char *name, double min) {
  if (lua_type(L, index) != LUA_TNUMBER) awl_type_error(L, op, index, arg, name, "number");
  double n = lua_tonumber(L, index);
  char range[64];
  snprintf(range, sizeof range, "%g to 1e15", min);
  if (!(n >= min) || n > 1e15) awl_arg_error(L, op, arg, name, "%s expected, got %s", range, lua_tostring(L, index));
  return n;
}

/* A tenth of a second's worth, as awcat has it. */
static double default_burst(double rate) { return rate > 10 ? rate / 10 : 1; }

/* rate, options.burst */
static double check_rate(lua_State *L, const char *op, double *burst) {
  double rate = check_amount(L, op, 2, 2, "rate", 0.001);
  check_options(L, op);
  *burst = default_burst(rate);
  if (push_option(L, "burst")) *burst = check_amount(L, op, -1, 3, "options.burst", 1);
  lua_pop(L, 1);
  return rate;
}

/* throttle(w, rate [, options]) */
static int l_throttle(lua_State *L) {
  double burst;
  struct awl_box *b = awl_check_wrapped(L, "throttle");
  double rate = check_rate(L, "throttle", &burst);
  aw_reactor *reactor = awl_reactor(L, b->st, "throttle");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_throttle_new(&s.w, b->w, reactor, rate, burst);
  return awl_finish_wrapper(L, "throttle", made, rc, s);
}

static int l_throttle_reader(lua_State *L) {
  double burst;
  struct awl_box *b = awl_check_wrapped_reader(L, "throttle_reader");
  double rate = check_rate(L, "throttle_reader", &burst);
  aw_reactor *reactor = awl_reactor(L, b->st, "throttle_reader");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_throttle_reader_new(&s.r, b->r, reactor, rate, burst);
  return awl_finish_wrapper(L, "throttle_reader", made, rc, s);
}

/* deadline(stream [, seconds]): for both halves. */
static int l_deadline(lua_State *L) {
  const char *op = "deadline";
  struct awl_box *b = awl_check_box(L, op, 1, 1, "stream");
  awl_check_idle(L, b, op, 1, "stream");
  if (!b->w && !b->r) awl_arg_error(L, op, 1, "stream", "a listener is neither writer nor reader");
  bool none = lua_isnoneornil(L, 2);
  double seconds = none ? 0 : awl_check_seconds(L, op, 2, 2, "seconds");
  aw_reactor *reactor = awl_reactor(L, b->st, op);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  uint64_t due = none ? AW_NEVER : aw_reactor_now(reactor) + (uint64_t)(seconds * NS);
  int rc = aw_deadline_new(&s, (aw_stream){.w = b->w, .r = b->r}, reactor, due);
  return awl_finish_wrapper(L, op, made, rc, s);
}

static double rate_of(lua_State *L, const char *op, aw_stream *s, double *burst) {
  double rate;
  struct awl_box *b = awl_check_box(L, op, 1, 0, "self");
  *s = (aw_stream){.w = b->w, .r = b->r};
  if (!aw_throttle_rate(s, &rate, burst)) awl_arg_error(L, op, 0, "self", "there is no throttle in its chain");
  return rate;
}

/* rate() -> rate, burst */
static int w_rate(lua_State *L) {
  aw_stream s;
  double burst;
  lua_pushnumber(L, rate_of(L, "rate", &s, &burst));
  lua_pushnumber(L, burst);
  return 2;
}

/* set_rate(rate [, burst]) */
static int w_set_rate(lua_State *L) {
  const char *op = "set_rate";
  aw_stream s;
  double burst;
  rate_of(L, op, &s, &burst);
  double rate = check_amount(L, op, 2, 1, "rate", 0.001);
  burst = lua_isnoneornil(L, 3) ? default_burst(rate) : check_amount(L, op, 3, 2, "burst", 1);
  struct awl_state *st = awl_state_of(L);
  aw_throttle_set_rate(&s, rate, burst);
  awl_poke_outside(L, st);
  awl_drain_functions(L, st);
  return 0;
}

static int push_progress(lua_State *L, const void *data) {
  const aw_progress *p = data;
  lua_createtable(L, 0, 6);
  lua_pushnumber(L, (lua_Number)p->bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushnumber(L, p->rate);
  lua_setfield(L, -2, "rate");
  lua_pushnumber(L, p->seconds);
  lua_setfield(L, -2, "seconds");
  lua_pushboolean(L, p->ended);
  lua_setfield(L, -2, "ended");
  if (p->total > 0) {
    lua_pushnumber(L, (lua_Number)p->total);
    lua_setfield(L, -2, "total");
  }
  if (p->left >= 0) {
    lua_pushnumber(L, p->left);
    lua_setfield(L, -2, "left");
  }
  return 1;
}

static void hear(void *data, const aw_progress *p) { awl_callback_run(data, push_progress, p); }

/* progress(w, f [, options]) */
static int l_progress(lua_State *L) {
  const char *op = "progress";
  struct awl_box *b = awl_check_wrapped(L, op);
  if (!lua_isfunction(L, 2)) awl_type_error(L, op, 2, 2, "f", "function");
  check_options(L, op);
  double total = push_option(L, "total") ? check_amount(L, op, -1, 3, "options.total", 0) : 0;
  double interval = push_option(L, "interval") ? awl_check_seconds(L, op, -1, 3, "options.interval") : 0.2;
  lua_pop(L, 2);
  aw_reactor *reactor = awl_reactor(L, b->st, op);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  aw_progress_listener listener = {.fn = hear, .release = awl_callback_free, .data = awl_callback_new(L, op, 2)};
  int rc = aw_progress_new(&s.w, b->w, reactor, listener, (uint64_t)total, (uint64_t)(interval * NS));
  if (rc < 0) awl_callback_free(listener.data);
  return awl_finish_wrapper(L, op, made, rc, s);
}

const luaL_Reg awl_pace_functions[] = {
    {"throttle", l_throttle},
    {"throttle_reader", l_throttle_reader},
    {"deadline", l_deadline},
    {"progress", l_progress},
    {NULL, NULL},
};

const luaL_Reg awl_pace_methods[] = {{"rate", w_rate}, {"set_rate", w_set_rate}, {NULL, NULL}};
