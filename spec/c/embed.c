/* SPDX-License-Identifier: MIT */
/* A C program that embeds Lua in its own uv_loop_t. Its own writer, drip, is handed to a script as userdata like every
 * writer of the library; the script's tasks run while the program does nothing but uv_run. Build it with
 *   cc embed.c $(pkg-config --cflags --libs asyncwrite lua5.4) */
#include <asyncwrite_lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct aw_api *aw;

/* ---- drip: accepts 16 bytes every few milliseconds, and prints them ---- */
struct drip {
  aw_writer w;
  uv_timer_t timer; /* a handle of our own on the loop */
  uint64_t pace;    /* milliseconds */
  aw_waker *slot;
  size_t total;
};

enum { DROP = 16 };

static struct drip *drip_of(aw_writer *w) { return (struct drip *)w; }

static void on_time(uv_timer_t *timer) { aw->slot_wake(&((struct drip *)timer->data)->slot); }

static void on_closed(uv_handle_t *timer) { free(timer->data); }

static ssize_t drip_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct drip *self = drip_of(w);
  (void)nbufs; /* not vectored: one */
  if (uv_is_active((uv_handle_t *)&self->timer)) {
    aw->slot_park(&self->slot, waker);
    return AW_PENDING;
  }
  size_t n = bufs->len < DROP ? bufs->len : DROP;
  fwrite(bufs->base, 1, n, stdout);
  self->total += n;
  uv_timer_start(&self->timer, on_time, self->pace, 0);
  return (ssize_t)n;
}

static int drip_finish(aw_writer *w, aw_waker *waker) {
  (void)w, (void)waker;
  return fflush(stdout) == 0 ? 0 : UV_EIO;
}

static void drip_describe(const aw_writer *w, char *text, size_t size) {
  snprintf(text, size, "drip(%d)", (int)((const struct drip *)w)->pace);
}

/* After this no wake may come any more; the memory goes when libuv has let go of the timer. */
static void drip_destroy(aw_writer *w) {
  aw->slot_clear(&drip_of(w)->slot);
  uv_close((uv_handle_t *)&drip_of(w)->timer, on_closed);
}

static const aw_writer_type drip_type = {
    .name = "drip",
    .vectored = AW_VECTORED_NO,
    .poll_write = drip_write,
    .poll_flush = drip_finish,
    .poll_shutdown = drip_finish,
    .describe = drip_describe,
    .destroy = drip_destroy,
};

/* drip(milliseconds), for Lua */
static int l_drip(lua_State *L) {
  uint64_t pace = (uint64_t)luaL_checkinteger(L, 1);
  uv_loop_t *loop = aw->reactor_loop(aw->lua_reactor(L));
  struct drip *self = calloc(1, sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  aw->writer_init(&self->w, &drip_type, NULL);
  self->pace = pace;
  uv_timer_init(loop, &self->timer);
  self->timer.data = self;
  aw->lua_push(L, (aw_stream){.w = &self->w, .r = NULL});
  return 1;
}

/* ---- The script ---- */
static const char script[] = "local aw = require 'asyncwrite'\n"
                             "local function echo(listener)\n"
                             "  local conn = assert(listener:accept())\n"
                             "  listener:close()\n"
                             "  assert(aw.copy(conn, conn))\n"
                             "  assert(conn:shutdown())\n"
                             "end\n"
                             "main = aw.spawn('main', function()\n"
                             "  local out = aw.buf_writer(drip(1), 64)\n"
                             "  assert(tostring(out) == 'buf_writer(64) > drip(1)', tostring(out))\n"
                             "  local listener = assert(aw.tcp.listen('127.0.0.1', 0))\n"
                             "  local _, port = listener:local_addr()\n"
                             "  local server = aw.spawn('echo', echo, listener)\n"
                             "  local conn = assert(aw.tcp.connect('127.0.0.1', port))\n"
                             "  assert(conn:write_all(('there and back over tcp\\n'):rep(4)))\n"
                             "  assert(conn:shutdown())\n"
                             "  assert(out:write_all(assert(conn:read_to_end())))\n"
                             "  server:join()\n"
                             "  local before = aw.now()\n"
                             "  aw.sleep(0.02)\n"
                             "  assert(aw.now() - before >= 0.02)\n"
                             "  assert(out:write_all('slept\\n'))\n"
                             "  assert(out:shutdown())\n"
                             "end)\n";

static int fail(lua_State *L, const char *what) {
  fprintf(stderr, "%s: %s\n", what, lua_tostring(L, -1));
  return 1;
}

static int run(lua_State *L, uv_loop_t *loop) {
  if (luaL_dostring(L, "require 'asyncwrite.core'")) return fail(L, "require");
  aw = aw_lua_api(L, AW_API_VERSION);
  if (aw == NULL) {
    fprintf(stderr, "asyncwrite.core is of another version than asyncwrite_lua.h\n");
    return 1;
  }
  if (aw->lua_set_loop(L, loop) < 0) return fail(L, "set_loop");
  lua_pushcfunction(L, l_drip);
  lua_setglobal(L, "drip");
  if (luaL_dostring(L, script)) return fail(L, "script"); /* starts the tasks */
  uv_run(loop, UV_RUN_DEFAULT);                           /* returns when they have ended */
  if (luaL_dostring(L, "assert(main:is_done()) assert(not main.failed)")) return fail(L, "tasks");
  return 0;
}

int main(void) {
  uv_loop_t loop;
  lua_State *L = luaL_newstate();
  if (L == NULL || uv_loop_init(&loop) < 0) return 1;
  luaL_openlibs(L);
  int rc = run(L, &loop);
  lua_close(L);                  /* starts closing what is left on the loop ... */
  uv_run(&loop, UV_RUN_DEFAULT); /* ... which happens here */
  if (uv_loop_close(&loop) < 0) return 1;
  return rc;
}
