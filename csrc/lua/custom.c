/* SPDX-License-Identifier: MIT */
/* custom: a writer and/or reader made of a table of Lua functions. Errors inside are caught here, before they could
 * cross C, and raised again at the box that was polled. */
#include "lua/awl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct custom {
  aw_writer w;
  aw_reader r;
  struct awl_state *st;
  unsigned halves;
  bool counts;       /* it has the function buffered */
  aw_waker *last[2]; /* of the last NotReady poll per direction: what a try shows to current_waker, so that a writer
                        that stores it again loses nobody's wake */
};

enum { SLICE = 64 * 1024 }; /* the most that is made into a string for one call: a short write is always legal */

/* The table is held by the box (its anchor), so that a table that knows its own box is no leak; here it is looked up
 * weakly. While its box is finalised only the anchor still has it. */
static void push_methods(lua_State *L, const struct custom *self) {
  struct awl_state *st = self->st;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->dying_ref != LUA_NOREF ? st->dying_ref : st->customs_ref);
  lua_pushlightuserdata(L, (void *)(uintptr_t)self);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1) || st->dying_ref == LUA_NOREF) return;
  lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->customs_ref);
  lua_pushlightuserdata(L, (void *)(uintptr_t)self);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* One call of a function of the table. */
struct call {
  struct custom *self;
  const char *function;
  const uv_buf_t *bufs;
  unsigned nbufs;
  char *base;
  size_t len; /* what may be returned at most */
  ssize_t result;
  bool trying;
  bool closing; /* what close returns does not matter */
  bool asking;  /* for buffered alone */
  struct awl_frame frame;
};

static struct custom *of_reader(aw_reader *r) { return (struct custom *)((char *)r - offsetof(struct custom, r)); }

static ssize_t code_of(const char *name) {
#define CODE(id, text)                                                                                                 \
  if (strcmp(name, #id) == 0) return UV_##id;
  UV_ERRNO_MAP(CODE)
#undef CODE
  return strcmp(name, "EWRITEZERO") == 0 ? AW_EWRITEZERO : AW_ECUSTOM;
}

/* nil, message, code. The texts are kept for the box, the number goes through the chain. */
static ssize_t failure(lua_State *L, struct awl_state *st) {
  const char *code = lua_type(L, 4) == LUA_TSTRING ? lua_tostring(L, 4) : "";
  ssize_t number = code_of(code);
  if (number == AW_PENDING || number == UV_EINTR) number = AW_ECUSTOM, code = ""; /* P6: no error of a poll */
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, 1);
  if (*code) lua_pushvalue(L, 4);
  else lua_pushliteral(L, "ECUSTOM");
  lua_rawseti(L, -2, 2);
  luaL_unref(L, LUA_REGISTRYINDEX, st->said_ref);
  st->said_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  st->said_code = number;
  return number;
}

static int wrong(lua_State *L, const struct call *c, const char *expected) {
  return luaL_error(L, "custom: %s returned %s; %s, false, or nil, message, code expected", c->function,
                    luaL_typename(L, 2), expected);
}

static ssize_t count(lua_State *L, const struct call *c) {
  lua_Number n = lua_tonumber(L, 2);
  if (lua_type(L, 2) != LUA_TNUMBER) return wrong(L, c, "a count");
  if (!(n >= 0) || n > (lua_Number)c->len || n != (lua_Number)(size_t)n)
    return luaL_error(L, "custom: %s returned %s for %d bytes (P1)", c->function, lua_tostring(L, 2), (int)c->len);
  return (ssize_t)n;
}

static ssize_t data(lua_State *L, const struct call *c) {
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING) return wrong(L, c, "a string");
  const char *s = lua_tolstring(L, 2, &len);
  if (len > c->len)
    return luaL_error(L, "custom: %s returned %d bytes of at most %d (P1)", c->function, (int)len, (int)c->len);
  memcpy(c->base, s, len);
  return (ssize_t)len;
}

static ssize_t result(lua_State *L, struct call *c) {
  if (lua_isnil(L, 2) && !lua_isnil(L, 3)) return failure(L, c->self->st);
  if (lua_isboolean(L, 2) && !lua_toboolean(L, 2)) {
    if (!c->frame.touched && !c->trying)
      luaL_error(L, "custom: %s returned false without taking the waker or polling an inner one (W1)", c->function);
    return AW_PENDING;
  }
  if (c->base) return lua_isnil(L, 2) ? 0 : data(L, c);
  if (c->bufs) return count(L, c);
  return lua_toboolean(L, 2) ? 0 : wrong(L, c, "true");
}

