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

/* copy:poll(r, w): true, false or the triple. Both boxes are held for the time of the poll. */
static int w_poll(lua_State *L) {
  const char *op = "copy";
  aw_copy **c = awl_check_handle(L, awl_state_of(L)->meta_copy_ref);
  if (*c == NULL) return luaL_error(L, "the state is closing");
  if (awl_canceled(L, 2, AWL_READ) || awl_canceled(L, 3, AWL_WRITE)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *r = awl_check_reader(L, op, 2, 1, "r"), *w = awl_check_writer(L, op, 3, 2, "w");
  awl_check_pollable(L, r, AWL_READ, op);
  awl_check_pollable(L, w, AWL_WRITE, op);
  struct awl_poll pr;
  awl_begin(L, &pr, r, AWL_READ, op, false);
  r->busy = false; /* an echo: one box may be both ends */
  struct awl_poll pw;
  awl_begin(L, &pw, w, AWL_WRITE, op, false);
  r->busy = true;
  int early = pr.early ? pr.early : pw.early;
  uint64_t before = aw_copy_total(*c);
  int rc = early ? early : aw_poll_copy(*c, r->r, w->w, pr.waker);
  uint64_t moved = aw_copy_total(*c) - before;
  r->stats.bytes[AWL_READ] += moved, w->stats.bytes[AWL_WRITE] += moved;
  rc = (int)awl_leave(&pw, rc);
  rc = (int)awl_leave(&pr, rc);
  awl_settle(L, r->st);
  return awl_status(L, rc);
}

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

const luaL_Reg awl_copy_functions[] = {{"copy", l_copy}, {NULL, NULL}};
const luaL_Reg awl_copy_methods[] = {{"poll", w_poll}, {"total", w_total}, {"__gc", w_free}, {NULL, NULL}};
