/* SPDX-License-Identifier: MIT */
/* The module asyncwrite.core: what the Lua part of the library is made of. Users require "asyncwrite". */
#include "lua/awl.h"

#include <string.h>

AW_API int luaopen_asyncwrite_core(lua_State *L);

/* core.library(): the calling chunk belongs to the library; errors of misuse point past it. */
static int l_library(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->sources_ref);
  lua_pushstring(L, ar.source);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  return 0;
}

/* core.is_library(source): does this chunk, as debug.getinfo names its source, belong to the library? */
static int l_is_library(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, awl_state_of(L)->sources_ref);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

/* core.raise(op, message): an error of misuse, at the line that called the library. */
static int l_raise(lua_State *L) { return awl_raise(L, luaL_checkstring(L, 1), "%s", luaL_checkstring(L, 2)); }

/* core.arg_error(op, number, name, message) */
static int l_arg_error(lua_State *L) {
  return awl_arg_error(L, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2), luaL_checkstring(L, 3), "%s",
                       luaL_checkstring(L, 4));
}

/* core.check_stream(op, number, name, value, what): raises unless value is an open reader ("r"), writer ("w") or both.
 */
static int l_check_stream(lua_State *L) {
  const char *op = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 3), *what = luaL_checkstring(L, 5);
  int number = (int)luaL_checkinteger(L, 2);
  if (strchr(what, 'r')) awl_check_reader(L, op, 4, number, name);
  if (strchr(what, 'w')) awl_check_writer(L, op, 4, number, name);
  return 0;
}

/* core.is_box(value): is it a writer, reader or listener? */
static int l_is_box(lua_State *L) {
  lua_pushboolean(L, awl_to_box(L, 1) != NULL);
  return 1;
}

/* core.fail(code): nil, message, code of a code by its name */
static int l_fail(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
#define CASE(id, text)                                                                                                 \
  if (strcmp(name, #id) == 0) return awl_fail(L, UV_##id);
  UV_ERRNO_MAP(CASE)
#undef CASE
  return awl_fail(L, AW_EWRITEZERO);
}

static const luaL_Reg functions[] = {
    {"library", l_library},     {"is_library", l_is_library}, {"raise", l_raise}, {"check_stream", l_check_stream},
    {"arg_error", l_arg_error}, {"is_box", l_is_box},         {"fail", l_fail},   {NULL, NULL},
};

static int anchored(lua_State *L, lua_CFunction f) {
  lua_pushcfunction(L, f);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void make_box_metatable(lua_State *L, struct awl_state *st) {
  static const luaL_Reg *const groups[] = {
      awl_box_methods,     awl_write_methods,  awl_read_methods,  awl_memory_methods, awl_wrap_methods,
      awl_net_methods,     awl_socket_methods, awl_stats_methods, awl_trace_methods,  awl_deadline_methods,
      awl_wrapper_methods, awl_file_methods,   awl_tee_methods,   awl_pace_methods};
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->methods_ref);
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) awl_add_functions(L, groups[i]);
  st->meta_box_ref = awl_new_metatable(L, "stream", awl_box_meta);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->meta_box_ref);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
}

int luaopen_asyncwrite_core(lua_State *L) {
  static const luaL_Reg *const groups[] = {functions,
                                           awl_task_functions,
                                           awl_resume_functions,
                                           awl_wait_functions,
                                           awl_loop_functions,
                                           awl_waker_functions,
                                           awl_memory_functions,
                                           awl_wrap_functions,
                                           awl_custom_functions,
                                           awl_net_functions,
                                           awl_resolve_functions,
                                           awl_copy_functions,
                                           awl_timer_functions,
                                           awl_encode_functions,
                                           awl_bridge_functions,
                                           awl_testing_functions,
                                           awl_wrapper_functions,
                                           awl_file_functions,
                                           awl_process_functions,
                                           awl_tee_functions,
                                           awl_chaos_functions,
                                           awl_pace_functions,
                                           awl_budget_functions,
                                           awl_metadata_functions};
  struct awl_state *st = awl_state_open(L);
  if (st->meta_box_ref == 0) {
    make_box_metatable(L, st);
    st->meta_waker_ref = awl_new_metatable(L, "waker", awl_waker_methods);
    st->meta_timer_ref = awl_new_metatable(L, "timer", awl_timer_methods);
    st->meta_task_ref = awl_new_metatable(L, "task", awl_task_methods);
    lua_rawgeti(L, LUA_REGISTRYINDEX, st->meta_task_ref);
    awl_add_functions(L, awl_resume_methods);
    lua_pop(L, 1);
    st->meta_copy_ref = awl_new_metatable(L, "copy", awl_copy_methods);
    st->meta_resolve_ref = awl_new_metatable(L, "lookup", awl_resolve_methods);
    st->meta_bridge_ref = awl_new_metatable(L, "bridge", awl_bridge_methods);
    st->meta_process_ref = awl_new_metatable(L, "process", awl_process_methods);
    st->meta_signal_ref = awl_new_metatable(L, "signal", awl_signal_methods);
    st->meta_dice_ref = awl_new_metatable(L, "dice", awl_dice_methods);
    st->meta_budget_ref = awl_new_metatable(L, "budget", awl_budget_methods);
    st->meta_metadata_ref = awl_new_metatable(L, "metadata", awl_metadata_methods);
    st->custom_ref = anchored(L, awl_custom_call);
    st->callback_ref = anchored(L, awl_callback_body);
    st->handler_ref = anchored(L, awl_error_handler);
    awl_publish_api(L);
  }
  lua_newtable(L);
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) awl_add_functions(L, groups[i]);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->methods_ref);
  lua_setfield(L, -2, "methods");
  return 1;
}
