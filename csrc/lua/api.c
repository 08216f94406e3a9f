/* SPDX-License-Identifier: MIT */
/* asyncwrite_lua.h: the table of functions for the C code of others. */
#include "asyncwrite_lua.h"
#include "lua/awl.h"

static struct awl_state *state(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &awl_state_key);
  struct awl_state *st = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return st;
}

/* The name of the C function that calls, for messages. */
static const char *caller(lua_State *L) {
  lua_Debug ar = {.name = NULL};
  if (lua_getstack(L, 0, &ar)) lua_getinfo(L, "n", &ar);
  return ar.name ? ar.name : "?";
}

static int absolute(lua_State *L, int index) { return index < 0 ? lua_gettop(L) + index + 1 : index; }

static struct awl_box *idle_box(lua_State *L, int index) {
  const char *op = caller(L);
  struct awl_box *b = awl_check_box(L, op, index, index, "stream");
  awl_check_idle(L, b, op, index, "stream");
  if (b->listener) awl_arg_error(L, op, index, "stream", "a listener is neither writer nor reader");
  return b;
}

static void lua_push(lua_State *L, aw_stream s) {
  luaL_checkstack(L, 8, "asyncwrite");
  awl_fill_box(awl_new_box(L, state(L)), s);
}

static void lua_wrap(lua_State *L, int index, aw_stream s) {
  luaL_checkstack(L, 8, "asyncwrite");
  index = absolute(L, index);
  struct awl_box *b = idle_box(L, index);
  struct awl_box *made = awl_new_box(L, b->st);
  awl_take_anchor(L, index);
  awl_fill_box(made, (aw_stream){.w = s.w ? s.w : b->w, .r = s.r ? s.r : b->r});
  awl_move_out(b);
}

static aw_writer *check_writer(lua_State *L, int index) {
  index = absolute(L, index);
  aw_writer *w = awl_check_writer(L, caller(L), index, index, "w")->w;
  idle_box(L, index);
  return w;
}

static aw_reader *check_reader(lua_State *L, int index) {
  index = absolute(L, index);
  aw_reader *r = awl_check_reader(L, caller(L), index, index, "r")->r;
  idle_box(L, index);
  return r;
}

static aw_stream lua_take(lua_State *L, int index) {
  struct awl_box *b = idle_box(L, absolute(L, index));
  aw_stream s = {.w = b->w, .r = b->r};
  awl_move_out(b);
  return s;
}

/* What every lua_poll_* does before: NULL when *early is the result already. */
static struct awl_box *begin(lua_State *L, struct awl_poll *p, int index, int dir, int *early) {
  index = absolute(L, index);
  const char *op = caller(L);
  *early = UV_ECANCELED;
  if (awl_canceled(L, index, dir)) return NULL;
  struct awl_box *b =
      dir == AWL_READ ? awl_check_reader(L, op, index, index, "r") : awl_check_writer(L, op, index, index, "w");
  awl_begin(L, p, b, dir, op, false);
  *early = p->early;
  return b;
}

static ssize_t lua_poll_write(lua_State *L, int index, const uv_buf_t *bufs, unsigned nbufs) {
  struct awl_poll p;
  int early;
  struct awl_box *b = begin(L, &p, index, AWL_WRITE, &early);
  return b ? awl_end(L, &p, early ? early : aw_poll_write(b->w, p.waker, bufs, nbufs)) : early;
}

static int lua_poll_flush(lua_State *L, int index) {
  struct awl_poll p;
  int early;
  struct awl_box *b = begin(L, &p, index, AWL_WRITE, &early);
  return b ? (int)awl_end(L, &p, early ? early : aw_poll_flush(b->w, p.waker)) : early;
}

static int lua_poll_shutdown(lua_State *L, int index) {
  struct awl_poll p;
  int early;
  struct awl_box *b = begin(L, &p, index, AWL_WRITE, &early);
  return b ? (int)awl_end(L, &p, early ? early : aw_poll_shutdown(b->w, p.waker)) : early;
}

static ssize_t lua_poll_read(lua_State *L, int index, char *base, size_t len) {
  struct awl_poll p;
  int early;
  struct awl_box *b = begin(L, &p, index, AWL_READ, &early);
  return b ? awl_end(L, &p, early ? early : aw_poll_read(b->r, p.waker, base, len)) : early;
}

static aw_waker *lua_waker(lua_State *L) { return awl_context(L, state(L), caller(L)); }

static aw_reactor *lua_reactor(lua_State *L) { return awl_reactor(L, state(L), caller(L)); }

static int lua_set_loop(lua_State *L, uv_loop_t *loop) { return awl_embed(L, state(L), loop); }

static const struct aw_api api = {
    .version = AW_API_VERSION,
    .size = sizeof api,
    .lua_push = lua_push,
    .lua_wrap = lua_wrap,
    .lua_check_writer = check_writer,
    .lua_check_reader = check_reader,
    .lua_take = lua_take,
    .lua_poll_write = lua_poll_write,
    .lua_poll_flush = lua_poll_flush,
    .lua_poll_shutdown = lua_poll_shutdown,
    .lua_poll_read = lua_poll_read,
    .lua_waker = lua_waker,
    .lua_fail = awl_fail,
    .lua_reactor = lua_reactor,
    .lua_set_loop = lua_set_loop,
    .err_name = aw_err_name,
    .strerror = aw_strerror,
    .waker_init = aw_waker_init,
    .waker_ref = aw_waker_ref,
    .waker_unref = aw_waker_unref,
    .slot_park = aw_slot_park,
    .slot_wake = aw_slot_wake,
    .slot_clear = aw_slot_clear,
    .writer_init = aw_writer_init,
    .writer_free = aw_writer_free,
    .poll_write = aw_poll_write,
    .poll_flush = aw_poll_flush,
    .poll_shutdown = aw_poll_shutdown,
    .is_write_vectored = aw_is_write_vectored,
    .is_shutdown = aw_is_shutdown,
    .buffered = aw_buffered,
    .describe = aw_describe,
    .pass_write = aw_pass_write,
    .pass_flush = aw_pass_flush,
    .pass_shutdown = aw_pass_shutdown,
    .ready = aw_ready,
    .describe_name = aw_describe_name,
    .reader_init = aw_reader_init,
    .reader_free = aw_reader_free,
    .poll_read = aw_poll_read,
    .reader_describe = aw_reader_describe,
    .reader_describe_name = aw_reader_describe_name,
    .stream_free = aw_stream_free,
    .reactor_loop = aw_reactor_loop,
    .reactor_waiting = aw_reactor_waiting,
    .reactor_now = aw_reactor_now,
    .timer_new = aw_timer_new,
    .poll_timer = aw_poll_timer,
    .timer_free = aw_timer_free,
    .resolve_new = aw_resolve_new,
    .poll_resolve = aw_poll_resolve,
    .resolve_free = aw_resolve_free,
    .pipe_open = aw_pipe_open,
    .writer_fd = aw_writer_fd,
    .reader_fd = aw_reader_fd,
};

void awl_publish_api(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, AW_API_KEY);
}
