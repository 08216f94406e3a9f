/* SPDX-License-Identifier: MIT */
/* Errors as Lua sees them: misuse raises at the caller's line, the world's failures are returned as a triple. */
#include "lua/awl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct awl_state *state_in_registry(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &awl_state_key);
  struct awl_state *st = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return st;
}

static bool is_library(lua_State *L, const lua_Debug *ar) {
  struct awl_state *st = state_in_registry(L);
  if (st == NULL) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->sources_ref);
  lua_pushstring(L, ar->source);
  lua_rawget(L, -2);
  bool yes = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return yes;
}

/* The name under which the methods table holds the function on top; pops it. */
static const char *method_name(lua_State *L) {
  const char *name = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, state_in_registry(L)->methods_ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool found = lua_rawequal(L, -1, -4);
    lua_pop(L, 1);
    if (!found) continue;
    name = lua_tostring(L, -1);
    lua_pop(L, 1);
    break;
  }
  lua_pop(L, 2);
  return name;
}

/* Finds the first caller outside the library. *op becomes the name of the method that it called. Level 0 is ours. */
static bool user_level(lua_State *L, lua_Debug *user, const char **op) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Slnf", &ar);
    if (level > 0 && (ar.what[0] == 'C' || !is_library(L, &ar))) {
      lua_pop(L, 1);
      if (ar.currentline < 0) return false;
      *user = ar;
      return true;
    }
    const char *name = method_name(L);
    if (name) *op = name;
  }
  return false;
}

void awl_where(lua_State *L, char *text, size_t size) {
  lua_Debug ar;
  const char *op = "";
  if (!user_level(L, &ar, &op)) {
    snprintf(text, size, "?");
    return;
  }
  size_t len = strlen(ar.short_src);
  const char *tail = len + 12 > size ? ar.short_src + (len + 12 - size) : ar.short_src;
  snprintf(text, size, "%s:%d", tail, ar.currentline);
}

static void push_position(lua_State *L, const char **op) {
  lua_Debug ar;
  if (user_level(L, &ar, op)) lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else lua_pushliteral(L, "");
}

int awl_raise(lua_State *L, const char *op, const char *fmt, ...) {
  va_list args;
  push_position(L, &op);
  lua_pushfstring(L, "%s: ", op);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 3);
  lua_error(L);
  abort();
}

int awl_arg_error(lua_State *L, const char *op, int arg, const char *name, const char *fmt, ...) {
  va_list args;
  push_position(L, &op);
  if (arg > 0) lua_pushfstring(L, "bad argument #%d '%s' to '%s' (", arg, name, op);
  else lua_pushfstring(L, "bad self to '%s' (", op);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_pushliteral(L, ")");
  lua_concat(L, 4);
  lua_error(L);
  abort();
}

int awl_type_error(lua_State *L, const char *op, int index, int arg, const char *name, const char *expected) {
  const char *got = lua_isnone(L, index) ? "no value" : luaL_typename(L, index);
  awl_arg_error(L, op, arg, name, "%s expected, got %s", expected, got);
}

/* What a custom writer said of this failure; pushes message and code, once. */
static bool push_said(lua_State *L, ssize_t code) {
  struct awl_state *st = state_in_registry(L);
  if (st->said_ref == LUA_NOREF || st->said_code != code) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->said_ref);
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_remove(L, -3);
  luaL_unref(L, LUA_REGISTRYINDEX, st->said_ref);
  st->said_ref = LUA_NOREF;
  return true;
}

int awl_fail(lua_State *L, ssize_t code) {
  lua_pushnil(L);
  if (push_said(L, code)) return 3;
  lua_pushfstring(L, "%s: %s", aw_err_name((int)code), aw_strerror((int)code));
  lua_pushstring(L, aw_err_name((int)code));
  return 3;
}

int awl_status(lua_State *L, int rc) {
  if (rc < 0 && rc != AW_PENDING) return awl_fail(L, rc);
  lua_pushboolean(L, rc == 0);
  return 1;
}

const char *awl_check_string(lua_State *L, const char *op, int index, int arg, const char *name, size_t *len) {
  const char *s = lua_tolstring(L, index, len); /* numbers too, as io.write takes them */
  if (s == NULL) awl_type_error(L, op, index, arg, name, "string");
  return s;
}

size_t awl_check_size(lua_State *L, const char *op, int index, int arg, const char *name, size_t min, size_t max) {
#if LUA_VERSION_NUM >= 504
  if (lua_isinteger(L, index)) { /* the common case, which costs little */
    lua_Integer i = lua_tointeger(L, index);
    if (i >= 0 && (size_t)i >= min && (size_t)i <= max) return (size_t)i;
  }
#endif
  if (lua_type(L, index) != LUA_TNUMBER) awl_type_error(L, op, index, arg, name, "number");
  lua_Number n = lua_tonumber(L, index);
  lua_Integer whole = n >= 0 && n < 1e15 ? (lua_Integer)n : -1;
  if ((lua_Number)whole == n && (size_t)whole >= min && (size_t)whole <= max) return (size_t)whole;
  if (n >= (lua_Number)min && n <= (lua_Number)max && n == (lua_Number)(size_t)n) return (size_t)n;
  char range[64];
  snprintf(range, sizeof range, "integer from %zu to %zu expected, got", min, max);
  awl_arg_error(L, op, arg, name, "%s %s", range, lua_tostring(L, index));
  return 0;
}

size_t awl_opt_size(lua_State *L, const char *op, int index, int arg, const char *name, size_t def, size_t min,
                    size_t max) {
  return lua_isnoneornil(L, index) ? def : awl_check_size(L, op, index, arg, name, min, max);
}
