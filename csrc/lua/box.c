/* SPDX-License-Identifier: MIT */
/* The box: the one userdata for everything that can be written to or read from. */
#include "lua/awl.h"

#include <stdio.h>
#include <string.h>

const char awl_box_magic = 0;

struct awl_box *awl_push_box(lua_State *L) {
  return awl_new_box(L, awl_state_of(L));
}

struct awl_box *awl_new_box(lua_State *L, struct awl_state *st) {
  struct awl_box *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (struct awl_box){.magic = &awl_box_magic, .st = st, .closed = true, .next = st->boxes};
  if (b->next) b->next->prev = b;
  st->boxes = b;
  awl_set_metatable(L, st->meta_box_ref);
  awl_where(L, b->where, sizeof b->where);
  return b;
}

void awl_set_anchor(lua_State *L, int index) {
  struct awl_box *b = lua_touserdata(L, index);
  lua_setiuservalue(L, index, 1);
  b->anchored = true;
}

void awl_take_anchor(lua_State *L, int from) {
  struct awl_box *old = awl_to_box(L, from), *b = lua_touserdata(L, -1);
  if (!old->anchored) return;
  lua_getiuservalue(L, from, 1);
  if (!b->anchored) {
    awl_set_anchor(L, -2);
    return;
  }
  lua_getiuservalue(L, -2, 1); /* two boxes become one: theirs into ours */
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

void awl_fill_box(struct awl_box *b, aw_stream s) {
  b->w = s.w, b->r = s.r;
  b->closed = false;
}

struct awl_box *awl_check_box(lua_State *L, const char *op, int index, int arg, const char *name) {
  struct awl_box *b = awl_to_box(L, index);
  if (b == NULL) {
    if (lua_istable(L, index))
      awl_arg_error(L, op, arg, name, "writer or reader expected, got table: make one of it with asyncwrite.custom");
    awl_type_error(L, op, index, arg, name, "writer or reader");
  } else if (b->moved) {
    awl_arg_error(L, op, arg, name, "it was moved into a wrapper or split");
  } else if (b->closed) {
    awl_arg_error(L, op, arg, name, "it is closed");
  }
  return b;
}

static const char *name_of(const struct awl_box *b) {
  return b->listener ? "listener" : b->w ? b->w->type->name : b->r->type->name;
}

struct awl_box *awl_check_writer(lua_State *L, const char *op, int index, int arg, const char *name) {
  struct awl_box *b = awl_check_box(L, op, index, arg, name);
  if (b->w == NULL) awl_arg_error(L, op, arg, name, "a %s here is not a writer", name_of(b));
  return b;
}

struct awl_box *awl_check_reader(lua_State *L, const char *op, int index, int arg, const char *name) {
  struct awl_box *b = awl_check_box(L, op, index, arg, name);
  if (b->r == NULL) awl_arg_error(L, op, arg, name, "a %s here is not a reader", name_of(b));
  return b;
}

static bool waits(const struct awl_parked *at) {
  return at->who && !at->who->waker.dead && at->who->turn == at->turn && at->who->st->current != at->who;
}

void awl_check_idle(lua_State *L, struct awl_box *b, const char *op, int arg, const char *name) {
  if (b->busy) awl_arg_error(L, op, arg, name, "it is being polled");
  for (int dir = AWL_READ; dir <= AWL_WRITE; dir++)
    if (waits(&b->parked[dir])) awl_arg_error(L, op, arg, name, "EBUSY: a task is waiting on it");
}

static void warn_of_lost(struct awl_box *b) {
  size_t lost = b->w && !aw_is_shutdown(b->w) ? aw_buffered(b->w) : 0;
  if (lost == 0) return;
  char chain[160];
  aw_describe(b->w, chain, sizeof chain);
  fprintf(stderr, "asyncwrite: %zu bytes lost: %s, made at %s, was dropped without flush or shutdown\n", lost, chain,
          b->where);
}

void awl_close_box(struct awl_box *b) {
  if (b->closed) return;
  if (b->busy) {
    b->close_later = true;
    return;
  }
  b->closed = true;
  awl_deadline_free(b);
  for (int dir = AWL_READ; dir <= AWL_WRITE; dir++) {
    /* Whoever waits here is told ECANCELED by its next poll; the note stays until then. */
    if (waits(&b->parked[dir])) b->parked[dir].who->waker.type->wake(&b->parked[dir].who->waker);
    else awl_note(&b->parked[dir], NULL);
  }
  if (b->w && !aw_is_shutdown(b->w)) b->stats.lost = aw_buffered(b->w);
  aw_stream s = {.w = b->w, .r = b->r};
  aw_listener *listener = b->listener;
  b->w = NULL, b->r = NULL, b->listener = NULL;
  aw_stream_free(&s);
  aw_listener_free(listener);
}

void awl_close_if_asked(struct awl_box *b) {
  if (!b->close_later) return;
  b->close_later = false;
  awl_close_box(b);
}

void awl_move_out(struct awl_box *b) {
  awl_deadline_free(b);
  b->w = NULL, b->r = NULL;
  b->moved = b->closed = true;
}

/* Closes the box at 1. What is written in Lua in it may be collected already, and closed by the close of another: then
 * only the box's anchor still knows it. */
static void close_anchored(lua_State *L, struct awl_box *b) {
  if (b->anchored && !b->closed && !b->st->dead) {
    int outer = b->st->dying_ref;
    lua_getiuservalue(L, 1, 1);
    b->st->dying_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    awl_close_box(b);
    luaL_unref(L, LUA_REGISTRYINDEX, b->st->dying_ref);
    b->st->dying_ref = outer;
  }
  awl_close_box(b);
}

static int w_close(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b == NULL) return awl_type_error(L, "close", 1, 0, "self", "writer or reader");
  if (b->moved) awl_arg_error(L, "close", 0, "self", "it was moved into a wrapper or split");
  if (!b->closed) awl_drain_functions(L, b->st);
  close_anchored(L, b);
  awl_drain_functions(L, b->st);
  return 0;
}

