/* SPDX-License-Identifier: MIT */
/* Files and standard streams for Lua. What waits is put together in file.lua. */
#include "lua/awl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int finish(lua_State *L, struct awl_box *b, int rc, aw_stream s) {
  if (rc < 0) return awl_fail(L, rc);
  awl_fill_box(b, s);
  return 1;
}

static bool option(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

static int flags_of(lua_State *L) {
  bool writing = option(L, "write") || option(L, "append");
  int flags = !writing ? O_RDONLY : option(L, "read") ? O_RDWR : O_WRONLY;
  if (option(L, "append")) flags |= O_APPEND;
  if (option(L, "truncate")) flags |= O_TRUNC;
  if (option(L, "create")) flags |= O_CREAT;
  if (option(L, "create_new")) flags |= O_CREAT | O_EXCL;
  return flags;
}

/* core.file_open(path, options, perm): a stream under way; file_poll_open tells when it is there. */
static int l_file_open(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "open");
  size_t len, perm = awl_check_size(L, "open", 3, 3, "perm", 0, 07777);
  const char *path = awl_check_string(L, "open", 1, 1, "path", &len);
  if (strlen(path) != len) awl_arg_error(L, "open", 1, "path", "it holds a zero byte");
  luaL_checktype(L, 2, LUA_TTABLE);
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = aw_file_open(&s, reactor, path, flags_of(L), (int)perm);
  return finish(L, b, rc, s);
}

static int open_descriptor(lua_State *L, const char *op, int (*open)(aw_stream *, aw_reactor *, int)) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), op);
  size_t fd = awl_check_size(L, op, 1, 1, "fd", 0, INT32_MAX);
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = open(&s, reactor, (int)fd);
  return finish(L, b, rc, s);
}

static int l_file_from_fd(lua_State *L) { return open_descriptor(L, "from_fd", aw_file_from_fd); }

/* core.stdio_open(fd): one half. EPERM: it must be had as a file. */
static int l_stdio_open(lua_State *L) { return open_descriptor(L, "open", aw_stdio_open); }

static int l_is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

static struct awl_box *check_file_at(lua_State *L, const char *op, int index, aw_stream *s) {
  struct awl_box *b = awl_check_box(L, op, index, 0, "self");
  *s = (aw_stream){.w = b->w, .r = b->r};
  if (!aw_is_file(s)) awl_arg_error(L, op, 0, "self", "there is no file at the end of its chain");
  return b;
}

static struct awl_box *check_file(lua_State *L, const char *op, aw_stream *s) { return check_file_at(L, op, 1, s); }

/* core.check_file(op, value): raises unless value is a stream with a file at the end of its chain. */
static int l_check_file(lua_State *L) {
  aw_stream s;
  check_file_at(L, luaL_checkstring(L, 1), 2, &s);
  return 0;
}

static int direction(const struct awl_box *b) { return b->w ? AWL_WRITE : AWL_READ; }

static bool was_closed(lua_State *L) { return awl_canceled(L, 1, AWL_WRITE) || awl_canceled(L, 1, AWL_READ); }

/* core.file_poll_open(file): true when it is open, or false, or the triple; then whether it is no file but can be
 * polled. */
static int l_file_poll_open(lua_State *L) {
  aw_stream s;
  if (was_closed(L)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *b = check_file(L, "open", &s);
  struct awl_poll p;
  awl_begin(L, &p, b, direction(b), "open", false);
  int rc = (int)awl_end(L, &p, p.early ? p.early : aw_poll_open(&s, p.waker));
  if (rc < 0) return awl_status(L, rc);
  lua_pushboolean(L, 1);
  lua_pushboolean(L, rc);
  return 2;
}

static const char *const kinds[] = {"seek", "set_len", "sync_all", "sync_data", NULL};

/* core.file_poll(file, kind, id, offset, whence): the result, or false and the id of the next poll, or the triple. */
static int l_file_poll(lua_State *L) {
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  static const char *const names[] = {"set", "cur", "end", NULL};
  aw_file_op op = {.kind = (enum aw_file_op_kind)luaL_checkoption(L, 2, NULL, kinds),
                   .id = (uint64_t)lua_tonumber(L, 3),
                   .offset = (int64_t)lua_tonumber(L, 4),
                   .whence = whences[luaL_checkoption(L, 5, "set", names)]};
  const char *name = kinds[op.kind];
  aw_stream s;
  if (was_closed(L)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *b = check_file(L, name, &s);
  struct awl_poll p;
  awl_begin(L, &p, b, direction(b), name, false);
  int64_t result = p.early ? p.early : aw_poll_file_op(&s, p.waker, &op);
  ssize_t rc = awl_end(L, &p, result < 0 ? (ssize_t)result : 0);
  if (rc < 0 && rc != AW_PENDING) return awl_fail(L, rc);
  if (rc < 0) lua_pushboolean(L, 0);
  else lua_pushinteger(L, (lua_Integer)result);
  lua_pushinteger(L, (lua_Integer)op.id);
  return 2;
}

/* set_max_buf_size(n): the most that one write accepts. */
static int w_set_max_buf_size(lua_State *L) {
  aw_stream s;
  check_file(L, "set_max_buf_size", &s);
  aw_file_set_max_buf_size(&s, awl_check_size(L, "set_max_buf_size", 2, 1, "n", 1, INT32_MAX));
  return 0;
}

/* into_unwritten(): the bytes that were not written, their place in the file or nil, and the message and code of a
 * failure that nobody was told. The file is closed. */
static int w_into_unwritten(lua_State *L) {
  const char *op = "into_unwritten";
  aw_stream s;
  uv_buf_t bytes;
  int64_t at;
  int failure;
  struct awl_box *b = check_file(L, op, &s);
  awl_check_writer(L, op, 1, 0, "self");
  if (b->w->inner) awl_arg_error(L, op, 0, "self", "a %s is around the file: into_parts first", b->w->type->name);
  awl_check_idle(L, b, op, 0, "self");
  int rc = aw_file_unwritten(&s, &bytes, &at, &failure);
  if (rc < 0) return awl_fail(L, rc);
  lua_pushlstring(L, bytes.base, bytes.len);
  if (at >= 0) lua_pushinteger(L, (lua_Integer)at);
  else lua_pushnil(L);
  awl_close_box(b);
  awl_drain_functions(L, b->st); /* who waited for room in a budget */
  if (failure == 0) return 2;
  awl_fail(L, failure);
  lua_remove(L, -3);
  return 4;
}

const luaL_Reg awl_file_functions[] = {
    {"file_open", l_file_open},           {"file_from_fd", l_file_from_fd},
    {"file_poll_open", l_file_poll_open}, {"file_poll", l_file_poll},
    {"check_file", l_check_file},         {"stdio_open", l_stdio_open},
    {"is_terminal", l_is_terminal},       {NULL, NULL},
};

const luaL_Reg awl_file_methods[] = {
    {"set_max_buf_size", w_set_max_buf_size},
    {"into_unwritten", w_into_unwritten},
    {NULL, NULL},
};
