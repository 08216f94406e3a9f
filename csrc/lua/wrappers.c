/* SPDX-License-Identifier: MIT */
/* Lua constructors and methods of the wrappers that change nothing of what goes through: inspect, limit, checksum and
 * their sisters for readers. */
#include "lua/awl.h"

#include <string.h>

#define COUNT_LIMIT ((size_t)(SIZE_MAX >> 11)) /* where size_t has 64 bits, what a number of Lua holds exactly */

/* ---- inspect ---- */
static int push_bytes(lua_State *L, const void *data) {
  const uv_buf_t *buf = data;
  lua_pushlstring(L, buf->base, buf->len);
  return 1;
}

static void see(void *data, const char *base, size_t len) {
  uv_buf_t buf = {.base = (char *)(uintptr_t)base, .len = len};
  awl_callback_run(data, push_bytes, &buf);
}

static void check_function(lua_State *L, const char *op) {
  if (!lua_isfunction(L, 2)) awl_type_error(L, op, 2, 2, "f", "function");
}

static aw_inspector inspector(lua_State *L, const char *op) {
  return (aw_inspector){.fn = see, .release = awl_callback_free, .data = awl_callback_new(L, op, 2)};
}

/* inspect(w, f): f(s) gets what w has accepted (M9). */
static int l_inspect(lua_State *L) {
  struct awl_box *b = awl_check_wrapped(L, "inspect");
  check_function(L, "inspect");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  aw_inspector into = inspector(L, "inspect");
  int rc = aw_inspect_new(&s.w, b->w, into);
  if (rc < 0) awl_callback_free(into.data);
  return awl_finish_wrapper(L, "inspect", made, rc, s);
}

static int l_inspect_reader(lua_State *L) {
  struct awl_box *b = awl_check_wrapped_reader(L, "inspect_reader");
  check_function(L, "inspect_reader");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  aw_inspector into = inspector(L, "inspect_reader");
  int rc = aw_inspect_reader_new(&s.r, b->r, into);
  if (rc < 0) awl_callback_free(into.data);
  return awl_finish_wrapper(L, "inspect_reader", made, rc, s);
}

/* ---- limit, take ---- */
static int l_limit(lua_State *L) {
  struct awl_box *b = awl_check_wrapped(L, "limit");
  size_t n = awl_check_size(L, "limit", 2, 2, "n", 0, COUNT_LIMIT);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_limit_new(&s.w, b->w, n);
  return awl_finish_wrapper(L, "limit", made, rc, s);
}

static int l_take(lua_State *L) {
  struct awl_box *b = awl_check_wrapped_reader(L, "take");
  size_t n = awl_check_size(L, "take", 2, 2, "n", 0, COUNT_LIMIT);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_take_new(&s.r, b->r, n);
  return awl_finish_wrapper(L, "take", made, rc, s);
}

/* Of the write side, or where that has no limit, of the read side. */
static uint64_t *left(lua_State *L, const char *op) {
  struct awl_box *b = awl_check_box(L, op, 1, 0, "self");
  uint64_t *n = aw_limit_left(b->w);
  if (n == NULL) n = aw_take_left(b->r);
  if (n == NULL) awl_arg_error(L, op, 0, "self", "there is no limit in its chain");
  return n;
}

static int w_limit(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)*left(L, "limit"));
  return 1;
}

static int w_set_limit(lua_State *L) {
  uint64_t *n = left(L, "set_limit");
  *n = awl_check_size(L, "set_limit", 2, 1, "n", 0, COUNT_LIMIT);
  return 0;
}

/* ---- checksum ---- */
static const char *check_algorithm(lua_State *L, const char *op) {
  static const char *const names[] = {"crc32", "crc32c", "adler32", "sha256"};
  if (lua_type(L, 2) != LUA_TSTRING) awl_type_error(L, op, 2, 2, "algorithm", "string");
  const char *name = lua_tostring(L, 2);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return name;
  awl_arg_error(L, op, 2, "algorithm", "crc32, crc32c, adler32 or sha256 expected, got %s", name);
}

static int l_checksum(lua_State *L) {
  struct awl_box *b = awl_check_wrapped(L, "checksum");
  const char *algorithm = check_algorithm(L, "checksum");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_checksum_new(&s.w, b->w, algorithm);
  return awl_finish_wrapper(L, "checksum", made, rc, s);
}

static int l_checksum_reader(lua_State *L) {
  struct awl_box *b = awl_check_wrapped_reader(L, "checksum_reader");
  const char *algorithm = check_algorithm(L, "checksum_reader");
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_checksum_reader_new(&s.r, b->r, algorithm);
  return awl_finish_wrapper(L, "checksum_reader", made, rc, s);
}

/* digest([raw]): of the bytes until now, in hexadecimal; or as bytes. */
static int w_digest(lua_State *L) {
  uint8_t value[AW_CHECKSUM_MAX];
  char hex[2 * AW_CHECKSUM_MAX];
  struct awl_box *b = awl_check_box(L, "digest", 1, 0, "self");
  size_t n = aw_checksum_value(b->w, value);
  if (n == 0) n = aw_checksum_reader_value(b->r, value);
  if (n == 0) awl_arg_error(L, "digest", 0, "self", "there is no checksum in its chain");
  if (!lua_isnoneornil(L, 2) && !lua_isboolean(L, 2)) awl_type_error(L, "digest", 2, 1, "raw", "boolean");
  if (lua_toboolean(L, 2)) {
    lua_pushlstring(L, (const char *)value, n);
    return 1;
  }
  for (size_t i = 0; i < n; i++) {
    hex[2 * i] = "0123456789abcdef"[value[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[value[i] & 15];
  }
  lua_pushlstring(L, hex, 2 * n);
  return 1;
}

const luaL_Reg awl_wrapper_functions[] = {
    {"inspect", l_inspect},   {"inspect_reader", l_inspect_reader},   {"limit", l_limit}, {"take", l_take},
    {"checksum", l_checksum}, {"checksum_reader", l_checksum_reader}, {NULL, NULL},
};

const luaL_Reg awl_wrapper_methods[] = {
    {"limit", w_limit},
    {"set_limit", w_set_limit},
    {"digest", w_digest},
    {NULL, NULL},
};