static void push_bufs(lua_State *L, const struct call *c, bool list) {
  if (!list) {
    lua_pushlstring(L, c->bufs->base, c->bufs->len);
    return;
  }
  lua_createtable(L, (int)c->nbufs, 0);
  for (unsigned i = 0; i < c->nbufs; i++) {
    lua_pushlstring(L, c->bufs[i].base ? c->bufs[i].base : "", c->bufs[i].len);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

/* What buffered() of the table says is kept where every other writer keeps its count, so that who may not call Lua,
 * such as a tee or the collector, has the answer that was given last. */
static int ask_buffered(lua_State *L, struct custom *self) {
  lua_settop(L, 1);
  push_methods(L, self);
  if (!lua_istable(L, -1)) return 0;
  lua_getfield(L, -1, "buffered");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  lua_Number n = lua_tonumber(L, 2);
  if (lua_type(L, 2) != LUA_TNUMBER)
    return luaL_error(L, "custom: buffered returned %s; a count expected", luaL_typename(L, 2));
  if (!(n >= 0) || n > 9007199254740992.0 || n != (lua_Number)(size_t)n)
    return luaL_error(L, "custom: buffered returned %s; a count expected", lua_tostring(L, 2));
  self->w.buffered = (size_t)n;
  return 0;
}

int awl_custom_call(lua_State *L) {
  struct call *c = lua_touserdata(L, 1);
  if (c->asking) return ask_buffered(L, c->self);
  push_methods(L, c->self);
  if (!lua_istable(L, -1)) return 0; /* the state is closing */
  lua_getfield(L, -1, c->function);
  if (lua_isnil(L, -1)) return 0; /* the provided method: Ready */
  lua_insert(L, -2);
  if (c->bufs) push_bufs(L, c, strcmp(c->function, "poll_write_vectored") == 0);
  else if (c->base) lua_pushnumber(L, (lua_Number)c->len);
  lua_call(L, c->bufs || c->base ? 2 : 1, 3);
  c->result = c->closing ? 0 : result(L, c);
  return c->self->counts && !c->closing && !c->base ? ask_buffered(L, c->self) : 0;
}

int awl_error_handler(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message && strstr(message, "\nstack traceback:") == NULL) luaL_traceback(L, L, message, 1);
  return 1;
}

static ssize_t perform(struct call *c, aw_waker *waker) {
  struct awl_state *st = c->self->st;
  lua_State *L = st->poll_L ? st->poll_L : st->thread;
  if (!lua_checkstack(L, 4)) return UV_ENOMEM;
  aw_waker **last = &c->self->last[c->base ? AWL_READ : AWL_WRITE];
  c->trying = waker == NULL;
  c->frame = (struct awl_frame){.waker = waker ? waker : *last, .up = st->frame};
  st->frame = &c->frame;
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->handler_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->custom_ref);
  lua_pushlightuserdata(L, c);
  int rc = lua_pcall(L, 1, 0, -3);
  st->frame = c->frame.up;
  if (rc == 0) {
    lua_pop(L, 1);
    if (c->result == AW_PENDING) aw_slot_park(last, waker);
    else if (waker) aw_slot_clear(last);
    return c->result;
  }
  luaL_unref(L, LUA_REGISTRYINDEX, st->error_ref);
  st->error_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  return AW_ELUA;
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct call c = {.self = (struct custom *)w, .bufs = bufs, .nbufs = nbufs};
  c.function = aw_is_write_vectored(w) ? "poll_write_vectored" : "poll_write";
  uv_buf_t cut = bufs[0];
  if (cut.len > SLICE) {
    cut.len = SLICE;
    c.bufs = &cut, c.nbufs = 1;
  }
  unsigned fit = 0;
  while (fit < c.nbufs && (fit == 0 || c.len + c.bufs[fit].len <= SLICE)) c.len += c.bufs[fit++].len;
  c.nbufs = fit;
  return perform(&c, waker);
}

static int poll_flush(aw_writer *w, aw_waker *waker) {
  struct call c = {.self = (struct custom *)w, .function = "poll_flush"};
  return (int)perform(&c, waker);
}

static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  struct call c = {.self = (struct custom *)w, .function = "poll_shutdown"};
  return (int)perform(&c, waker);
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct call c = {.self = of_reader(r), .function = "poll_read", .base = base, .len = len};
  return perform(&c, waker);
}

