/* SPDX-License-Identifier: MIT */
/* What the system knows of a file, for Lua: an object that is polled, by file.lua. */
#include "lua/awl.h"

#include <string.h>
#include <sys/stat.h>

static const char *type_of(const struct stat *st) {
  switch (st->st_mode & S_IFMT) {
  case S_IFREG: return "file";
  case S_IFDIR: return "directory";
  case S_IFIFO: return "fifo";
  case S_IFSOCK: return "socket";
  case S_IFCHR: return "char";
  case S_IFBLK: return "block";
  default: return "unknown";
  }
}

static double modified(const struct stat *st) {
#ifdef __APPLE__
  const struct timespec *t = &st->st_mtimespec;
#else
  const struct timespec *t = &st->st_mtim;
#endif
  return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static void push(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, type_of(st));
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, (lua_Integer)st->st_size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)(st->st_mode & 07777));
  lua_setfield(L, -2, "mode");
  lua_pushnumber(L, modified(st));
  lua_setfield(L, -2, "mtime");
  lua_pushinteger(L, (lua_Integer)st->st_dev);
  lua_setfield(L, -2, "dev");
  lua_pushinteger(L, (lua_Integer)st->st_ino);
  lua_setfield(L, -2, "ino");
}

/* core.metadata(path), or of the file at the end of a stream's chain */
static int l_metadata(lua_State *L) {
  const char *op = "metadata", *path = NULL;
  struct awl_state *st = awl_state_of(L);
  aw_reactor *reactor = awl_reactor(L, st, op);
  int fd = -1;
  if (lua_type(L, 1) == LUA_TUSERDATA) {
    struct awl_box *b = awl_check_box(L, op, 1, 0, "self");
    aw_stream s = {.w = b->w, .r = b->r};
    fd = aw_file_fd(&s);
  } else {
    size_t len;
    path = awl_check_string(L, op, 1, 1, "path", &len);
    if (strlen(path) != len) awl_arg_error(L, op, 1, "path", "it holds a zero byte");
  }
  aw_metadata **self = lua_newuserdatauv(L, sizeof(aw_metadata *), 0);
  *self = NULL;
  awl_set_metatable(L, st->meta_metadata_ref);
  int rc = aw_metadata_new(self, reactor, path, fd);
  return rc < 0 ? awl_fail(L, rc) : 1;
}

/* metadata:poll(): a table, false or the triple */
static int w_poll(lua_State *L) {
  aw_metadata **self = awl_check_handle(L, awl_state_of(L)->meta_metadata_ref);
  if (*self == NULL) return luaL_error(L, "the state is closing");
  const struct stat *st;
  int rc = aw_poll_metadata(*self, awl_context(L, awl_state_of(L), "metadata"), &st);
  if (rc < 0) return awl_status(L, rc);
  push(L, st);
  return 1;
}

static int w_free(lua_State *L) {
  aw_metadata **self = awl_check_handle(L, awl_state_of(L)->meta_metadata_ref);
  aw_metadata_free(*self);
  *self = NULL;
  return 0;
}

const luaL_Reg awl_metadata_functions[] = {{"metadata", l_metadata}, {NULL, NULL}};
const luaL_Reg awl_metadata_methods[] = {{"poll", w_poll}, {"free", w_free}, {"__gc", w_free}, {NULL, NULL}};
