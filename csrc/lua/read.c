/* SPDX-License-Identifier: MIT */
/* The polls of the read direction. Ready data is a string; end of file is nil alone. */
#include "lua/awl.h"

#include <stdlib.h>
#include <string.h>

enum { BUF_READER = 8192 };

static char *scratch(lua_State *L, struct awl_state *st, const char *op) {
  if (st->scratch == NULL && (st->scratch = malloc(AWL_SCRATCH)) == NULL) awl_raise(L, op, "not enough memory");
  return st->scratch;
}

static int push_data(lua_State *L, ssize_t n, const char *data) {
  if (n > 0) lua_pushlstring(L, data, (size_t)n);
  else if (n == 0) lua_pushnil(L);
  else if (n == AW_PENDING) lua_pushboolean(L, 0);
  else return awl_fail(L, n);
  return 1;
}

static ssize_t read_into(lua_State *L, struct awl_box *b, const char *op, bool trying, char *base, size_t len) {
  struct awl_wakeable *me = trying ? NULL : awl_begin_plain(L, b, AWL_READ);
  if (me) {
    ssize_t n = aw_poll_read(b->r, &me->waker, base, len);
    if (n == AW_PENDING && awl_pend_plain(b, AWL_READ, me)) return n;
    return awl_end_plain(b, AWL_READ, n) ? n : awl_end_other(L, b, AWL_READ, me, n);
  }
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_READ, op, trying);
  return awl_end(L, &p, p.early ? p.early : aw_poll_read(b->r, p.waker, base, len));
}

static size_t check_max(lua_State *L, const char *op) {
  size_t max = awl_opt_size(L, op, 2, 1, "max", AWL_SCRATCH, 1, SIZE_MAX / 2);
  return max < AWL_SCRATCH ? max : AWL_SCRATCH;
}

static int do_read(lua_State *L, struct awl_box *b, const char *op, bool trying) {
  size_t max = check_max(L, op);
  char *base = scratch(L, b->st, op);
  /* A custom reader below may read through this state too: its bytes are copied before they get here. */
  ssize_t n = read_into(L, b, op, trying, base, max);
  if (trying && n == AW_PENDING) return awl_fail(L, UV_EAGAIN);
  return push_data(L, n, base);
}

/* The box at 1 if it can be read from. NULL: the calling task waited on it, and it was closed. */
static struct awl_box *check_open(lua_State *L, const char *op) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b && b->r) return b;
  return awl_canceled(L, 1, AWL_READ) ? NULL : awl_check_reader(L, op, 1, 0, "self");
}

static int w_poll_read(lua_State *L) {
  struct awl_box *b = check_open(L, "poll_read");
  return b ? do_read(L, b, "poll_read", false) : awl_fail(L, UV_ECANCELED);
}

#ifndef AWL_LUA_YIELDS
/* read(max), of which a connection that is served waits in one for every message */
static int read_on(lua_State *L, int status, lua_KContext max) {
  const char *op = "poll_read";
  struct awl_box *b = check_open(L, op);
  (void)status;
  if (!b) return awl_fail(L, UV_ECANCELED);
  if (max == 0) max = (lua_KContext)check_max(L, op);
  char *base = scratch(L, b->st, op);
  ssize_t n = read_into(L, b, op, false, base, (size_t)max);
  return n == AW_PENDING ? awl_wait(L, "read", 1, -1, max, read_on) : push_data(L, n, base);
}

static int w_read(lua_State *L) { return read_on(L, 0, 0); }
#endif

static int w_try_read(lua_State *L) {
  return do_read(L, awl_check_reader(L, "try_read", 1, 0, "self"), "try_read", true);
}

/* Reading by delimiter needs a buffer; a reader without one gets it here, once, around what it has. */
static void need_buffer(lua_State *L, struct awl_box *b, const char *op) {
  if (aw_is_buf_reader(b->r)) return;
  int rc = aw_buf_reader_new(&b->r, b->r, BUF_READER);
  if (rc < 0) awl_raise(L, op, "not enough memory");
}

