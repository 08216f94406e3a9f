/* SPDX-License-Identifier: MIT */
/* Lua constructors and methods of the writers that live in memory. */
#include "lua/awl.h"

#include <string.h>

enum { MEMORY_LIMIT = 1 << 30, CURSOR_LIMIT = 1 << 30 };

#define SIZE_LIMIT ((size_t)INT32_MAX)

static int fill(lua_State *L, const char *op, struct awl_box *b, int rc, aw_stream s) {
  if (rc < 0) return awl_raise(L, op, "%s", aw_strerror(rc));
  awl_fill_box(b, s);
  return 1;
}

static int l_sink(lua_State *L) {
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = aw_sink_new(&s.w);
  return fill(L, "sink", b, rc, s);
}

static int l_empty(lua_State *L) {
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = aw_empty_new(&s);
  return fill(L, "empty", b, rc, s);
}

/* memory([limit]) */
static int l_memory(lua_State *L) {
  aw_stream s = {NULL, NULL};
  size_t limit = awl_opt_size(L, "memory", 1, 1, "limit", MEMORY_LIMIT, 1, SIZE_LIMIT);
  struct awl_box *b = awl_push_box(L);
  int rc = aw_memory_new(&s.w, limit);
  return fill(L, "memory", b, rc, s);
}

/* cursor([initial [, limit]]): limit as the length makes a fixed slice, as tokio's Cursor<&mut [u8]>. */
static int l_cursor(lua_State *L) {
  aw_stream s = {NULL, NULL};
  size_t len = 0;
  const char *init = lua_isnoneornil(L, 1) ? "" : awl_check_string(L, "cursor", 1, 1, "initial", &len);
  size_t limit = awl_opt_size(L, "cursor", 2, 2, "limit", len > CURSOR_LIMIT ? len : CURSOR_LIMIT, len ? len : 1,
                              SIZE_LIMIT > len ? SIZE_LIMIT : len);
  struct awl_box *b = awl_push_box(L);
  int rc = aw_cursor_new(&s, init, len, limit);
  return fill(L, "cursor", b, rc, s);
}

static int l_duplex(lua_State *L) {
  aw_stream near, far;
  size_t capacity = awl_check_size(L, "duplex", 1, 1, "capacity", 1, SIZE_LIMIT);
  struct awl_box *a = awl_push_box(L), *b = awl_push_box(L);
  int rc = aw_duplex_new(&near, &far, capacity);
  if (rc < 0) return awl_raise(L, "duplex", "%s", aw_strerror(rc));
  awl_fill_box(a, near);
  awl_fill_box(b, far);
  return 2;
}

/* simplex(capacity) -> reader, writer: tokio's order. */
static int l_simplex(lua_State *L) {
  aw_stream s;
  size_t capacity = awl_check_size(L, "simplex", 1, 1, "capacity", 1, SIZE_LIMIT);
  struct awl_box *r = awl_push_box(L), *w = awl_push_box(L);
  int rc = aw_simplex_new(&s, capacity);
  if (rc < 0) return awl_raise(L, "simplex", "%s", aw_strerror(rc));
  awl_fill_box(r, (aw_stream){.r = s.r});
  awl_fill_box(w, (aw_stream){.w = s.w});
  return 2;
}

/* The innermost writer of the box at 1. */
static aw_writer *leaf(lua_State *L, const char *op) {
  aw_writer *w = awl_check_writer(L, op, 1, 0, "self")->w;
  while (w->inner) w = w->inner;
  return w;
}

static aw_writer *cursor(lua_State *L, const char *op) {
  size_t len;
  aw_writer *w = leaf(L, op);
  if (aw_cursor_data(w, &len) == NULL) awl_arg_error(L, op, 0, "self", "a %s is no cursor", w->type->name);
  if (aw_buffered(awl_to_box(L, 1)->w) > 0 && strcmp(op, "position") != 0)
    awl_arg_error(L, op, 0, "self", "bytes are buffered in front of the cursor: flush first (B6)");
  return w;
}

/* contents(): all bytes of a memory or cursor at the end of the chain. */
static int w_contents(lua_State *L) {
  size_t len;
  aw_writer *w = leaf(L, "contents");
  const char *data = aw_memory_data(w, &len);
  if (data == NULL) data = aw_cursor_data(w, &len);
  if (data == NULL) return awl_arg_error(L, "contents", 0, "self", "a %s keeps no bytes", w->type->name);
  lua_pushlstring(L, data, len);
  return 1;
}

/* take(): contents, which the memory then no longer holds. */
static int w_take(lua_State *L) {
  size_t len;
  aw_writer *w = leaf(L, "take");
  const char *data = aw_memory_data(w, &len);
  if (data == NULL) return awl_arg_error(L, "take", 0, "self", "a %s is no memory", w->type->name);
  lua_pushlstring(L, data, len);
  aw_memory_clear(w);
  return 1;
}

static int w_position(lua_State *L) {
  aw_writer *w = cursor(L, "position"); /* the logical one: with what is buffered in front of it */
  lua_pushinteger(L, (lua_Integer)(aw_cursor_position(w) + aw_buffered(awl_to_box(L, 1)->w)));
  return 1;
}

static int w_set_position(lua_State *L) {
  aw_writer *w = cursor(L, "set_position");
  aw_cursor_set_position(w, awl_check_size(L, "set_position", 2, 1, "position", 0, SIZE_LIMIT));
  return 0;
}

static int w_remaining(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aw_cursor_chunk(cursor(L, "remaining")).len);
  return 1;
}

static int w_chunk(lua_State *L) {
  uv_buf_t chunk = aw_cursor_chunk(cursor(L, "chunk"));
  lua_pushlstring(L, chunk.len ? chunk.base : "", chunk.len);
  return 1;
}

static int w_advance(lua_State *L) {
  aw_writer *w = cursor(L, "advance");
  aw_cursor_advance(w, awl_check_size(L, "advance", 2, 1, "n", 0, aw_cursor_chunk(w).len));
  return 0;
}

const luaL_Reg awl_memory_functions[] = {
    {"sink", l_sink},     {"empty", l_empty},     {"memory", l_memory}, {"cursor", l_cursor},
    {"duplex", l_duplex}, {"simplex", l_simplex}, {NULL, NULL},
};

const luaL_Reg awl_memory_methods[] = {
    {"contents", w_contents},   {"take", w_take},   {"position", w_position}, {"set_position", w_set_position},
    {"remaining", w_remaining}, {"chunk", w_chunk}, {"advance", w_advance},   {NULL, NULL},
};
