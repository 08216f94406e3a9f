/* SPDX-License-Identifier: MIT */
/* States, forks and ends in a C program with its own loop: embed_states NAME runs one of the cases below. */
#include <asyncwrite_lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                  \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

static const struct aw_api *aw;

static void lua(lua_State *L, const char *chunk) {
  if (luaL_dostring(L, chunk) == 0) return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  exit(1);
}

static lua_State *new_state(uv_loop_t *loop) {
  lua_State *L = luaL_newstate();
  CHECK(L);
  luaL_openlibs(L);
  CHECK(aw_lua_api(L, AW_API_VERSION) == NULL); /* not loaded yet */
  lua(L, "require 'asyncwrite.core'");
  aw = aw_lua_api(L, AW_API_VERSION);
  CHECK(aw && aw_lua_api(L, AW_API_VERSION + 1) == NULL);
  if (loop && aw->lua_set_loop(L, loop) < 0) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(1);
  }
  lua(L, "aw = require 'asyncwrite'");
  return L;
}

/* Closes the state, lets the loop finish, and shows that nothing is left on it. */
static void end(lua_State *L, uv_loop_t *loop) {
  if (L) lua_close(L);
  uv_run(loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(loop) == 0);
}

/* ---- A timer of the program that calls a function a few times ---- */
struct beat {
  uv_timer_t timer;
  lua_State *L;
  int left, count;
  void (*each)(struct beat *beat);
};

static void on_beat(uv_timer_t *timer) {
  struct beat *beat = (struct beat *)timer;
  beat->count++;
  if (beat->each) beat->each(beat);
  if (--beat->left == 0) uv_close((uv_handle_t *)timer, NULL);
}

static void start_beat(struct beat *beat, uv_loop_t *loop, uint64_t ms) {
  uv_update_time(loop); /* loading the library took a while */
  uv_timer_init(loop, &beat->timer);
  uv_timer_start(&beat->timer, on_beat, ms, ms);
}

static const char parked[] = /* one task in every kind of wait, and one that has not started */
    "local listener = assert(aw.tcp.listen('127.0.0.1', 0))\n"
    "local _, port = listener:local_addr()\n"
    "aw.spawn(function() while true do assert(listener:accept()) end end)\n"
    "aw.spawn(function() local c = assert(aw.tcp.connect('127.0.0.1', port)) c:read() end)\n"
    "aw.spawn(function() aw.sleep(1000) end)\n"
    "aw.spawn(function() aw.timeout(1000, aw.sleep, 2000) end)\n"
    "aw.spawn(function() local r, w = assert(aw.pipe.pair()) w:write_all(('x'):rep(1e6)) end)\n"
    "aw.spawn(function() local a, b = aw.duplex(1) kept = b a:write_all('three') end)\n"
    "aw.spawn(function() aw.tcp.connect('no-such-host.invalid', 1) aw.sleep(1000) end)\n"
    "aw.spawn(function() local s = aw.sink() s:set_deadline(1000) aw.channel(1):recv() end)\n"
    "aw.spawn(function() local p = os.tmpname() local f = aw.file.open(p, 'w+') os.remove(p) "
    "f:write_all(('x'):rep(1e7)) end)\n"
    "aw.spawn(function() aw.process.spawn{'sleep', '60', stdin = 'null', kill_on_drop = true}:wait() end)\n"
    "aw.spawn(function() aw.signal('SIGUSR1'):recv() end)\n";

/* ---- Cases ---- */
static void drop_state(struct beat *beat) {
  if (beat->L == NULL) return;
  lua(beat->L, "aw.spawn(function() error('it never starts') end)");
  lua_close(beat->L);
  beat->L = NULL;
}

/* lua_close in a callback, with tasks parked; the loop runs on. */
static void close_in_a_callback(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  struct beat beat = {.L = new_state(&loop), .left = 5, .each = drop_state};
  lua(beat.L, parked);
  start_beat(&beat, &loop, 5);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(beat.count == 5);
  end(NULL, &loop);
}