/* Data up to and with delim; what is left at end of file; then nil. line: without the delimiter, and without "\r"
 * before it. */
static int read_until(lua_State *L, struct awl_box *b, const char *op, const uv_buf_t *delim, size_t max, bool line) {
  const char *data = "";
  need_buffer(L, b, op);
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_READ, op, false);
  ssize_t n = p.early ? p.early : aw_buf_reader_poll_until(b->r, p.waker, delim->base, delim->len, max, &data);
  n = awl_end(L, &p, n);
  if (n > 0 && b->closed) n = UV_ECANCELED;
  if (n <= 0) return push_data(L, n, data);
  size_t len = (size_t)n;
  bool ended = len >= delim->len && memcmp(data + len - delim->len, delim->base, delim->len) == 0;
  if (line && ended) len -= delim->len;
  if (line && ended && len > 0 && data[len - 1] == '\r') len--;
  lua_pushlstring(L, data, len);
  aw_buf_reader_consume(b->r, (size_t)n);
  return 1;
}

enum { MAX_LINE = 1024 * 1024 };

/* poll_read_until(delim, max[, line]) */
static int w_poll_read_until(lua_State *L) {
  const char *op = "poll_read_until";
  uv_buf_t delim;
  bool line = lua_toboolean(L, 4);
  struct awl_box *b = check_open(L, op);
  if (!b) return awl_fail(L, UV_ECANCELED);
  delim.base = (char *)(uintptr_t)awl_check_string(L, op, 2, 1, "delimiter", &delim.len);
  size_t max = awl_opt_size(L, op, 3, line ? 1 : 2, "max", MAX_LINE, 1, SIZE_MAX / 2);
  if (delim.len == 0) awl_arg_error(L, op, 1, "delimiter", "it is empty");
  return read_until(L, b, op, &delim, max, line);
}

/* poll_read_line(max): what read_line and lines wait for; users have poll_read_until(delim, max, true) for it */
static int w_poll_read_line(lua_State *L) {
  const char *op = "poll_read_until";
  static char newline[] = "\n";
  struct awl_box *b = check_open(L, op);
  if (!b) return awl_fail(L, UV_ECANCELED);
  size_t max = awl_opt_size(L, op, 2, 1, "max", MAX_LINE, 1, SIZE_MAX / 2);
  return read_until(L, b, op, &(uv_buf_t){.base = newline, .len = 1}, max, true);
}

/* poll_fill_buf(): what is buffered, after one read where that is nothing; consume(n) takes it. */
static int w_poll_fill_buf(lua_State *L) {
  const char *op = "poll_fill_buf", *data = "";
  struct awl_box *b = check_open(L, op);
  if (!b) return awl_fail(L, UV_ECANCELED);
  need_buffer(L, b, op);
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_READ, op, false);
  ssize_t n = awl_end(L, &p, p.early ? p.early : aw_buf_reader_poll_fill(b->r, p.waker, &data));
  if (n > 0) b->stats.bytes[AWL_READ] -= (size_t)n; /* consume counts what is taken */
  return push_data(L, b->closed && n > 0 ? UV_ECANCELED : n, data);
}

static int w_consume(lua_State *L) {
  struct awl_box *b = awl_check_reader(L, "consume", 1, 0, "self");
  size_t have = 0;
  bool buffered = aw_is_buf_reader(b->r);
  if (buffered) aw_buf_reader_data(b->r, &have);
  size_t n = awl_check_size(L, "consume", 2, 1, "n", 0, have);
  if (buffered) aw_buf_reader_consume(b->r, n);
  b->stats.bytes[AWL_READ] += n;
  return 0;
}

const luaL_Reg awl_read_methods[] = {
    {"poll_read", w_poll_read},
    {"try_read", w_try_read},
    {"poll_read_until", w_poll_read_until},
    {"poll_read_line", w_poll_read_line},
    {"poll_fill_buf", w_poll_fill_buf},
    {"consume", w_consume},
#ifndef AWL_LUA_YIELDS
    {"read", w_read},
#endif
    {NULL, NULL},
};
