/* SPDX-License-Identifier: MIT */
/* A program's own loop: tasks go on in callbacks of it. A check handle resumes what this round's events woke without
 * another round; an idle handle is active only while something is ready, so that the loop does not go to sleep. */
#include "lua/awl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct awl_embed {
  uv_check_t check;
  uv_idle_t idle;
  unsigned open;        /* handles that have not been closed */
  struct awl_state *st; /* NULL: the lua_State is gone */
  lua_State *L;         /* anchored: the pump runs on it */
  int pump_ref;
};

static bool ready(const struct awl_state *st) { return st->nready > 0 || st->force_turn; }

static void pump(struct awl_embed *self) {
  struct awl_state *st = self->st;
  lua_State *L = self->L;
  st->pumping = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->pump_ref);
  if (lua_pcall(L, 0, 0, 0) != 0) {
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "asyncwrite: error in the executor: %s\n", message ? message : luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  st->pumping = false;
  if (!ready(st)) uv_idle_stop(&self->idle);
  else awl_embed_poke(self);
}

static bool due(const struct awl_embed *self) {
  return self->st && !self->st->pumping && !self->st->poll_L && ready(self->st);
}

/* Before the loop looks for events: for what was woken by timers, or outside the loop. */
static void on_idle(uv_idle_t *idle) {
  struct awl_embed *self = idle->data;
  if (due(self) && !self->st->force_turn) pump(self);
}

/* After it: the loop has turned. */
static void on_check(uv_check_t *check) {
  struct awl_embed *self = check->data;
  if (!due(self)) return;
  self->st->force_turn = false;
  self->st->turned = uv_hrtime();
  pump(self);
}

static void on_closed(uv_handle_t *handle) {
  struct awl_embed *self = handle->data;
  if (--self->open == 0) free(self);
}

void awl_embed_poke(struct awl_embed *self) { uv_idle_start(&self->idle, on_idle); }

void awl_embed_free(struct awl_embed *self) {
  if (self == NULL) return;
  self->st = NULL;
  uv_close((uv_handle_t *)&self->check, on_closed);
  uv_close((uv_handle_t *)&self->idle, on_closed);
}

static struct awl_embed *embed_new(struct awl_state *st, uv_loop_t *loop) {
  struct awl_embed *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  uv_check_init(loop, &self->check);
  uv_idle_init(loop, &self->idle);
  self->check.data = self->idle.data = self;
  self->open = 2;
  self->st = st;
  uv_check_start(&self->check, on_check);
  uv_unref((uv_handle_t *)&self->check);
  return self;
}

/* The part that may raise: the host of the executor, and what the pump needs. */
static int install(lua_State *L) {
  struct awl_embed *self = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "asyncwrite.host.embedded");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "install");
  lua_call(L, 0, 1);
  self->pump_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  self->L = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static int refuse(lua_State *L, int rc, const char *why) {
  lua_pushfstring(L, "set_loop: %s", why);
  return rc;
}

int awl_embed(lua_State *L, struct awl_state *st, uv_loop_t *loop) {
  if (st->dead || st->reactor) return refuse(L, UV_EBUSY, "the state has a loop already; hand yours in before");
  int rc = aw_reactor_new(&st->reactor, loop);
  if (rc < 0) return refuse(L, rc, aw_strerror(rc));
  struct awl_embed *self = embed_new(st, loop);
  rc = UV_ENOMEM;
  if (self == NULL) goto fail;
  rc = AW_ELUA;
  lua_pushcfunction(L, install);
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 1, 0, 0) != 0) goto fail;
  st->pid = getpid();
  st->embed = self;
  st->hosted = true;
  if (ready(st)) awl_embed_poke(self);
  return 0;
fail:
  awl_embed_free(self);
  aw_reactor_free(st->reactor);
  st->reactor = NULL;
  return rc == AW_ELUA ? rc : refuse(L, rc, aw_strerror(rc));
}
