/* SPDX-License-Identifier: MIT */
/* Chaos for Lua: dice as userdata, and the wrapper. asyncwrite.testing.chaos is what users see. */
#include "lua/awl.h"

#include <string.h>

static const char *const verbs[AW_CHAOS_VERBS] = {"ok",   "short", "early", "late",  "spurious",
                                                  "zero", "error", "fatal", "cancel"};

static aw_dice *check_dice(lua_State *L, int index, const char *op, int arg) {
  struct awl_state *st = awl_state_of(L);
  aw_dice **dice = NULL;
  if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, st->meta_dice_ref);
    if (lua_rawequal(L, -1, -2)) dice = lua_touserdata(L, index);
    lua_pop(L, 2);
  }
  if (dice) return *dice;
  awl_type_error(L, op, index, arg, "dice", "dice");
}

static unsigned field(lua_State *L, const char *name, unsigned def, unsigned max) {
  lua_getfield(L, 2, name);
  lua_Number n = lua_isnil(L, -1) ? def : lua_tonumber(L, -1);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER) n = -1;
  lua_pop(L, 1);
  if (!(n >= 0 && n <= max))
    awl_arg_error(L, "chaos", 3, "profile", "field '%s': number from 0 to %d expected", name, (int)max);
  return (unsigned)n;
}

static int code_field(lua_State *L, const char *name, int def) {
  lua_getfield(L, 2, name);
  int code = (int)luaL_optinteger(L, -1, def);
  lua_pop(L, 1);
  return code;
}

/* core.dice(seed, profile): percentages by the names of the verbs, max_late, error_code, fatal_code. */
static int l_dice(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  size_t seed = awl_check_size(L, "chaos", 1, 2, "seed", 0, UINT32_MAX);
  luaL_checktype(L, 2, LUA_TTABLE);
  aw_chaos_profile profile = {.max_late = field(L, "max_late", 3, 60000)};
  for (int verb = AW_CHAOS_SHORT; verb < AW_CHAOS_VERBS; verb++)
    profile.percent[verb] = (uint8_t)field(L, verbs[verb], 0, 100);
  profile.error = code_field(L, "error_code", UV_EIO);
  profile.fatal = code_field(L, "fatal_code", UV_ECONNRESET);
  aw_reactor *reactor = awl_reactor(L, st, "chaos");
  aw_dice **dice = lua_newuserdatauv(L, sizeof *dice, 0);
  *dice = NULL;
  awl_set_metatable(L, st->meta_dice_ref);
  int rc = aw_dice_new(dice, reactor, (uint32_t)seed, &profile);
  if (rc == UV_EINVAL) return awl_arg_error(L, "chaos", 3, "profile", "more than 100 per cent, or no time to be late");
  if (rc < 0) return awl_raise(L, "chaos", "%s", aw_strerror(rc));
  return 1;
}

/* dice:replay(list): verb and argument in turn. */
static int w_replay(lua_State *L) {
  aw_dice *dice = check_dice(L, 1, "replay", 0);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t n = lua_rawlen(L, 2) / 2;
  aw_chaos_step *steps = lua_newuserdatauv(L, (n + 1) * sizeof *steps, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 2, (int)(2 * i + 1));
    lua_rawgeti(L, 2, (int)(2 * i + 2));
    steps[i] = (aw_chaos_step){.verb = (uint16_t)lua_tointeger(L, -2), .arg = (int32_t)lua_tointeger(L, -1)};
    lua_pop(L, 2);
  }
  int rc = aw_dice_replay(dice, steps, n);
  return rc < 0 ? awl_raise(L, "chaos", "%s", aw_strerror(rc)) : 0;
}

/* dice:steps() -> such a list of what was taken until now */
static int w_steps(lua_State *L) {
  size_t n;
  const aw_chaos_step *steps = aw_dice_steps(check_dice(L, 1, "steps", 0), &n);
  lua_createtable(L, (int)(2 * n), 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, steps[i].verb);
    lua_rawseti(L, -2, (int)(2 * i + 1));
    lua_pushinteger(L, steps[i].arg);
    lua_rawseti(L, -2, (int)(2 * i + 2));
  }
  return 1;
}

/* dice:poll_cancel(): true once for each cancel that was rolled. */
static int w_poll_cancel(lua_State *L) {
  aw_dice *dice = check_dice(L, 1, "interrupt", 0);
  return awl_status(L, aw_poll_cancel(dice, awl_context(L, awl_state_of(L), "interrupt")));
}

static int w_gc(lua_State *L) {
  aw_dice **dice = lua_touserdata(L, 1);
  if (*dice) aw_dice_unref(*dice);
  *dice = NULL;
  return 0;
}

static int wrap_halves(aw_stream *s, const struct awl_box *b, aw_dice *dice) {
  int rc = b->w ? aw_chaos_new(&s->w, b->w, dice) : 0;
  if (rc == 0 && b->r) rc = aw_chaos_reader_new(&s->r, b->r, dice);
  if (rc == 0 || s->w == NULL) return rc;
  s->w->inner = NULL; /* on failure nothing is taken over */
  aw_writer_free(s->w);
  return rc;
}

/* core.chaos(stream, dice) */
static int l_chaos(lua_State *L) {
  struct awl_box *b = awl_check_box(L, "chaos", 1, 1, "stream");
  awl_check_idle(L, b, "chaos", 1, "stream");
  if (b->listener) awl_arg_error(L, "chaos", 1, "stream", "writer or reader expected, got a listener");
  aw_dice *dice = check_dice(L, 2, "chaos", 2);
  struct awl_box *made = awl_push_wrapper(L);
  aw_stream s = {NULL, NULL};
  int rc = wrap_halves(&s, b, dice);
  return awl_finish_wrapper(L, "chaos", made, rc, s);
}

static int code_of(const char *name) {
#define CODE(id, text)                                                                                                 \
  if (strcmp(name, #id) == 0) return UV_##id;
  UV_ERRNO_MAP(CODE)
#undef CODE
  return 0;
}

/* core.chaos_code("EIO") -> its number, or nil */
static int l_chaos_code(lua_State *L) {
  int code = code_of(luaL_checkstring(L, 1));
  if (code < 0) lua_pushinteger(L, code);
  else lua_pushnil(L);
  return 1;
}

/* core.chaos_code_name(number) */
static int l_chaos_code_name(lua_State *L) {
  lua_pushstring(L, aw_err_name((int)luaL_checkinteger(L, 1)));
  return 1;
}

const luaL_Reg awl_chaos_functions[] = {{"dice", l_dice},
                                        {"chaos", l_chaos},
                                        {"chaos_code", l_chaos_code},
                                        {"chaos_code_name", l_chaos_code_name},
                                        {NULL, NULL}};

const luaL_Reg awl_dice_methods[] = {
    {"replay", w_replay}, {"steps", w_steps}, {"poll_cancel", w_poll_cancel}, {"__gc", w_gc}, {NULL, NULL},
};
