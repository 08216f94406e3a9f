/* SPDX-License-Identifier: MIT */
/* The polls of the write direction, and write_all. */
#include "core/dispatch.h"
#include "lua/awl.h"

#include <string.h>

enum { MAX_BUFS = 1024, MAX_STRINGS = 64 };

static int push_count(lua_State *L, ssize_t n) {
  if (n >= 0) {
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
  }
  if (n != AW_PENDING) return awl_fail(L, n);
  lua_pushboolean(L, 0);
  return 1;
}

/* The box at 1 if it can be written to: a short way round awl_check_writer, which is for what cannot. NULL: the
 * calling task waited on it, and it was closed. */
static struct awl_box *check_open(lua_State *L, const char *op) {
  struct awl_box *b = awl_to_box(L, 1);
  if (b && b->w) return b;
  return awl_canceled(L, 1, AWL_WRITE) ? NULL : awl_check_writer(L, op, 1, 0, "self");
}

static ssize_t write_bufs(lua_State *L, struct awl_box *b, const char *op, bool trying, const uv_buf_t *bufs,
                          unsigned n) {
  struct awl_wakeable *me = trying ? NULL : awl_begin_plain(L, b, AWL_WRITE);
  if (me) {
    ssize_t rc = aw_poll_write(b->w, &me->waker, bufs, n);
    return awl_end_plain(b, AWL_WRITE, rc) ? rc : awl_end_other(L, b, AWL_WRITE, me, rc);
  }
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_WRITE, op, trying);
  return awl_end(L, &p, p.early ? p.early : aw_poll_write(b->w, p.waker, bufs, n));
}

/* One end of s[i..j]: 1-based, negative counts from the end. */
static lua_Integer offset(lua_State *L, const char *op, int index, const char *name, lua_Integer def, size_t len) {
  if (lua_isnoneornil(L, index)) return def;
  if (lua_type(L, index) != LUA_TNUMBER) awl_type_error(L, op, index, index - 1, name, "number");
  lua_Number n = lua_tonumber(L, index);
  lua_Integer at = (lua_Integer)n;
  if ((lua_Number)at != n) awl_arg_error(L, op, index - 1, name, "integer expected, got %s", lua_tostring(L, index));
  return at < 0 ? at + (lua_Integer)len + 1 : at;
}

/* The string at 2 cut to i (3) and j (4): i in 1..#s+1, j in i-1..#s. */
static uv_buf_t check_range(lua_State *L, const char *op) {
  size_t len;
  const char *s = awl_check_string(L, op, 2, 1, "s", &len);
  if (lua_gettop(L) > 2) {
    lua_Integer i = offset(L, op, 3, "i", 1, len), size = (lua_Integer)len;
    lua_Integer j = offset(L, op, 4, "j", size, len);
    if (i < 1 || i > size + 1) awl_arg_error(L, op, 2, "i", "outside the string of %d bytes", (int)size);
    if (j < i - 1 || j > size) awl_arg_error(L, op, 3, "j", "outside the string of %d bytes", (int)size);
    s += i - 1, len = (size_t)(j - i + 1);
  }
  return (uv_buf_t){.base = (char *)(uintptr_t)s, .len = len};
}

AW_RARE static int poll_write_closely(lua_State *L) {
  struct awl_box *b = check_open(L, "poll_write");
  if (!b) return awl_fail(L, UV_ECANCELED);
  uv_buf_t buf = check_range(L, "poll_write");
  return push_count(L, write_bufs(L, b, "poll_write", false, &buf, 1));
}

AW_RARE static int end_closely(lua_State *L, struct awl_box *b, struct awl_wakeable *me, ssize_t n) {
  return push_count(L, awl_end_other(L, b, AWL_WRITE, me, n));
}

