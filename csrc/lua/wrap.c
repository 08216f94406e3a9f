/* SPDX-License-Identifier: MIT */
/* Wrapping, joining and splitting: a box gives its halves away and is moved; what it had lives on in the new box. */
#include "lua/awl.h"

#include <string.h>

enum { BUFFER = 8192, LINE_BUFFER = 1024 }; /* the defaults of tokio, and of std for lines */

#define SIZE_LIMIT ((size_t)INT32_MAX)

/* Every wrapper of the write side: check its arguments, push the new box, wrap, and hand the outcome over. The read
 * half of the box at 1, if it has one, comes along. */
struct awl_box *awl_check_wrapped(lua_State *L, const char *op) {
  struct awl_box *b = awl_check_writer(L, op, 1, 1, "w");
  awl_check_idle(L, b, op, 1, "w");
  return b;
}

struct awl_box *awl_check_wrapped_reader(lua_State *L, const char *op) {
  struct awl_box *b = awl_check_reader(L, op, 1, 1, "r");
  awl_check_idle(L, b, op, 1, "r");
  return b;
}

struct awl_box *awl_push_wrapper(lua_State *L) {
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  return made;
}

int awl_finish_wrapper(lua_State *L, const char *op, struct awl_box *made, int rc, aw_stream s) {
  if (rc < 0) return awl_raise(L, op, "%s", aw_strerror(rc));
  struct awl_box *b = awl_to_box(L, 1);
  awl_fill_box(made, (aw_stream){.w = s.w ? s.w : b->w, .r = s.r ? s.r : b->r});
  awl_move_out(b);
  return 1;
}

/* name(w [, capacity]) */
static int wrap_buffered(lua_State *L, const char *op, size_t capacity,
                         int (*make)(aw_writer **out, aw_writer *inner, size_t capacity)) {
  struct awl_box *b = awl_check_wrapped(L, op);
  capacity = awl_opt_size(L, op, 2, 2, "capacity", capacity, 0, SIZE_LIMIT);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = make(&s.w, b->w, capacity);
  return awl_finish_wrapper(L, op, made, rc, s);
}

static int l_buf_writer(lua_State *L) { return wrap_buffered(L, "buf_writer", BUFFER, aw_buf_writer_new); }

static int l_line_writer(lua_State *L) { return wrap_buffered(L, "line_writer", LINE_BUFFER, aw_line_writer_new); }

static int l_buf_reader(lua_State *L) {
  struct awl_box *b = awl_check_wrapped_reader(L, "buf_reader");
  size_t capacity = awl_opt_size(L, "buf_reader", 2, 2, "capacity", BUFFER, 1, SIZE_LIMIT);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = aw_buf_reader_new(&s.r, b->r, capacity);
  return awl_finish_wrapper(L, "buf_reader", made, rc, s);
}

/* join(r, w): reads go to r only, writes to w only (M7). What the other halves were is closed. */
static int l_join(lua_State *L) {
  struct awl_box *r = awl_check_reader(L, "join", 1, 1, "r"), *w = awl_check_writer(L, "join", 2, 2, "w");
  awl_check_idle(L, r, "join", 1, "r");
  awl_check_idle(L, w, "join", 2, "w");
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  awl_take_anchor(L, 2);
  aw_stream rest = {.w = r == w ? NULL : r->w, .r = r == w ? NULL : w->r};
  awl_fill_box(made, (aw_stream){.w = w->w, .r = r->r});
  awl_move_out(r);
  if (w != r) awl_move_out(w);
  aw_stream_free(&rest);
  return 1;
}

/* split(s) -> read half, write half (M8) */
static int l_split(lua_State *L) {
  struct awl_box *b = awl_check_reader(L, "split", 1, 1, "stream");
  awl_check_writer(L, "split", 1, 1, "stream");
  awl_check_idle(L, b, "split", 1, "stream");
  struct awl_box *r = awl_push_box(L);
  awl_take_anchor(L, 1);
  struct awl_box *w = awl_push_box(L);
  awl_take_anchor(L, 1);
  awl_fill_box(r, (aw_stream){.w = NULL, .r = b->r});
  awl_fill_box(w, (aw_stream){.w = b->w, .r = NULL});
  for (int i = 0; i < 2; i++) {
    struct awl_box *half = i ? w : r;
    half->origin[AWL_READ] = (uintptr_t)b->r, half->origin[AWL_WRITE] = (uintptr_t)b->w;
  }
  awl_move_out(b);
  return 2;
}

