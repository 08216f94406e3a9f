/* SPDX-License-Identifier: MIT */
/* stats(): what went through a stream, and how long it made tasks wait. */
#include "lua/awl.h"

uint64_t awl_now(const struct awl_state *st) { return st->reactor ? aw_reactor_now(st->reactor) : uv_hrtime(); }

void awl_stall(struct awl_box *b, bool of_task) {
  b->stats.pendings++;
  if (!of_task || b->stats.stalled_since > 0) return;
  b->stats.waits++;
  b->stats.stalled_since = awl_now(b->st) + 1; /* virtual time starts at 0 */
}

void awl_stall_ends(struct awl_box *b) {
  if (b->stats.stalled_since == 0) return;
  b->stats.stalled += awl_now(b->st) + 1 - b->stats.stalled_since;
  b->stats.stalled_since = 0;
}

static void set_count(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* stats(): a new table. Closed and moved streams tell what they had. */
static int w_stats(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b == NULL) b = awl_check_box(L, "stats", 1, 0, "self");
  awl_ask_buffered(L, b);
  const struct awl_stats *s = &b->stats;
  uint64_t accepted = s->bytes[AWL_WRITE], queued = b->w ? aw_buffered(b->w) : 0, held = queued + s->lost;
  uint64_t stalling = s->stalled_since && !b->closed ? awl_now(b->st) + 1 - s->stalled_since : 0;
  lua_createtable(L, 0, 8);
  set_count(L, "read", s->bytes[AWL_READ]);
  set_count(L, "accepted", accepted);
  set_count(L, "queued", queued);
  set_count(L, "lost", s->lost);
  set_count(L, "written", accepted > held ? accepted - held : 0);
  set_count(L, "pendings", s->pendings);
  set_count(L, "waits", s->waits);
  lua_pushnumber(L, (lua_Number)(s->stalled + stalling) / 1e9);
  lua_setfield(L, -2, "stalled");
  return 1;
}

const luaL_Reg awl_stats_methods[] = {{"stats", w_stats}, {NULL, NULL}};
