/* SPDX-License-Identifier: MIT */
/* tee in Lua: many boxes become one, and many again. */
#include "lua/awl.h"

#include <stdio.h>
#include <string.h>

enum { BUFFER = 65536, LIST = 1, OPTIONS = 2, FIRST = 3 }; /* stack: list, options, the boxes of the list */

/* The option, one of two words: is it the second? */
static bool is_second(lua_State *L, const char *name, const char *first, const char *second) {
  char argument[32];
  if (lua_isnoneornil(L, OPTIONS)) return false;
  lua_getfield(L, OPTIONS, name);
  const char *word = lua_isnil(L, -1) ? first : lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool is = strcmp(word, second) == 0;
  if (!is && strcmp(word, first) != 0) {
    snprintf(argument, sizeof argument, "options.%s", name);
    awl_arg_error(L, "tee", 2, argument, "'%s' or '%s' expected, got %s", first, second,
                  *word ? word : luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return is;
}

static size_t capacity_of(lua_State *L) {
  if (lua_isnoneornil(L, OPTIONS)) return BUFFER;
  lua_getfield(L, OPTIONS, "capacity");
  size_t capacity = awl_opt_size(L, "tee", -1, 2, "options.capacity", BUFFER, 1, INT32_MAX);
  lua_pop(L, 1);
  return capacity;
}

/* Pushes the boxes of the list, which are all different and idle; their writers go into ws. */
static unsigned push_boxes(lua_State *L, aw_writer **ws) {
  size_t n = lua_rawlen(L, LIST);
  if (n == 0 || n > AW_TEE_MAX) awl_arg_error(L, "tee", 1, "branches", "1 to %d writers expected", AW_TEE_MAX);
  luaL_checkstack(L, (int)n + 20, "tee");
  for (unsigned i = 0; i < n; i++) {
    char name[32];
    snprintf(name, sizeof name, "branches[%u]", i + 1);
    lua_rawgeti(L, LIST, (int)i + 1);
    struct awl_box *b = awl_check_writer(L, "tee", -1, 1, name);
    awl_check_idle(L, b, "tee", 1, name);
    for (unsigned k = 0; k < i; k++)
      if (ws[k] == b->w) awl_arg_error(L, "tee", 1, name, "it is branches[%d] too", (int)k + 1);
    ws[i] = b->w;
  }
  return (unsigned)n;
}

/* tee(branches [, options]): the read half of the first comes along, the others' are closed. */
static int l_tee(lua_State *L) {
  aw_writer *ws[AW_TEE_MAX], *w;
  if (!lua_istable(L, LIST)) awl_type_error(L, "tee", LIST, 1, "branches", "table");
  if (!lua_isnoneornil(L, OPTIONS) && !lua_istable(L, OPTIONS))
    awl_type_error(L, "tee", OPTIONS, 2, "options", "table");
  lua_settop(L, OPTIONS);
  size_t capacity = capacity_of(L);
  unsigned flags = (is_second(L, "on_error", "fail", "drop") ? AW_TEE_DROP_FAILED : 0u) |
                   (is_second(L, "on_slow", "wait", "drop") ? AW_TEE_DROP_SLOW : 0u);
  unsigned n = push_boxes(L, ws);
  struct awl_box *made = awl_push_box(L);
  for (unsigned i = 0; i < n; i++) awl_take_anchor(L, (int)(FIRST + i));
  int rc = aw_tee_new(&w, ws, n, capacity, flags);
  if (rc < 0) return awl_raise(L, "tee", "%s", aw_strerror(rc));
  awl_fill_box(made, (aw_stream){.w = w, .r = awl_to_box(L, FIRST)->r});
  aw_reader *rest[AW_TEE_MAX] = {NULL};
  for (unsigned i = 0; i < n; i++) {
    struct awl_box *b = awl_to_box(L, (int)(FIRST + i));
    rest[i] = i > 0 ? b->r : NULL;
    awl_move_out(b);
  }
  for (unsigned i = 0; i < n; i++) aw_reader_free(rest[i]);
  return 1;
}

static void set_code(lua_State *L, const char *name, int code) {
  if (code == 0) return;
  lua_pushstring(L, aw_err_name(code));
  lua_setfield(L, -2, name);
}

/* branches(): what became of each: { {name =, behind =, failed =, error =}, ... } */
static int w_branches(lua_State *L) {
  aw_writer *tee = aw_tee_find(awl_check_writer(L, "branches", 1, 0, "self")->w);
  if (tee == NULL) return awl_arg_error(L, "branches", 0, "self", "there is no tee in its chain");
  unsigned n = aw_tee_count(tee);
  lua_createtable(L, (int)n, 0);
  for (unsigned i = 0; i < n; i++) {
    aw_tee_branch look = aw_tee_look(tee, i);
    char name[160];
    if (look.w) aw_describe(look.w, name, sizeof name);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, look.w ? name : look.name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)look.len);
    lua_setfield(L, -2, "behind");
    set_code(L, "failed", look.failed);
    set_code(L, "error", look.error);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

int awl_split_tee(lua_State *L, struct awl_box *b) {
  aw_writer *tee = b->w;
  unsigned n = aw_tee_count(tee);
  int top = lua_gettop(L), at = top;
  luaL_checkstack(L, 2 * (int)n + 20, "into_parts");
  for (unsigned i = 0; i < n; i++) {
    aw_tee_branch look = aw_tee_look(tee, i);
    if (look.w == NULL) continue;
    awl_push_wrapper(L);
    lua_pushlstring(L, look.behind, look.len);
  }
  bool first_is_left = aw_tee_look(tee, 0).w != NULL;
  aw_reader *r = b->r;
  for (unsigned i = 0; i < n; i++) {
    aw_tee_branch look = aw_tee_look(tee, i);
    if (look.w == NULL) continue;
    awl_fill_box(awl_to_box(L, at + 1), (aw_stream){.w = look.w, .r = i == 0 ? r : NULL});
    at += 2;
  }
  awl_move_out(b);
  aw_tee_release(tee);
  if (!first_is_left) aw_reader_free(r);
  return at - top;
}

const luaL_Reg awl_tee_functions[] = {{"tee", l_tee}, {NULL, NULL}};
const luaL_Reg awl_tee_methods[] = {{"branches", w_branches}, {NULL, NULL}};
