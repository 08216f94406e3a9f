/* SPDX-License-Identifier: MIT */
/* asyncwrite for C code that shares a lua_State with it: modules that hand their own writers to Lua, and programs that
 * embed Lua and run a loop of their own.
 *
 * Neither links against the library. Lua loads its modules apart from each other, so the functions come in a table:
 *
 *     require "asyncwrite.core"                           -- in Lua, before; then in C:
 *     const struct aw_api *aw = aw_lua_check_api(L);      // in luaopen_*; it is the same in all states of a process
 *     aw->writer_init(&self->w, &my_type, NULL);          // a struct of yours that begins with an aw_writer
 *     aw->lua_push(L, (aw_stream){.w = &self->w});        // a writer like every other: buf_writer(w) ...
 *
 * Lua unloads modules in lua_close, but a destroy that ends in a libuv callback comes back after that: link a module
 * with such a writer with -Wl,-z,nodelete.
 *
 * Functions marked (raises) raise a Lua error on misuse or lack of memory, as luaL_check* do. Everything runs on the
 * thread of the lua_State. Wakers may be woken from any place on that thread, uv callbacks included: a wake only
 * enqueues, Lua runs later. */
#ifndef ASYNCWRITE_LUA_H
#define ASYNCWRITE_LUA_H

#include <asyncwrite.h>

#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a field changes its meaning. New fields are appended; then size grows. */
#define AW_API_VERSION 1
#define AW_API_KEY "asyncwrite.api" /* in the registry, a light userdata */

struct aw_api {
  unsigned version;
  size_t size;

  /* ---- Lua ----
   * push: a new box with s, which it owns from then on. When it raises s is still the caller's.
   * wrap: a new box with s, made around what the box at index holds, which is moved. To be called right after the
   * wrapper was made around the half that lua_check_writer or lua_check_reader gave; a half that is NULL in s comes
   * along as it is. (Both raise.) */
  void (*lua_push)(lua_State *L, aw_stream s);
  void (*lua_wrap)(lua_State *L, int index, aw_stream s);
  /* Borrows a half of the box at index, for as long as the box is neither closed nor moved: to wrap it, or to look at
   * it. It is open, no poll is on it and no other task waits on it. To poll it use lua_poll_*. (Both raise.) */
  aw_writer *(*lua_check_writer)(lua_State *L, int index);
  aw_reader *(*lua_check_reader)(lua_State *L, int index);
  /* Takes the halves out of the box at index, which is then moved: they are the caller's. A writer written in Lua that
   * is among them lives only as long as that box: keep it, in the registry or a user value. (Raises.) */
  aw_stream (*lua_take)(lua_State *L, int index);

  /* Polls for C functions that Lua calls: as the methods of that name, results as in asyncwrite.h. AW_PENDING: return
   * false to Lua, which waits. (All raise, also what Lua raised below.) */
  ssize_t (*lua_poll_write)(lua_State *L, int index, const uv_buf_t *bufs, unsigned nbufs);
  int (*lua_poll_flush)(lua_State *L, int index);
  int (*lua_poll_shutdown)(lua_State *L, int index);
  ssize_t (*lua_poll_read)(lua_State *L, int index, char *base, size_t len);
  /* The waker of the calling task, or of the innermost with_waker: for things of your own that are polled. Borrowed;
   * NULL in a try, where nothing is to be registered. Outside a task it raises. */
  aw_waker *(*lua_waker)(lua_State *L);
  /* Pushes nil, message, code of an error; returns 3. */
  int (*lua_fail)(lua_State *L, ssize_t code);

  /* The reactor of the state; made at first use. (Raises: in a forked child, while the state closes.) */
  aw_reactor *(*lua_reactor)(lua_State *L);
  /* For programs: the state uses this loop, which the program runs, as by uv_run(loop, UV_RUN_DEFAULT). To be called
   * once, before the first task, timer or socket. 0, or a negative code with the reason pushed as a string: UV_EBUSY
   * when a loop is in use already, UV_ENOMEM, AW_ELUA when Lua raised. Never raises.
   *
   * From then on asyncwrite.spawn, called from anywhere, starts tasks, and asyncwrite.run raises. Tasks go on in
   * callbacks of the loop of their own (uv_check_t, uv_idle_t), never inside a callback that woke them and never inside
   * a call into Lua. What a task that nobody joined raises is written to stderr. The loop stays alive while a task is
   * ready or waits for a descriptor, a timer or a look-up; what your own writers wait for, your own handles keep alive.
   * So uv_run returns when nothing can go on any more.
   *
   * lua_close is for outside of tasks: before, between or after uv_run, or in a callback of yours. It drops tasks and
   * starts closing the handles: run the loop once more (uv_run returns when they are gone), then uv_loop_close(). The
   * loop may as well go on for other things. Never close handles that are not yours, as by uv_walk.
   * The program and the module must use the same libuv. */
  int (*lua_set_loop)(lua_State *L, uv_loop_t *loop);