/* The common case of a task and a whole string costs few instructions: it runs for every 64 bytes written. */
static int w_poll_write(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  uv_buf_t buf;
  if (!b || !b->w || lua_gettop(L) != 2 || !(buf.base = (char *)(uintptr_t)lua_tolstring(L, 2, &buf.len)))
    return poll_write_closely(L);
  struct awl_wakeable *me = awl_begin_plain(L, b, AWL_WRITE);
  if (!me) return poll_write_closely(L);
  ssize_t n = aw_poll_write_one(b->w, &me->waker, &buf);
  if (!awl_end_plain(b, AWL_WRITE, n)) return end_closely(L, b, me, n);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int w_try_write(lua_State *L) {
  struct awl_box *b = awl_check_writer(L, "try_write", 1, 0, "self");
  uv_buf_t buf = check_range(L, "try_write");
  ssize_t n = write_bufs(L, b, "try_write", true, &buf, 1);
  return n == AW_PENDING ? awl_fail(L, UV_EAGAIN) : push_count(L, n);
}

AW_RARE static void bad_element(lua_State *L, const char *op, int i) {
  awl_arg_error(L, op, 1, "list", "element %d: string expected, got %s", i, luaL_typename(L, -1));
}

/* Gathers the strings of the list at 2 from byte skip on, leaving them on the stack: a custom writer below may change
 * the list. (A number is made a string there; the list keeps it.) Stops at MAX_BUFS, which is a short write. *end: the
 * list is exhausted. */
static unsigned gather_list(lua_State *L, const char *op, size_t skip, uv_buf_t *bufs, bool *end) {
  unsigned n = 0;
  if (!lua_istable(L, 2)) awl_type_error(L, op, 2, 1, "list", "table");
  for (int i = 1;; i++) {
    if (i % 16 == 0) luaL_checkstack(L, 20, op); /* a C function starts with room for 20 */
    size_t len, cut = 0;
    lua_rawgeti(L, 2, i);
    const char *s = lua_tolstring(L, -1, &len);
    *end = !s && lua_isnil(L, -1);
    if (*end || n == MAX_BUFS) break;
    if (!s) bad_element(L, op, i);
    if (skip > 0) cut = skip < len ? skip : len, skip -= cut;
    if (cut == len) lua_pop(L, 1);
    else bufs[n++] = (uv_buf_t){.base = (char *)(uintptr_t)s + cut, .len = len - cut};
  }
  lua_pop(L, 1);
  if (skip > 0) awl_arg_error(L, op, 2, "skip", "beyond the bytes of the list");
  return n;
}

static int w_poll_write_vectored(lua_State *L) {
  const char *op = "poll_write_vectored";
  uv_buf_t bufs[MAX_BUFS];
  bool end;
  struct awl_box *b = check_open(L, op);
  if (!b) return awl_fail(L, UV_ECANCELED);
  size_t skip = awl_opt_size(L, op, 3, 2, "skip", 0, 0, SIZE_MAX / 2);
  unsigned n = gather_list(L, op, skip, bufs, &end);
  return push_count(L, write_bufs(L, b, op, false, bufs, n));
}

static int w_poll_flush(lua_State *L) {
  struct awl_box *b = check_open(L, "poll_flush");
  if (!b) return awl_fail(L, UV_ECANCELED);
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_WRITE, "poll_flush", false);
  return awl_status(L, (int)awl_end(L, &p, p.early ? p.early : aw_poll_flush(b->w, p.waker)));
}

static int w_poll_shutdown(lua_State *L) {
  struct awl_box *b = check_open(L, "poll_shutdown");
  if (!b) return awl_fail(L, UV_ECANCELED);
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_WRITE, "poll_shutdown", false);
  return awl_status(L, (int)awl_end(L, &p, p.early ? p.early : aw_poll_shutdown(b->w, p.waker)));
}

static int w_is_write_vectored(lua_State *L) {
  lua_pushboolean(L, aw_is_write_vectored(awl_check_writer(L, "is_write_vectored", 1, 0, "self")->w));
  return 1;
}

/* The step results of writing loops, here and in io.lua: true when all is accepted, else the count accepted so far and
 * why it stopped: false (NotReady), or message, code. */
