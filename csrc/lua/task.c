/* SPDX-License-Identifier: MIT */
/* Tasks as C sees them: a waker per coroutine, the ready list, the context of a poll. */
#include "lua/awl.h"

#include <stdio.h>
#include <stdlib.h>

static void enqueue(struct awl_wakeable *who) {
  struct awl_state *st = who->st;
  if (who->blank) {
    who->blank = false;
    st->nready++;
  }
  if (who->queued || who->waker.dead || st->dead) return;
  who->queued = true;
  who->next = NULL;
  *st->ready_tail = who;
  st->ready_tail = &who->next;
  st->nready++;
  if (!who->is_task) st->nfunctions++;
  aw_waker_ref(&who->waker);
}

static struct awl_wakeable *dequeue(struct awl_state *st) {
  struct awl_wakeable *who = st->ready;
  if (who == NULL) return NULL;
  st->ready = who->next;
  if (st->ready == NULL) st->ready_tail = &st->ready;
  if (!who->blank) st->nready--;
  who->queued = false;
  return who; /* with the list's reference */
}

void awl_release(struct awl_wakeable *who) {
  struct awl_state *st = who->st;
  if (who->ref == LUA_NOREF) return;
  if (who->is_task) {
    lua_rawgeti(st->thread, LUA_REGISTRYINDEX, st->live_ref);
    luaL_unref(st->thread, -1, who->ref);
    lua_pop(st->thread, 1);
  } else {
    luaL_unref(st->thread, LUA_REGISTRYINDEX, who->ref);
  }
  who->ref = LUA_NOREF;
}

/* A guest's host sleeps until it is poked. What a task wakes needs no poke: its host looks when the task waits. */
static void poke(struct awl_state *st, bool by_task) {
  if (!st->hosted || st->pumping || (by_task && !st->eager) || !st->reactor) return;
  if (st->embed) awl_embed_poke(st->embed);
  else aw_reactor_poke(st->reactor);
}

void awl_poke_outside(lua_State *L, struct awl_state *st) {
  if (st->hosted && !st->pumping) poke(st, awl_current_task(L, st) != NULL);
}

static void on_wake(aw_waker *waker) {
  struct awl_wakeable *who = (struct awl_wakeable *)waker;
  if (who->trace) awl_trace_wake(who);
  enqueue(who);
  struct awl_state *st = who->st;
  if (st->hosted && !st->pumping) poke(st, st->poll_L && !st->frame && awl_current_task(st->poll_L, st) != NULL);
}

static void on_free(aw_waker *waker) {
  awl_release((struct awl_wakeable *)waker);
  awl_trace_unref(((struct awl_wakeable *)waker)->trace);
  free(waker);
}

static const aw_waker_type type = {.wake = on_wake, .free = on_free};

static struct awl_wakeable *wakeable_new(struct awl_state *st, bool is_task) {
  struct awl_wakeable *who = calloc(1, sizeof *who);
  if (who == NULL) return NULL;
  aw_waker_init(&who->waker, &type);
  who->st = st;
  who->ref = LUA_NOREF;
  who->is_task = is_task;
  return who;
}

bool awl_is_held(const aw_waker *waker) {
  const struct awl_wakeable *who = waker->type == &type ? (const struct awl_wakeable *)waker : NULL;
  unsigned own = 1u + (who ? who->noted : 0) + (who && who->is_task && !waker->dead ? 1u : 0u);
  return (who && who->queued) || waker->refs > own;
}

struct awl_wakeable *awl_current_task(lua_State *L, struct awl_state *st) {
  struct awl_wakeable *who = st->current;
  if (who && who->co == L) return who;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->tasks_ref);
  lua_pushthread(L);
  lua_rawget(L, -2);
  who = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return who;
}

