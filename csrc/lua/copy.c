/* SPDX-License-Identifier: MIT */
/* The copy loop as a pollable object; bytes never enter Lua. */
#include "lua/awl.h"

/* core.copy(r, w, buffer, shut_down) */
static int l_copy(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  const char *op = lua_toboolean(L, 4) ? "copy_bidirectional" : "copy";
  awl_check_reader(L, op, 1, 1, "r");
  awl_check_writer(L, op, 2, 2, "w");
  size_t buffer = awl_opt_size(L, op, 3, 3, "buffer", 8192, 1, INT32_MAX);
  aw_copy **c = lua_newuserdatauv(L, sizeof(aw_copy *), 0);
  *c = NULL;
  awl_set_metatable(L, st->meta_copy_ref);
  int rc = aw_copy_new(c, buffer, lua_toboolean(L, 4));
  return rc < 0 ? awl_raise(L, "copy", "%s", aw_strerror(rc)) : 1;
}

static aw_copy *check_pump(lua_State *L, int index) {
  aw_copy **c = awl_to_handle(L, index, awl_state_of(L)->meta_copy_ref);
  if (c == NULL) luaL_argerror(L, index, "wrong self");
  if (*c == NULL) luaL_error(L, "the state is closing");
  return *c;
}

/* Polls the pump at one index, from the box at r into that at w: true, false or the triple. Both boxes are held for the
 * time of the poll. */
static int poll_pump(lua_State *L, int index, int from, int into) {
  const char *op = "copy";
  aw_copy *c = check_pump(L, index);
  if (awl_canceled(L, from, AWL_READ) || awl_canceled(L, into, AWL_WRITE)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *r = awl_check_reader(L, op, from, 1, "r"), *w = awl_check_writer(L, op, into, 2, "w");
  awl_check_pollable(L, r, AWL_READ, op);
  awl_check_pollable(L, w, AWL_WRITE, op);
  struct awl_poll pr;
  awl_begin(L, &pr, r, AWL_READ, op, false);
  r->busy = false; /* an echo: one box may be both ends */
  struct awl_poll pw;
  awl_begin(L, &pw, w, AWL_WRITE, op, false);
  r->busy = true;
  int early = pr.early ? pr.early : pw.early;
  uint64_t before = aw_copy_total(c);
  int rc = early ? early : aw_poll_copy(c, r->r, w->w, pr.waker);
  if (rc == AW_PENDING && (r->close_later || w->close_later)) rc = UV_ECANCELED; /* for both */
  uint64_t moved = aw_copy_total(c) - before;
  r->stats.bytes[AWL_READ] += moved, w->stats.bytes[AWL_WRITE] += moved;
  pw.other = !early && !aw_copy_is_writing(c);
  rc = (int)awl_leave(&pw, rc);
  rc = (int)awl_leave(&pr, rc);
  awl_settle(L, r->st);
  return awl_status(L, rc);
}

/* copy:poll(r, w) */
static int w_poll(lua_State *L) { return poll_pump(L, 1, 2, 3); }

#ifndef AWL_LUA_YIELDS
/* core.run_copy(pump, r, w): waits for the end of one: true or the triple. */
static int run_copy_on(lua_State *L, int status, lua_KContext context) {
  (void)status;
  lua_settop(L, 3);
  int n = poll_pump(L, 1, 2, 3);
  if (n > 1 || lua_toboolean(L, -1)) return n;
  lua_settop(L, 3);
  return awl_wait(L, "copy", 3, (lua_Integer)aw_copy_total(check_pump(L, 1)), context, run_copy_on);
}

static int l_run_copy(lua_State *L) { return run_copy_on(L, 0, 0); }

/* core.run_copies(there, back, a, b): the same of both ways between a and b. ended: bit 0, there; bit 1, back. */
static int run_copies_on(lua_State *L, int status, lua_KContext ended) {
  (void)status;
  lua_settop(L, 4);
  for (int i = 0; i < 2; i++) {
    if (ended & (1 << i)) continue;
    int n = poll_pump(L, 1 + i, 3 + i, 4 - i);
    if (n > 1) return n;
    if (lua_toboolean(L, -1)) ended |= 1 << i;
    lua_settop(L, 4);
  }
  lua_pushboolean(L, 1);
  if (ended == 3) return 1;
  uint64_t total = aw_copy_total(check_pump(L, 1)) + aw_copy_total(check_pump(L, 2));
  lua_settop(L, 4);
  return awl_wait(L, "copy_bidirectional", 3, (lua_Integer)total, ended, run_copies_on);
}

static int l_run_copies(lua_State *L) { return run_copies_on(L, 0, 0); }
#else
#define l_run_copy NULL
#define l_run_copies NULL
#endif

static int w_total(lua_State *L) {
  aw_copy **c = awl_check_handle(L, awl_state_of(L)->meta_copy_ref);
  lua_pushinteger(L, *c ? (lua_Integer)aw_copy_total(*c) : 0);
  return 1;
}

static int w_free(lua_State *L) {
  aw_copy **c = awl_check_handle(L, awl_state_of(L)->meta_copy_ref);
  aw_copy_free(*c);
  *c = NULL;
  return 0;
}

const luaL_Reg awl_copy_functions[] = {
    {"copy", l_copy}, {"run_copy", l_run_copy}, {"run_copies", l_run_copies}, {NULL, NULL}};
const luaL_Reg awl_copy_methods[] = {{"poll", w_poll}, {"total", w_total}, {"__gc", w_free}, {NULL, NULL}};