static void close_before_the_loop_runs(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *L = new_state(&loop);
  lua(L, parked);
  end(L, &loop);
  CHECK(uv_loop_init(&loop) == 0);
  L = new_state(&loop);
  lua(L, parked);
  for (int i = 0; i < 3; i++) uv_run(&loop, UV_RUN_NOWAIT);
  end(L, &loop);
}

static const char counting[] =
    "n, other = 0, nil\n"
    "aw.spawn(function()\n"
    "  local near, far = assert(aw.unix.pair())\n"
    "  aw.spawn(function() for _ = 1, 40 do aw.sleep(0.001) assert(far:write_all('x')) end far:shutdown() end)\n"
    "  while near:read() do n = n + 1 end\n"
    "  done = true\n"
    "end)\n";

static int number(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static void close_the_first(struct beat *beat) {
  if (beat->L == NULL || number(beat->L, "n") < 5) return;
  CHECK(number(beat->L, "n") < 40);
  lua_close(beat->L);
  beat->L = NULL;
}

/* Two states on one loop, and one on a private loop meanwhile: interleaved, one closed, the other goes on. */
static void two_states(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *a = new_state(&loop), *b = new_state(&loop), *c = new_state(NULL);
  lua(a, counting);
  lua(b, counting);
  lua(b, "assert(other == nil) other = 'b'");
  lua(a, "assert(other == nil)");
  struct beat beat = {.L = a, .left = 60, .each = close_the_first};
  start_beat(&beat, &loop, 2);
  for (int i = 0; i < 10; i++) {
    uv_run(&loop, UV_RUN_ONCE);
    lua(c, "aw.run(function() aw.sleep(0.001) end)");
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(beat.L == NULL);
  lua(b, "assert(done and n > 0 and other == 'b')");
  lua(c, "assert(other == nil)");
  lua_close(c);
  end(b, &loop);
}

static int in_fork(lua_State *L) {
  lua(L, "assert(not pcall(function() aw.tcp.listen('127.0.0.1', 0) end))");
  lua(L, "local w = aw.memory() assert(w:try_write('in memory') == 9)");
  lua_close(L);
  return 0;
}

/* A fork with tasks parked: the child closes its state and goes, the parent does not notice. */
static void fork_with_tasks(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *L = new_state(&loop);
  lua(L, counting);
  for (int i = 0; i < 5; i++) uv_run(&loop, UV_RUN_ONCE);
  pid_t pid = fork();
  if (pid == 0) _exit(in_fork(L));
  int status = 1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  lua(L, "assert(done and n > 0)");
  end(L, &loop);
}

/* A fork after require alone: both sides get a loop of their own. */
static void fork_after_require(void) {
  lua_State *L = new_state(NULL);
  pid_t pid = fork();
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0 && aw->lua_set_loop(L, &loop) == 0);
  lua(L, counting);
  uv_run(&loop, UV_RUN_DEFAULT);
  lua(L, "assert(done and n > 0)");
  end(L, &loop);
  int status = 1;
  if (pid == 0) _exit(0);
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void refuses(lua_State *L, uv_loop_t *loop, int code, const char *why) {
  CHECK(aw->lua_set_loop(L, loop) == code);
  if (strstr(lua_tostring(L, -1), why) == NULL) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
}

static void loop_handed_in_too_late(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *L = new_state(NULL);
  lua(L, "aw.run(function() end)");
  refuses(L, &loop, AW_ELUA, "the host is 'standalone' already");
  lua(L, "aw.run(function() aw.sleep(0.001) end)");
  refuses(L, &loop, UV_EBUSY, "has a loop already");
  lua_close(L);
  L = new_state(&loop);
  refuses(L, &loop, UV_EBUSY, "has a loop already");
  lua(L, "local ok, e = pcall(aw.run, function() end) assert(not ok and e:find('use spawn'), e)");
  end(L, &loop);
}

static aw_waker *slot;

static int l_poll_slot(lua_State *L) {
  aw->slot_park(&slot, aw->lua_waker(L));
  return 0;
}

static void wake_from_outside(struct beat *beat) {
  lua(beat->L, "assert(b:try_write('from a callback') == 15)"); /* wakes the reader, outside any task */
  aw->slot_wake(&slot);
  CHECK(number(beat->L, "woken") == 0 && number(beat->L, "got") == 0); /* nothing runs inside the wake */
  lua(beat->L, "aw.spawn(function() started = 1 end)");
}

/* Wakes by C code that is no task, in a callback and before the loop runs; the loop ends when nothing can go on. */
static void wakes_from_outside(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *L = new_state(&loop);
  lua_pushcfunction(L, l_poll_slot);
  lua_setglobal(L, "poll_slot");
  lua(L, "a, b = aw.duplex(64)\n"
         "aw.spawn(function() poll_slot() aw.park('slot') woken = 1 end)\n"
         "aw.spawn(function() got = #assert(a:read()) end)\n"
         "aw.spawn(function() aw.duplex(1):read() end)\n" /* nothing wakes it */
         "aw.spawn(function() for i = 1, 1000 do aw.yield() end yielded = 1 end)\n"
         "aw.spawn(function() local s = aw.sink() for i = 1, 1000 do s:write('x') end wrote = 1 end)\n");
  while (slot == NULL) uv_run(&loop, UV_RUN_NOWAIT); /* all have started */
  struct beat beat = {.L = L, .left = 1, .each = wake_from_outside};
  start_beat(&beat, &loop, 20);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(number(L, "woken") == 1 && number(L, "got") == 15 && number(L, "started") == 1);
  CHECK(number(L, "yielded") == 1 && number(L, "wrote") == 1 && slot == NULL);
  lua(L, "aw.spawn(function() again = 1 end)");
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(number(L, "again") == 1);
  end(L, &loop);
}

/* Without a libuv loop of its own: poll(2) on the descriptor of the private one. */
static void a_loop_of_another_kind(void) {
  lua_State *L = new_state(NULL);
  lua(L, "host = require 'asyncwrite.host.embedded' fd = host.backend_fd() wait, left = 0, 1");
  lua(L, counting);
  int rounds = 0;
  for (; number(L, "left") > 0; rounds++) {
    struct pollfd at = {.fd = number(L, "fd"), .events = POLLIN};
    poll(&at, 1, number(L, "wait"));
    lua(L, "wait, left = host.turn()");
  }
  CHECK(rounds < 1000); /* it slept */
  lua(L, "assert(done and n > 0)");
  lua_close(L);
}

/* Nobody waits for them: the program's loop ends, and the child is reaped at the next opportunity. */
static void children_and_listeners_keep_nothing_going(void) {
  uv_loop_t loop;
  CHECK(uv_loop_init(&loop) == 0);
  lua_State *L = new_state(&loop);
  lua(L, "aw.spawn(function() kept = aw.process.spawn{'sleep', '60', stdin = 'null', kill_on_drop = true}\n"
         "listener = aw.signal('SIGUSR1') started = true end)");
  CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  lua(L, "assert(started and kept:try_wait() == false)\n"
         "aw.spawn(function() kept:kill('SIGKILL') ended = kept:wait() end)");
  CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  lua(L, "assert(ended == 137)");
  end(L, &loop);
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    {"children_and_listeners_keep_nothing_going", children_and_listeners_keep_nothing_going},
    {"close_in_a_callback", close_in_a_callback},
    {"close_before_the_loop_runs", close_before_the_loop_runs},
    {"two_states", two_states},
    {"fork_with_tasks", fork_with_tasks},
    {"fork_after_require", fork_after_require},
    {"loop_handed_in_too_late", loop_handed_in_too_late},
    {"wakes_from_outside", wakes_from_outside},
    {"a_loop_of_another_kind", a_loop_of_another_kind},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(argv[1], cases[i].name) != 0) continue;
    cases[i].run();
    puts("ok");
    return 0;
  }
  fprintf(stderr, "embed_states: no such case\n");
  return 2;
}