aw_waker *awl_context(lua_State *L, struct awl_state *st, const char *op) {
  if (st->frame) {
    st->frame->touched = true;
    return st->frame->waker;
  }
  struct awl_wakeable *who = awl_current_task(L, st);
  if (who == NULL)
    awl_raise(L, op,
              st->current ? "not in the context of a task (a coroutine nested in a task is not the task)"
                          : "not in the context of a task");
  return &who->waker;
}

void awl_note(struct awl_parked *at, struct awl_wakeable *who) {
  struct awl_wakeable *old = at->who;
  if (who) {
    aw_waker_ref(&who->waker);
    who->noted++;
    at->turn = who->turn;
  }
  at->who = who;
  if (old == NULL) return;
  old->noted--;
  aw_waker_unref(&old->waker);
}

/* After AWL_BUDGET ready polls a task must let the others and the loop have a turn. While nobody else is ready and the
 * loop turned a moment ago it may go on: a turn costs as much as dozens of buffered writes. */
bool awl_spend(struct awl_state *st) {
  if (st->frame) return true;
  if (st->budget == 0 && st->nready == 0 && !st->crowded && uv_hrtime() - st->turned < AWL_TURN_NS)
    st->budget = AWL_BUDGET;
  if (st->budget > 0) {
    st->budget--;
    return true;
  }
  st->force_turn = true;
  return false;
}

/* A function woken by a waker runs as soon as no poll is on the C stack. Its errors are nobody's: it warns of them. */
static void call_function(lua_State *L, struct awl_wakeable *who) {
  if (!lua_checkstack(L, 4)) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, who->ref);
  if (lua_pcall(L, 0, 0, 0) == 0) return;
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "asyncwrite: error in a waker's function: %s\n", message ? message : luaL_typename(L, -1));
  lua_pop(L, 1);
}

void awl_drain_functions(lua_State *L, struct awl_state *st) {
  if (st->nfunctions == 0 || st->poll_L) return;
  for (struct awl_wakeable **at = &st->ready; *at;) {
    struct awl_wakeable *who = *at;
    if (who->is_task) {
      at = &who->next;
      continue;
    }
    *at = who->next;
    if (*at == NULL) st->ready_tail = at;
    st->nready--;
    st->nfunctions--;
    who->queued = false;
    call_function(L, who);
    aw_waker_unref(&who->waker);
    at = &st->ready; /* the call may have changed the list */
  }
}

/* core.waker(f): a waker that calls f. */
static int l_waker(lua_State *L) {
  if (!lua_isfunction(L, 1)) awl_type_error(L, "waker", 1, 1, "f", "function");
  struct awl_state *st = awl_state_of(L);
  struct awl_wakeable *who = wakeable_new(st, false);
  if (who == NULL) return awl_raise(L, "waker", "not enough memory");
  awl_push_waker(L, st, &who->waker);
  aw_waker_unref(&who->waker); /* the userdata holds it now */
  lua_pushvalue(L, 1);
  who->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

/* core.task(task): the handle of a new task, to be bound to a coroutine. task is what next_ready returns. */
static int l_task(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  struct awl_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct awl_handle){.next = st->handles};
  if (handle->next) handle->next->prev = handle;
  st->handles = handle;
  awl_set_metatable(L, st->meta_task_ref);
  struct awl_wakeable *who = handle->who = wakeable_new(st, true);
  if (who == NULL) return awl_raise(L, "spawn", "not enough memory");
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->live_ref);
  lua_pushvalue(L, 1);
  who->ref = luaL_ref(L, -2);
  lua_pop(L, 1);
  return 1;
}

struct awl_wakeable *awl_check_task(lua_State *L) {
  struct awl_handle *handle = awl_check_handle(L, awl_state_of(L)->meta_task_ref);
  struct awl_wakeable *who = handle->who;
  if (who == NULL) luaL_error(L, "the state is closing");
  return who;
}

/* handle:bind(co): polls in that coroutine are the task's. */
static int w_bind(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  luaL_checktype(L, 2, LUA_TTHREAD);
  who->co = lua_tothread(L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, who->st->tasks_ref);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, who);
  lua_rawset(L, -3);
  return 0;
}