/* unsplit(r, w): the stream that split took apart; halves of different streams are an error. */
static int l_unsplit(lua_State *L) {
  struct awl_box *r = awl_check_reader(L, "unsplit", 1, 1, "r"), *w = awl_check_writer(L, "unsplit", 2, 2, "w");
  awl_check_idle(L, r, "unsplit", 1, "r");
  awl_check_idle(L, w, "unsplit", 2, "w");
  bool match = r->w == NULL && w->r == NULL && r->origin[AWL_READ] != 0 && r->origin[AWL_READ] == w->origin[AWL_READ] &&
               r->origin[AWL_WRITE] == w->origin[AWL_WRITE] && r->origin[AWL_WRITE] == (uintptr_t)w->w;
  if (!match) awl_arg_error(L, "unsplit", 2, "w", "not the write half of the same stream");
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  awl_take_anchor(L, 2);
  awl_fill_box(made, (aw_stream){.w = w->w, .r = r->r});
  awl_move_out(r);
  awl_move_out(w);
  return 1;
}

/* Callbacks that went with their wrapper are anchored no longer. */
static void drop_anchors(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (!b->anchored) return;
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, b->st->customs_ref);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    bool gone = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!gone) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -5);
  }
  lua_pop(L, 2);
}

/* Do both halves end in wrappers of one kind, such as a deadline for both? They go together. */
static bool is_pair(const struct awl_box *b) {
  size_t len;
  return b->r && aw_reader_held(b->r, &len) && strcmp(b->r->type->name, b->w->type->name) == 0;
}

/* into_parts(): takes the outermost wrapper off, of the write side if there is one, else of the read side. Returns the
 * box of what was inside, and the bytes that the wrapper held back or had read ahead: none is lost (B5). */
static int w_into_parts(lua_State *L) {
  struct awl_box *b = awl_check_box(L, "into_parts", 1, 0, "self");
  awl_check_idle(L, b, "into_parts", 0, "self");
  if (b->w && aw_tee_count(b->w) > 0) return awl_split_tee(L, b);
  size_t len = 0;
  const char *data = b->w ? aw_held(b->w, &len) : NULL;
  aw_writer *w = data ? b->w : NULL;
  aw_reader *r = w ? (is_pair(b) ? b->r : NULL) : b->r;
  if (!w && r) data = aw_reader_held(r, &len);
  if (data == NULL) {
    const aw_writer *inner = b->w ? b->w->inner : NULL;
    const char *why = inner || (!b->w && b->r && b->r->inner) ? "cannot be taken off" : "wraps nothing";
    awl_arg_error(L, "into_parts", 0, "self", "a %s %s",
                  b->listener ? "listener"
                  : b->w      ? b->w->type->name
                              : b->r->type->name,
                  why);
  }
  struct awl_box *made = awl_push_wrapper(L);
  lua_pushlstring(L, data, len);
  awl_fill_box(made, (aw_stream){.w = w ? w->inner : b->w, .r = r ? r->inner : b->r});
  awl_move_out(b);
  if (w) w->inner = NULL;
  if (r) r->inner = NULL;
  aw_writer_free(w);
  aw_reader_free(r);
  drop_anchors(L);
  awl_drain_functions(L, b->st); /* who waited for room in a budget */
  return 2;
}

/* buffer(): the bytes that the outermost wrapper of the write side holds back. */
static int w_buffer(lua_State *L) {
  size_t len = 0;
  const char *data = aw_held(awl_check_writer(L, "buffer", 1, 0, "self")->w, &len);
  lua_pushlstring(L, data ? data : "", len);
  return 1;
}

/* read_buffer(): the bytes that a buf_reader has read ahead. */
static int w_read_buffer(lua_State *L) {
  struct awl_box *b = awl_check_reader(L, "read_buffer", 1, 0, "self");
  size_t len = 0;
  const char *data = aw_is_buf_reader(b->r) ? aw_buf_reader_data(b->r, &len) : "";
  lua_pushlstring(L, data, len);
  return 1;
}

const luaL_Reg awl_wrap_functions[] = {
    {"buf_writer", l_buf_writer},
    {"line_writer", l_line_writer},
    {"buf_reader", l_buf_reader},
    {"join", l_join},
    {"split", l_split},
    {"unsplit", l_unsplit},
    {NULL, NULL},
};

const luaL_Reg awl_wrap_methods[] = {
    {"into_parts", w_into_parts},
    {"buffer", w_buffer},
    {"read_buffer", w_read_buffer},
    {NULL, NULL},
};