  /* ---- The functions of asyncwrite.h under the same names, less aw_ ---- */
  const char *(*err_name)(int code);
  const char *(*strerror)(int code); /* spelled so: <string.h> may not define it as a macro */

  void (*waker_init)(aw_waker *waker, const aw_waker_type *type);
  void (*waker_ref)(aw_waker *waker);
  void (*waker_unref)(aw_waker *waker);
  void (*slot_park)(aw_waker **slot, aw_waker *waker);
  void (*slot_wake)(aw_waker **slot);
  void (*slot_clear)(aw_waker **slot);

  void (*writer_init)(aw_writer *w, const aw_writer_type *type, aw_writer *inner);
  void (*writer_free)(aw_writer *w);
  ssize_t (*poll_write)(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
  int (*poll_flush)(aw_writer *w, aw_waker *waker);
  int (*poll_shutdown)(aw_writer *w, aw_waker *waker);
  bool (*is_write_vectored)(const aw_writer *w);
  bool (*is_shutdown)(const aw_writer *w);
  size_t (*buffered)(const aw_writer *w);
  void (*describe)(const aw_writer *w, char *text, size_t size);
  ssize_t (*pass_write)(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
  int (*pass_flush)(aw_writer *w, aw_waker *waker);
  int (*pass_shutdown)(aw_writer *w, aw_waker *waker);
  int (*ready)(aw_writer *w, aw_waker *waker);
  void (*describe_name)(const aw_writer *w, char *text, size_t size);

  void (*reader_init)(aw_reader *r, const aw_reader_type *type, aw_reader *inner);
  void (*reader_free)(aw_reader *r);
  ssize_t (*poll_read)(aw_reader *r, aw_waker *waker, char *base, size_t len);
  void (*reader_describe)(const aw_reader *r, char *text, size_t size);
  void (*reader_describe_name)(const aw_reader *r, char *text, size_t size);
  void (*stream_free)(aw_stream *s);

  uv_loop_t *(*reactor_loop)(aw_reactor *reactor);
  size_t (*reactor_waiting)(const aw_reactor *reactor);
  uint64_t (*reactor_now)(const aw_reactor *reactor);
  int (*timer_new)(aw_timer **out, aw_reactor *reactor, uint64_t due);
  int (*poll_timer)(aw_timer *timer, aw_waker *waker);
  void (*timer_free)(aw_timer *timer);
  int (*resolve_new)(aw_resolve **out, aw_reactor *reactor, const char *host, const char *service, bool passive);
  int (*poll_resolve)(aw_resolve *resolve, aw_waker *waker, const struct addrinfo **list);
  void (*resolve_free)(aw_resolve *resolve);
  int (*pipe_open)(aw_stream *out, aw_reactor *reactor, int fd);
  int (*writer_fd)(const aw_writer *w);
  int (*reader_fd)(const aw_reader *r);
};

/* The table, or NULL: asyncwrite.core is not loaded in this state, or it is too old or too new for this header. */
static inline const struct aw_api *aw_lua_api(lua_State *L, unsigned version) {
  lua_pushstring(L, AW_API_KEY);
  lua_rawget(L, LUA_REGISTRYINDEX);
  const struct aw_api *api = (const struct aw_api *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return api && api->version == version && api->size >= sizeof *api ? api : NULL;
}

/* The table, or a Lua error that says what is wrong. For luaopen_*. */
static inline const struct aw_api *aw_lua_check_api(lua_State *L) {
  const struct aw_api *api = aw_lua_api(L, AW_API_VERSION);
  if (api) return api;
  lua_pushstring(L, AW_API_KEY);
  lua_rawget(L, LUA_REGISTRYINDEX);
  api = (const struct aw_api *)lua_touserdata(L, -1);
  if (api == NULL) lua_pushstring(L, "asyncwrite: require \"asyncwrite.core\" before this module");
  else
    lua_pushfstring(L,
                    "asyncwrite: its C API is version %d (%d bytes), this module was built for version %d (%d bytes)",
                    (int)api->version, (int)api->size, AW_API_VERSION, (int)sizeof *api);
  lua_error(L);
  return NULL;
}

#ifdef __cplusplus
}
#endif
#endif
