/* SPDX-License-Identifier: MIT */
/* Writers in C that break one clause each, for the conformance kit: break(w, fault) wraps w.
 *   "W1"  what is NotReady below is NotReady above, and no waker is registered
 *   "P1"  a byte more is counted than was given
 *   "P6"  no room is UV_EINTR */
#include <asyncwrite_lua.h>

#include <lauxlib.h>
#include <stdlib.h>

static const struct aw_api *aw;

int luaopen_broken_module(lua_State *L);

struct broken {
  aw_writer w;
  char fault[3];
};

static bool is(const struct broken *self, const char *fault) {
  return self->fault[0] == fault[0] && self->fault[1] == fault[1];
}

static ssize_t broken_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct broken *self = (struct broken *)w;
  ssize_t n = aw->poll_write(w->inner, is(self, "W1") ? NULL : waker, bufs, nbufs);
  if (is(self, "P1") && n > 0 && (size_t)n == bufs->len) n++;
  if (is(self, "P6") && n == AW_PENDING) n = UV_EINTR;
  return n;
}

static int broken_flush(aw_writer *w, aw_waker *waker) { return aw->pass_flush(w, waker); }

static int broken_shutdown(aw_writer *w, aw_waker *waker) { return aw->pass_shutdown(w, waker); }

static void broken_describe(const aw_writer *w, char *text, size_t size) { aw->describe_name(w, text, size); }

static void broken_destroy(aw_writer *w) { free(w); }

static const aw_writer_type type = {
    .name = "broken",
    .vectored = AW_VECTORED_NO,
    .poll_write = broken_write,
    .poll_flush = broken_flush,
    .poll_shutdown = broken_shutdown,
    .describe = broken_describe,
    .destroy = broken_destroy,
};

static int l_break(lua_State *L) {
  aw_writer *inner = aw->lua_check_writer(L, 1);
  const char *fault = luaL_checkstring(L, 2);
  struct broken *self = calloc(1, sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  aw->writer_init(&self->w, &type, inner);
  self->fault[0] = fault[0], self->fault[1] = fault[1];
  aw->lua_wrap(L, 1, (aw_stream){.w = &self->w, .r = NULL});
  return 1;
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_broken_module(lua_State *L) {
  aw = aw_lua_check_api(L);
  lua_pushcfunction(L, l_break);
  return 1;
}