static int w_wake(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  enqueue(who);
  awl_poke_outside(L, who->st);
  return 0;
}

/* task:finish(): it never runs again; the wakers it left in slots are dead. */
static int w_finish(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  struct awl_state *st = who->st;
  if (who->waker.dead) return 0;
  who->waker.dead = true;
  if (who->waker.refs > 1u + who->queued + who->noted) st->stale = true;
  if (st->current == who) st->current = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->tasks_ref);
  if (who->co) {
    awl_leave_wait(who);
    lua_pushthread(who->co);
    lua_xmove(who->co, L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
  }
  who->co = NULL;
  awl_release(who);
  return 0;
}

/* task:unready(): it has gone on by the host's own doing. Its place in the list stays, as a blank. */
static int w_unready(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  if (!who->queued || who->blank) return 0;
  who->blank = true;
  who->st->nready--;
  return 0;
}

/* task:forget(): its coroutine is collected already. */
static int w_forget(lua_State *L) {
  awl_check_task(L)->co = NULL;
  return 0;
}

/* task:refill(): it goes on after a wait that the host ended, with a fresh budget. */
static int w_refill(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  who->st->current = who;
  who->st->budget = AWL_BUDGET;
  return 0;
}

/* task:enter(): it runs from here on, on the budget of the task that runs now. */
static int w_enter(lua_State *L) {
  struct awl_wakeable *who = awl_check_task(L);
  who->st->current = who;
  who->turn++;
  return 0;
}

void awl_drop_handle(struct awl_handle *handle) {
  struct awl_wakeable *who = handle->who;
  handle->who = NULL;
  if (who == NULL) return;
  who->waker.dead = true;
  aw_waker_unref(&who->waker);
}

static int w_gc(lua_State *L) {
  struct awl_handle *handle = lua_touserdata(L, 1);
  struct awl_state *st = awl_state_of(L);
  awl_drop_handle(handle);
  if (handle->next) handle->next->prev = handle->prev;
  if (handle->prev) handle->prev->next = handle->next;
  else if (st->handles == handle) st->handles = handle->next;
  return 0;
}

struct awl_wakeable *awl_next_ready(lua_State *L, struct awl_state *st) {
  for (struct awl_wakeable *who; !st->force_turn && (who = dequeue(st));) {
    if (!who->is_task) {
      st->nfunctions--;
      call_function(L, who);
      aw_waker_unref(&who->waker);
      continue;
    }
    bool live = !who->waker.dead && !who->blank;
    who->blank = false;
    aw_waker_unref(&who->waker); /* its handle holds one more while it is not dead */
    if (!live) continue;
    st->current = who;
    st->budget = AWL_BUDGET;
    who->turn++;
    return who;
  }
  st->current = NULL;
  return NULL;
}

/* core.crowded(on): while on, the running task is not alone even if none is ready. */
static int l_crowded(lua_State *L) {
  awl_state_of(L)->crowded = lua_toboolean(L, 1);
  return 0;
}

/* core.coop(): false when the budget is spent; the task is woken again and must park (W12). nil outside a task. */
static int l_coop(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  struct awl_wakeable *who = awl_current_task(L, st);
  if (who == NULL) return 0;
  bool go = awl_spend(st);
  if (!go) enqueue(who);
  lua_pushboolean(L, go);
  return 1;
}

const luaL_Reg awl_task_functions[] = {
    {"waker", l_waker}, {"task", l_task}, {"crowded", l_crowded}, {"coop", l_coop}, {NULL, NULL},
};

const luaL_Reg awl_task_methods[] = {
    {"bind", w_bind},     {"refill", w_refill},   {"wake", w_wake}, {"finish", w_finish}, {"enter", w_enter},
    {"forget", w_forget}, {"unready", w_unready}, {"__gc", w_gc},   {NULL, NULL},
};
