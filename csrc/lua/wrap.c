/* SPDX-License-Identifier: MIT */
/* Wrapping, joining and splitting: a box gives its halves away and is moved; what it had lives on in the new box. */
#include "lua/awl.h"

enum { BUFFER = 8192 }; /* tokio's default */

#define SIZE_LIMIT ((size_t)INT32_MAX)

/* buf_writer(w [, capacity]): the read half of w, if it has one, comes along. */
static int l_buf_writer(lua_State *L) {
  struct awl_box *b = awl_check_writer(L, "buf_writer", 1, 1, "w");
  size_t capacity = awl_opt_size(L, "buf_writer", 2, 2, "capacity", BUFFER, 0, SIZE_LIMIT);
  awl_check_idle(L, b, "buf_writer", 1, "w");
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  aw_writer *w;
  int rc = aw_buf_writer_new(&w, b->w, capacity);
  if (rc < 0) return awl_raise(L, "buf_writer", "%s", aw_strerror(rc));
  awl_fill_box(made, (aw_stream){.w = w, .r = b->r});
  awl_move_out(b);
  return 1;
}

static int l_buf_reader(lua_State *L) {
  struct awl_box *b = awl_check_reader(L, "buf_reader", 1, 1, "r");
  size_t capacity = awl_opt_size(L, "buf_reader", 2, 2, "capacity", BUFFER, 1, SIZE_LIMIT);
  awl_check_idle(L, b, "buf_reader", 1, "r");
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  aw_reader *r;
  int rc = aw_buf_reader_new(&r, b->r, capacity);
  if (rc < 0) return awl_raise(L, "buf_reader", "%s", aw_strerror(rc));
  awl_fill_box(made, (aw_stream){.w = b->w, .r = r});
  awl_move_out(b);
  return 1;
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

/* into_parts(): takes the outermost wrapper of the write side off. Returns the box of what was inside, and the bytes
 * the wrapper held back: nothing accepted is lost (B5). */
static int w_into_parts(lua_State *L) {
  struct awl_box *b = awl_check_writer(L, "into_parts", 1, 0, "self");
  awl_check_idle(L, b, "into_parts", 0, "self");
  aw_writer *outer = b->w;
  size_t len = 0;
  const char *data = aw_buf_writer_data(outer, &len);
  if (data == NULL) awl_arg_error(L, "into_parts", 0, "self", "a %s wraps nothing", outer->type->name);
  struct awl_box *made = awl_push_box(L);
  awl_take_anchor(L, 1);
  lua_pushlstring(L, data, len);
  awl_fill_box(made, (aw_stream){.w = outer->inner, .r = b->r});
  outer->inner = NULL;
  awl_move_out(b);
  aw_writer_free(outer);
  return 2;
}

/* buffer(): the bytes that a buf_writer holds back. */
static int w_buffer(lua_State *L) {
  size_t len = 0;
  const char *data = aw_buf_writer_data(awl_check_writer(L, "buffer", 1, 0, "self")->w, &len);
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
    {"buf_writer", l_buf_writer}, {"buf_reader", l_buf_reader}, {"join", l_join},
    {"split", l_split},           {"unsplit", l_unsplit},       {NULL, NULL},
};

const luaL_Reg awl_wrap_methods[] = {
    {"into_parts", w_into_parts},
    {"buffer", w_buffer},
    {"read_buffer", w_read_buffer},
    {NULL, NULL},
};