static int push_step(lua_State *L, size_t done, ssize_t why) {
  lua_pushinteger(L, (lua_Integer)done);
  if (why == AW_PENDING) {
    lua_pushboolean(L, 0);
    return 2;
  }
  awl_fail(L, why);
  lua_remove(L, -3);
  return 3;
}

/* Polls until everything in bufs is accepted or one poll says no. */
static ssize_t write_on(lua_State *L, struct awl_box *b, const char *op, uv_buf_t *bufs, unsigned n, size_t *done) {
  while (n > 0) {
    ssize_t got = write_bufs(L, b, op, false, bufs, n);
    if (got < 0) return got;
    if (got == 0) return AW_EWRITEZERO;
    if (b->closed) return UV_ECANCELED;
    *done += (size_t)got;
    for (; n > 0 && (size_t)got >= bufs->len; bufs++, n--) got -= (ssize_t)bufs->len;
    if (n > 0) bufs->base += got, bufs->len -= (size_t)got;
  }
  return 0;
}

/* Writes the strings from index first on, of which done bytes are accepted already. */
static int write_strings(lua_State *L, struct awl_box *b, int first, size_t done) {
  const char *op = "write_all";
  int top = lua_gettop(L);
  size_t skip = done;
  uv_buf_t bufs[MAX_STRINGS];
  if (top < first) awl_type_error(L, op, first, 1, "s", "string");
  if (top - first >= MAX_STRINGS && done == 0) /* more than fit at once: none is written before all are checked */
    for (int i = first; i <= top; i++) awl_check_string(L, op, i, i - first + 1, "s", NULL);
  for (int i = first; i <= top;) {
    unsigned n = 0;
    for (; i <= top && n < MAX_STRINGS; i++) {
      size_t len;
      const char *s = awl_check_string(L, op, i, i - first + 1, "s", &len);
      size_t cut = skip < len ? skip : len;
      skip -= cut;
      if (cut < len) bufs[n++] = (uv_buf_t){.base = (char *)(uintptr_t)s + cut, .len = len - cut};
    }
    ssize_t rc = write_on(L, b, op, bufs, n, &done);
    if (rc < 0) return push_step(L, done, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* write_all_step(w, done, s, ...): the strings from byte done on. */
static int w_write_all_step(lua_State *L) {
  size_t done = (size_t)lua_tointeger(L, 2);
  struct awl_box *b = check_open(L, "write_all");
  return b ? write_strings(L, b, 3, done) : push_step(L, done, UV_ECANCELED);
}

AW_RARE static int write_all_closely(lua_State *L) {
  struct awl_box *b = check_open(L, "write_all");
  return b ? write_strings(L, b, 2, 0) : push_step(L, 0, UV_ECANCELED);
}

/* One string was not accepted whole at once. */
AW_RARE static int write_all_rest(lua_State *L, struct awl_box *b, struct awl_wakeable *me, ssize_t n) {
  if (!awl_end_plain(b, AWL_WRITE, n)) n = awl_end_other(L, b, AWL_WRITE, me, n);
  if (n > 0 && !b->closed) return write_strings(L, b, 2, (size_t)n);
  return push_step(L, n > 0 ? (size_t)n : 0, n == 0 ? AW_EWRITEZERO : n > 0 ? UV_ECANCELED : n);
}

/* write_all_first(w, s, ...): the first step, short where one string goes into a buffer. */
static int w_write_all_first(lua_State *L) {
  struct awl_box *b = awl_to_box(L, 1);
  uv_buf_t buf;
  if (!b || !b->w || lua_gettop(L) != 2) return write_all_closely(L);
  buf.base = (char *)(uintptr_t)lua_tolstring(L, 2, &buf.len);
  if (!buf.base || buf.len == 0) return write_all_closely(L);
  struct awl_wakeable *me = awl_begin_plain(L, b, AWL_WRITE);
  if (!me) return write_all_closely(L);
  ssize_t n = aw_poll_write_one(b->w, &me->waker, &buf);
  if (n != (ssize_t)buf.len || !awl_end_plain(b, AWL_WRITE, n)) return write_all_rest(L, b, me, n);
  lua_pushboolean(L, 1);
  return 1;
}

#ifndef AWL_LUA_YIELDS
/* write_all(w, s, ...): n are the results of its first or a further step. */
static int write_all_on(lua_State *L, int n);

static int write_all_woken(lua_State *L, int status, lua_KContext nargs) {
  (void)status;
  size_t done = (size_t)lua_tointeger(L, (int)nargs + 1);
  lua_settop(L, (int)nargs);
  struct awl_box *b = check_open(L, "write_all");
  return write_all_on(L, b ? write_strings(L, b, 2, done) : push_step(L, done, UV_ECANCELED));
}

static int write_all_on(lua_State *L, int n) {
  if (n == 1) return 1;
  lua_Integer done = lua_tointeger(L, -n);
  if (n == 3) { /* done, message, code */
    lua_pushinteger(L, done);
    lua_pushnil(L);
    lua_replace(L, -5);
    return 4;
  }
  lua_pop(L, n - 1); /* done stays above the arguments */
  return awl_wait(L, "write_all", 1, done, lua_gettop(L) - 1, write_all_woken);
}

static int w_write_all(lua_State *L) { return write_all_on(L, w_write_all_first(L)); }
#endif

/* write_all_vectored_step(w, list, done) */
static int w_write_all_vectored_step(lua_State *L) {
  const char *op = "write_all_vectored";
  size_t done = (size_t)lua_tointeger(L, 3);
  struct awl_box *b = check_open(L, op);
  if (!b) return push_step(L, done, UV_ECANCELED);
  uv_buf_t bufs[MAX_BUFS];
  for (bool end = false; !end;) {
    unsigned n = gather_list(L, op, done, bufs, &end);
    ssize_t rc = write_on(L, b, op, bufs, n, &done);
    lua_settop(L, 3);
    if (rc < 0) return push_step(L, done, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static aw_writer *check_cursor(lua_State *L, const char *op) {
  struct awl_box *b = awl_to_box(L, 2);
  size_t len;
  if (b && !b->closed && b->w && aw_cursor_data(b->w, &len)) return b->w;
  awl_type_error(L, op, 2, 1, "cursor", "cursor");
  return NULL;
}

/* poll_write_buf(cursor): one attempt with what the cursor has left; advances it by what was taken (A5). */
static int w_poll_write_buf(lua_State *L) {
  struct awl_box *b = check_open(L, "poll_write_buf");
  if (!b) return awl_fail(L, UV_ECANCELED);
  aw_writer *cursor = check_cursor(L, "poll_write_buf");
  if (cursor == b->w) awl_arg_error(L, "poll_write_buf", 1, "cursor", "a cursor cannot be written into itself");
  uv_buf_t chunk = aw_cursor_chunk(cursor);
  if (chunk.len == 0) return push_count(L, 0);
  ssize_t n = write_bufs(L, b, "poll_write_buf", false, &chunk, 1);
  if (n > 0) aw_cursor_advance(cursor, (size_t)n);
  return push_count(L, n);
}

const luaL_Reg awl_write_methods[] = {
    {"poll_write", w_poll_write},
    {"poll_write_vectored", w_poll_write_vectored},
    {"poll_write_buf", w_poll_write_buf},
    {"poll_flush", w_poll_flush},
    {"poll_shutdown", w_poll_shutdown},
    {"is_write_vectored", w_is_write_vectored},
    {"try_write", w_try_write},
    {"write_all_first", w_write_all_first},
#ifndef AWL_LUA_YIELDS
    {"write_all", w_write_all},
#endif
    {"write_all_step", w_write_all_step},
    {"write_all_vectored_step", w_write_all_vectored_step},
    {NULL, NULL},
};
