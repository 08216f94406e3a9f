/* SPDX-License-Identifier: MIT */
/* A Lua module in C with writers and readers of its own. It is linked against nothing but libuv, for a timer:
 *   cc -shared -fPIC -Wl,-z,nodelete -o own_module.so own_module.c $(pkg-config --cflags asyncwrite lua5.4) -luv
 *   upper(w)      a writer that writes w in capitals
 *   ticker(n)     a reader of n bytes, one a millisecond, by a uv_timer_t of its own on the loop of the state
 *   poll(w, s)    poll_write in C: count, false, or nil, message, code
 *   poll_read(r)  poll_read in C, up to 8 bytes
 *   drop(w)       takes w out of its box and frees it
 *   version(n)    is there an API of that version? */
#include <asyncwrite_lua.h>

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

static const struct aw_api *aw; /* the same in all states of the process */

int luaopen_own_module(lua_State *L);

/* ---- upper ---- */
struct upper {
  aw_writer w;
  char block[512];
};

static ssize_t upper_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct upper *self = (struct upper *)w;
  (void)nbufs;
  size_t n = bufs->len < sizeof self->block ? bufs->len : sizeof self->block;
  for (size_t i = 0; i < n; i++) self->block[i] = (char)toupper((unsigned char)bufs->base[i]);
  uv_buf_t block = {.base = self->block, .len = n};
  return aw->poll_write(w->inner, waker, &block, 1);
}

static int upper_flush(aw_writer *w, aw_waker *waker) { return aw->pass_flush(w, waker); }

static int upper_shutdown(aw_writer *w, aw_waker *waker) { return aw->pass_shutdown(w, waker); }

static void upper_describe(const aw_writer *w, char *text, size_t size) { aw->describe_name(w, text, size); }

static void upper_destroy(aw_writer *w) { free(w); }

static const aw_writer_type upper_type = {
    .name = "upper",
    .vectored = AW_VECTORED_NO,
    .poll_write = upper_write,
    .poll_flush = upper_flush,
    .poll_shutdown = upper_shutdown,
    .describe = upper_describe,
    .destroy = upper_destroy,
};

/* The read half of a stream, if it has one, comes along. */
static int l_upper(lua_State *L) {
  aw_writer *inner = aw->lua_check_writer(L, 1);
  struct upper *self = calloc(1, sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  aw->writer_init(&self->w, &upper_type, inner);
  aw->lua_wrap(L, 1, (aw_stream){.w = &self->w, .r = NULL});
  return 1;
}

/* ---- ticker ---- */
struct ticker {
  aw_reader r;
  uv_timer_t timer;
  lua_Integer left, due;
  aw_waker *slot;
};

static void on_tick(uv_timer_t *timer) {
  struct ticker *self = timer->data;
  if (++self->due == self->left) uv_timer_stop(timer);
  aw->slot_wake(&self->slot);
}

static void on_closed(uv_handle_t *timer) { free(timer->data); }

static ssize_t ticker_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct ticker *self = (struct ticker *)r;
  (void)len;
  if (self->left == 0) return 0;
  if (self->due == 0) {
    aw->slot_park(&self->slot, waker);
    return AW_PENDING;
  }
  self->due--, self->left--;
  *base = '.';
  return 1;
}

static void ticker_describe(const aw_reader *r, char *text, size_t size) { aw->reader_describe_name(r, text, size); }

static void ticker_destroy(aw_reader *r) {
  struct ticker *self = (struct ticker *)r;
  aw->slot_clear(&self->slot);
  uv_close((uv_handle_t *)&self->timer, on_closed);
}

static const aw_reader_type ticker_type = {
    .name = "ticker",
    .poll_read = ticker_read,
    .describe = ticker_describe,
    .destroy = ticker_destroy,
};

static int l_ticker(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  uv_loop_t *loop = aw->reactor_loop(aw->lua_reactor(L));
  struct ticker *self = calloc(1, sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  aw->reader_init(&self->r, &ticker_type, NULL);
  self->left = n;
  uv_timer_init(loop, &self->timer);
  self->timer.data = self;
  uv_timer_start(&self->timer, on_tick, 1, 1);
  aw->lua_push(L, (aw_stream){.w = NULL, .r = &self->r});
  return 1;
}

/* ---- Polls, and taking ---- */
static int l_poll(lua_State *L) {
  uv_buf_t buf;
  buf.base = (char *)(uintptr_t)luaL_checklstring(L, 2, &buf.len);
  ssize_t n = aw->lua_poll_write(L, 1, &buf, 1);
  if (n < 0 && n != AW_PENDING) return aw->lua_fail(L, n);
  if (n >= 0) lua_pushinteger(L, (lua_Integer)n);
  else lua_pushboolean(L, 0);
  return 1;
}

static int l_poll_read(lua_State *L) {
  char data[8];
  ssize_t n = aw->lua_poll_read(L, 1, data, sizeof data);
  if (n < 0 && n != AW_PENDING) return aw->lua_fail(L, n);
  if (n >= 0) lua_pushlstring(L, data, (size_t)n);
  else lua_pushboolean(L, 0);
  return 1;
}

static int l_drop(lua_State *L) {
  aw_stream s = aw->lua_take(L, 1);
  aw->stream_free(&s);
  return 0;
}

static int l_version(lua_State *L) {
  lua_pushboolean(L, aw_lua_api(L, (unsigned)luaL_checkinteger(L, 1)) != NULL);
  return 1;
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_own_module(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"upper", l_upper}, {"ticker", l_ticker},   {"poll", l_poll}, {"poll_read", l_poll_read},
      {"drop", l_drop},   {"version", l_version}, {NULL, NULL},
  };
  aw = aw_lua_check_api(L);
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  return 1;
}