static int w_gc(lua_State *L) {
  struct awl_box *b = lua_touserdata(L, 1);
  if (!b->closed) warn_of_lost(b);
  close_anchored(L, b);
  for (int dir = AWL_READ; dir <= AWL_WRITE; dir++) awl_note(&b->parked[dir], NULL);
  awl_trace_unref(b->trace);
  if (b->next) b->next->prev = b->prev;
  if (b->prev) b->prev->next = b->next;
  else if (b->st->boxes == b) b->st->boxes = b->next;
  return 0;
}

/* __close: as close, but a writer that was moved on is somebody else's now and stays. */
static int w_close_variable(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b == NULL || b->moved) return 0;
  if (!b->closed) warn_of_lost(b);
  awl_close_box(b);
  return 0;
}

static int w_tostring(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  char text[320] = "";
  if (b == NULL) return awl_type_error(L, "tostring", 1, 0, "self", "writer or reader");
  if (b->moved || b->closed) snprintf(text, sizeof text, "%s", b->moved ? "(moved)" : "(closed)");
  else if (b->listener) snprintf(text, sizeof text, "listener %d", aw_listener_fd(b->listener));
  else if (b->w) aw_describe(b->w, text, sizeof text);
  else aw_reader_describe(b->r, text, sizeof text);
  if (!b->closed && b->w && b->r && b->r->inner) {
    /* A read side with wrappers of its own is shown as well. */
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, " | ");
    used = strlen(text);
    aw_reader_describe(b->r, text + used, sizeof text - used);
  }
  lua_pushstring(L, text);
  return 1;
}

static int w_is_closed(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b == NULL) return awl_type_error(L, "is_closed", 1, 0, "self", "writer or reader");
  lua_pushboolean(L, b->closed || b->moved);
  return 1;
}

/* kind(): the name of the outermost writer, or of the reader where there is none. */
static int w_kind(lua_State *L) {
  lua_pushstring(L, name_of(awl_check_box(L, "kind", 1, 0, "self")));
  return 1;
}

static int w_is_writer(lua_State *L) {
  lua_pushboolean(L, awl_check_box(L, "is_writer", 1, 0, "self")->w != NULL);
  return 1;
}

static int w_is_reader(lua_State *L) {
  lua_pushboolean(L, awl_check_box(L, "is_reader", 1, 0, "self")->r != NULL);
  return 1;
}

/* buffered(): bytes accepted and still held in the chain of the writer. */
static int w_buffered(lua_State *L) {
  struct awl_box *b = awl_check_writer(L, "buffered", 1, 0, "self");
  awl_ask_buffered(L, b);
  lua_pushinteger(L, (lua_Integer)aw_buffered(b->w));
  return 1;
}

const luaL_Reg awl_box_methods[] = {
    {"close", w_close},         {"is_closed", w_is_closed}, {"kind", w_kind}, {"is_writer", w_is_writer},
    {"is_reader", w_is_reader}, {"buffered", w_buffered},   {NULL, NULL},
};

const luaL_Reg awl_box_meta[] = {
    {"__gc", w_gc},
    {"__close", w_close_variable},
    {"__tostring", w_tostring},
    {NULL, NULL},
};
