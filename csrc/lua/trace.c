/* SPDX-License-Identifier: MIT */
/* trace(): a ring of the polls of a stream and of the wakes of those who wait on it. A stream without one pays nothing:
 * its polls go the short way, where a traced one is sent the long way. */
#include "lua/awl.h"

#include <stdlib.h>

enum { EVENTS = 1024, MOST_EVENTS = 1 << 20 };

struct event {
  uint64_t start, end;
  const char *op; /* NULL: a wake */
  ssize_t result;
};

struct awl_trace {
  unsigned refs;
  const struct awl_state *st;
  size_t size;
  uint64_t count; /* of all events; the last size of them are in the ring */
  struct event ring[];
};

void awl_trace_unref(struct awl_trace *trace) {
  if (trace && --trace->refs == 0) free(trace);
}

static void add(struct awl_trace *trace, struct event event) { trace->ring[trace->count++ % trace->size] = event; }

/* A task that now waits on the stream tells of its wake. */
static void watch(struct awl_wakeable *task, struct awl_trace *trace) {
  trace->refs++;
  awl_trace_unref(task->trace);
  task->trace = trace;
}

void awl_trace_poll(const struct awl_poll *p, ssize_t result) {
  struct awl_trace *trace = p->box->trace;
  if (p->started == 0) return; /* trace was called inside this very poll */
  add(trace, (struct event){.start = p->started - 1, .end = awl_now(trace->st), .op = p->op, .result = result});
  if (result == AW_PENDING && p->task) watch(p->task, trace);
}

void awl_trace_wake(struct awl_wakeable *who) {
  struct awl_trace *trace = who->trace;
  who->trace = NULL;
  uint64_t now = awl_now(trace->st);
  add(trace, (struct event){.start = now, .end = now});
  awl_trace_unref(trace);
}

/* trace([events]): records from now on, anew; the ring keeps the last events (default 1024). trace(false) ends it. */
static int w_trace(lua_State *L) {
  struct awl_box *b = awl_check_box(L, "trace", 1, 0, "self");
  bool off = lua_type(L, 2) == LUA_TBOOLEAN && !lua_toboolean(L, 2);
  size_t size = off ? 0 : awl_opt_size(L, "trace", 2, 1, "events", EVENTS, 1, MOST_EVENTS);
  struct awl_trace *trace = off ? NULL : malloc(sizeof *trace + size * sizeof *trace->ring);
  if (trace) *trace = (struct awl_trace){.refs = 1, .st = b->st, .size = size};
  else if (!off) awl_raise(L, "trace", "not enough memory");
  awl_trace_unref(b->trace);
  b->trace = trace;
  b->traced = trace != NULL;
  return 0;
}

static void push_result(lua_State *L, ssize_t result) {
  if (result == AW_PENDING) lua_pushboolean(L, 0);
  else if (result < 0) lua_pushstring(L, aw_err_name((int)result));
  else lua_pushinteger(L, (lua_Integer)result);
}

static void push_event(lua_State *L, const struct event *e) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, e->op ? e->op : "wake");
  lua_setfield(L, -2, "op");
  lua_pushnumber(L, (lua_Number)e->start / 1e9);
  lua_setfield(L, -2, "time");
  if (e->op == NULL) return;
  lua_pushnumber(L, (lua_Number)(e->end - e->start) / 1e9);
  lua_setfield(L, -2, "seconds");
  push_result(L, e->result);
  lua_setfield(L, -2, "result");
}

/* trace_events(): what the ring has, the oldest first, and how many older ones it has no more; nil without a trace. */
static int w_trace_events(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b == NULL) b = awl_check_box(L, "trace_events", 1, 0, "self");
  const struct awl_trace *trace = b->trace;
  if (trace == NULL) return 0;
  uint64_t first = trace->count > trace->size ? trace->count - trace->size : 0;
  lua_newtable(L);
  for (uint64_t i = first; i < trace->count; i++) {
    push_event(L, &trace->ring[i % trace->size]);
    lua_rawseti(L, -2, (int)(i - first) + 1);
  }
  lua_pushinteger(L, (lua_Integer)first);
  return 2;
}

const luaL_Reg awl_trace_methods[] = {{"trace", w_trace}, {"trace_events", w_trace_events}, {NULL, NULL}};