/* close(self) of the table is called once, when both halves are gone. */
static void release(struct custom *self) {
  if (--self->halves > 0) return;
  aw_slot_clear(&self->last[AWL_READ]);
  aw_slot_clear(&self->last[AWL_WRITE]);
  struct awl_state *st = self->st;
  if (!st->dead) {
    struct call c = {.self = self, .function = "close", .closing = true};
    lua_State *L = st->thread;
    lua_rawgeti(L, LUA_REGISTRYINDEX, st->custom_ref);
    lua_pushlightuserdata(L, &c);
    if (lua_pcall(L, 1, 0, 0) != 0) {
      fprintf(stderr, "asyncwrite: error in close of a custom writer: %s\n", lua_tostring(L, -1));
      lua_pop(L, 1);
    }
  }
  free(self);
}

static void describe(const aw_writer *w, char *text, size_t size) {
  const struct custom *self = (const struct custom *)w;
  lua_State *L = self->st->thread;
  push_methods(L, self);
  bool named = lua_istable(L, -1);
  lua_pushliteral(L, "name");
  if (named) lua_rawget(L, -2);
  named = named && lua_type(L, -1) == LUA_TSTRING;
  snprintf(text, size, "%s", named ? lua_tostring(L, -1) : "custom");
  lua_pop(L, 2);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) {
  describe(&of_reader((aw_reader *)(uintptr_t)r)->w, text, size);
}

static void destroy(aw_writer *w) { release((struct custom *)w); }

static void destroy_reader(aw_reader *r) { release(of_reader(r)); }

#define WRITER_TYPE(is_vectored)                                                                                       \
  {                                                                                                                    \
    .name = "custom", .vectored = is_vectored, .poll_write = poll_write, .poll_flush = poll_flush,                     \
    .poll_shutdown = poll_shutdown, .describe = describe, .destroy = destroy,                                          \
  }

static const aw_writer_type plain_type = WRITER_TYPE(AW_VECTORED_NO), vectored_type = WRITER_TYPE(AW_VECTORED_YES);

/* Busy meanwhile: a function that closes its own stream does so afterwards. */
void awl_ask_buffered(lua_State *L, struct awl_box *b) {
  bool outer = b->busy;
  int rc = 0;
  luaL_checkstack(L, 4, "buffered");
  for (const aw_writer *w = b->w; w && rc == 0; w = w->inner) {
    struct call c = {.self = (struct custom *)(uintptr_t)w, .asking = true};
    if (w->type->poll_flush != poll_flush || !c.self->counts) continue;
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->st->custom_ref);
    lua_pushlightuserdata(L, &c);
    b->busy = true;
    rc = lua_pcall(L, 1, 0, 0);
    b->busy = outer;
  }
  if (!outer) awl_close_if_asked(b);
  if (rc != 0) lua_error(L);
}

static const aw_reader_type reader_type = {
    .name = "custom",
    .poll_read = poll_read,
    .describe = describe_reader,
    .destroy = destroy_reader,
};

static bool has(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  int t = lua_type(L, -1);
  lua_pop(L, 1);
  if (t != LUA_TNIL && t != LUA_TFUNCTION)
    awl_arg_error(L, "custom", 1, "methods", "field '%s': function expected, got %s", name, lua_typename(L, t));
  return t == LUA_TFUNCTION;
}

/* core.custom(methods) */
static int l_custom(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  if (!lua_istable(L, 1)) awl_type_error(L, "custom", 1, 1, "methods", "table");
  bool vectored = has(L, "poll_write_vectored"), writer = has(L, "poll_write") || vectored,
       reader = has(L, "poll_read");
  bool counts = has(L, "buffered");
  has(L, "poll_flush"), has(L, "poll_shutdown"), has(L, "close");
  if (!writer && !reader) awl_arg_error(L, "custom", 1, "methods", "it has neither poll_write nor poll_read");
  struct awl_box *b = awl_push_box(L);
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->customs_ref);
  struct custom *self = calloc(1, sizeof *self);
  if (self == NULL) return awl_raise(L, "custom", "not enough memory");
  awl_fill_box(b, (aw_stream){.w = writer ? &self->w : NULL, .r = reader ? &self->r : NULL});
  self->counts = counts;
  self->st = st, self->halves = (writer ? 1u : 0u) + (reader ? 1u : 0u);
  aw_writer_init(&self->w, vectored ? &vectored_type : &plain_type, NULL);
  aw_reader_init(&self->r, &reader_type, NULL);
  for (int table = -1; table >= -2; table--) { /* the weak table and the anchor */
    lua_pushlightuserdata(L, self);
    lua_pushvalue(L, 1);
    lua_rawset(L, table - 2);
  }
  lua_pop(L, 1);
  awl_set_anchor(L, -2);
  return 1;
}

const luaL_Reg awl_custom_functions[] = {{"custom", l_custom}, {NULL, NULL}};
