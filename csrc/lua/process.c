/* SPDX-License-Identifier: MIT */
/* Child processes and signals for Lua. Options are checked, and waiting is done, in process.lua and signal.lua. */
#include "lua/awl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static const struct known {
  const char *name;
  int number;
} signals[] = {
    {"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGILL", SIGILL},     {"SIGTRAP", SIGTRAP},
    {"SIGABRT", SIGABRT},     {"SIGBUS", SIGBUS},   {"SIGFPE", SIGFPE},   {"SIGKILL", SIGKILL},   {"SIGUSR1", SIGUSR1},
    {"SIGSEGV", SIGSEGV},     {"SIGUSR2", SIGUSR2}, {"SIGPIPE", SIGPIPE}, {"SIGALRM", SIGALRM},   {"SIGTERM", SIGTERM},
    {"SIGCHLD", SIGCHLD},     {"SIGCONT", SIGCONT}, {"SIGSTOP", SIGSTOP}, {"SIGTSTP", SIGTSTP},   {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},     {"SIGURG", SIGURG},   {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},   {"SIGPROF", SIGPROF},
    {"SIGVTALRM", SIGVTALRM}, {"SIGIO", SIGIO},     {"SIGSYS", SIGSYS},   {"SIGWINCH", SIGWINCH},
};

static int check_signal(lua_State *L, const char *op, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) return (int)awl_check_size(L, op, index, 1, "signal", 0, 64);
  if (lua_type(L, index) != LUA_TSTRING) awl_type_error(L, op, index, 1, "signal", "string or number");
  const char *name = lua_tostring(L, index);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (strcmp(signals[i].name, name) == 0) return signals[i].number;
  awl_arg_error(L, op, 1, "signal", "unknown signal '%s'", name);
  return 0;
}

static void push_signal(lua_State *L, int number) {
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (signals[i].number == number) {
      lua_pushstring(L, signals[i].name);
      return;
    }
  lua_pushfstring(L, "SIG%d", number);
}

/* ---- Spawning ---- */

struct stdio {
  int fd;    /* -1: /dev/null */
  bool ours; /* to be closed when the child has it */
  int box;   /* a pipe: index of the box for our end, which is s */
  aw_stream s;
};

/* The list of strings at index as an array that ends with NULL; pushes its memory. */
static const char *const *strings(lua_State *L, int index) {
  if (lua_isnil(L, index)) return NULL;
  size_t n = lua_rawlen(L, index);
  const char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    list[i] = lua_tostring(L, -1); /* kept by the table */
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}

/* The open file of a pipe is non-blocking, and libuv would change that for us too: the child gets one of its own. */
static int hand_on(struct stdio *io, int fd, bool reading, bool file) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  io->fd = file ? -1 : open(path, (reading ? O_RDONLY : O_WRONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (io->fd < 0) io->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (io->fd < 0) return uv_translate_sys_error(errno);
  io->ours = true;
  return 0;
}

/* The descriptor of a stream that the child is to have. */
static int stream_fd(lua_State *L, int index, bool *file) {
  static const char *const names[] = {"options.stdin", "options.stdout", "options.stderr"};
  const char *name = names[index - 4];
  bool reading = index == 4;
  struct awl_box *b =
      reading ? awl_check_reader(L, "spawn", index, 1, name) : awl_check_writer(L, "spawn", index, 1, name);
  aw_stream half = {.w = reading ? NULL : b->w, .r = reading ? b->r : NULL};
  if (half.w && aw_buffered(half.w) > 0) awl_arg_error(L, "spawn", 1, name, "it holds bytes back: flush it first");
  int fd = reading ? aw_reader_fd(half.r) : aw_writer_fd(half.w);
  *file = fd < 0;
  if (fd < 0) fd = aw_file_fd(&half);
  if (fd < 0) awl_arg_error(L, "spawn", 1, name, "there is no descriptor at the end of its chain");
  return fd;
}

/* One of the standard streams, from "pipe", "null", a number or a stream at index. May raise: nothing is open yet. */
static void plan(lua_State *L, int index, struct stdio *io, bool *file) {
  *io = (struct stdio){.fd = -1};
  if (lua_type(L, index) == LUA_TNUMBER) io->fd = (int)lua_tointeger(L, index);
  else if (lua_type(L, index) == LUA_TUSERDATA) io->fd = stream_fd(L, index, file);
  else if (strcmp(luaL_checkstring(L, index), "pipe") == 0) {
    awl_push_box(L);
    io->box = lua_gettop(L);
  }
}

static int carry_out(lua_State *L, aw_reactor *reactor, struct stdio io[3], const bool file[3]) {
  int rc = 0;
  for (int i = 0; i < 3 && rc == 0; i++) {
    if (io[i].box) {
      rc = aw_pipe_half(&io[i].s, reactor, i == 0, &io[i].fd);
      io[i].ours = rc == 0;
    } else if (lua_type(L, 4 + i) == LUA_TUSERDATA) {
      rc = hand_on(&io[i], io[i].fd, i == 0, file[i]);
    }
  }
  return rc;
}

/* core.process_spawn(args, env, cwd, stdin, stdout, stderr, kill_on_drop, detached): the handle, and our end of what is
 * a pipe. */
static int l_process_spawn(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  aw_reactor *reactor = awl_reactor(L, st, "spawn");
  aw_process_options options = {.args = strings(L, 1),
                                .cwd = lua_tostring(L, 3),
                                .kill_on_drop = lua_toboolean(L, 7),
                                .detached = lua_toboolean(L, 8)};
  options.env = strings(L, 2);
  struct stdio io[3];
  bool file[3] = {false};
  for (int i = 0; i < 3; i++) plan(L, 4 + i, &io[i], &file[i]);
  aw_process **process = lua_newuserdatauv(L, sizeof(aw_process *), 0);
  *process = NULL;
  awl_set_metatable(L, st->meta_process_ref);
  int rc = carry_out(L, reactor, io, file);
  for (int i = 0; i < 3; i++) options.stdio[i] = io[i].fd;
  if (rc == 0) rc = aw_process_new(process, reactor, &options);
  for (int i = 0; i < 3; i++) {
    if (io[i].ours) close(io[i].fd);
    if (rc < 0) aw_stream_free(&io[i].s);
  }
  if (rc < 0) return awl_fail(L, rc);
  for (int i = 0; i < 3; i++) {
    if (io[i].box) {
      lua_pushvalue(L, io[i].box);
      awl_fill_box(lua_touserdata(L, -1), io[i].s);
    } else {
      lua_pushnil(L);
    }
  }
  return 4;
}

/* core.environ(): "NAME=value" ... of this process. */
static int l_environ(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; environ && environ[i]; i++) {
    lua_pushstring(L, environ[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static aw_process *check_process(lua_State *L) {
  aw_process **process = awl_check_handle(L, awl_state_of(L)->meta_process_ref);
  if (*process == NULL) luaL_error(L, "the process was dropped");
  return *process;
}

/* process:poll(trying): its exit status, and the name of the signal that ended it: then the status is 128 + its number,
 * as a shell says. Else false. */
static int p_poll(lua_State *L) {
  aw_process *process = check_process(L);
  int status = 0, signal = 0;
  aw_waker *waker = lua_toboolean(L, 2) ? NULL : awl_context(L, awl_state_of(L), "wait");
  int rc = aw_poll_process(process, waker, &status, &signal);
  if (rc < 0) return awl_status(L, rc);
  lua_pushinteger(L, signal ? 128 + signal : status);
  if (signal == 0) return 1;
  push_signal(L, signal);
  return 2;
}

static int p_kill(lua_State *L) {
  aw_process *process = check_process(L);
  return awl_status(L, aw_process_kill(process, check_signal(L, "kill", 2)));
}

static int p_kill_group(lua_State *L) {
  aw_process *process = check_process(L);
  int rc = aw_process_kill_group(process, check_signal(L, "kill_group", 2));
  if (rc == UV_EINVAL) awl_raise(L, "kill_group", "it has no group of its own: spawn it detached");
  return awl_status(L, rc);
}

static int p_pid(lua_State *L) {
  lua_pushinteger(L, aw_process_pid(check_process(L)));
  return 1;
}

static int p_free(lua_State *L) {
  aw_process **process = awl_check_handle(L, awl_state_of(L)->meta_process_ref);
  aw_process_free(*process);
  *process = NULL;
  return 0;
}

const luaL_Reg awl_process_methods[] = {
    {"poll", p_poll}, {"kill", p_kill}, {"kill_group", p_kill_group}, {"pid", p_pid}, {"free", p_free},
    {"__gc", p_free}, {NULL, NULL},
};

/* ---- Signals ---- */

static bool catchable(int number) {
  return number > 0 && number != SIGKILL && number != SIGSTOP && number != SIGILL && number != SIGFPE &&
         number != SIGSEGV && number != SIGBUS;
}

/* core.signal(signal) */
static int l_signal(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  int number = check_signal(L, "signal", 1);
  if (!catchable(number)) awl_arg_error(L, "signal", 1, "signal", "it cannot be waited for");
  aw_reactor *reactor = awl_reactor(L, st, "signal");
  aw_signal **signal = lua_newuserdatauv(L, sizeof(aw_signal *), 0);
  *signal = NULL;
  awl_set_metatable(L, st->meta_signal_ref);
  int rc = aw_signal_new(signal, reactor, number);
  return rc < 0 ? awl_fail(L, rc) : 1;
}

static int s_poll(lua_State *L) {
  aw_signal **signal = awl_check_handle(L, awl_state_of(L)->meta_signal_ref);
  if (*signal == NULL) return awl_fail(L, UV_ECANCELED);
  return awl_status(L, aw_poll_signal(*signal, awl_context(L, awl_state_of(L), "recv")));
}

static int s_free(lua_State *L) {
  aw_signal **signal = awl_check_handle(L, awl_state_of(L)->meta_signal_ref);
  aw_signal_free(*signal);
  *signal = NULL;
  return 0;
}

const luaL_Reg awl_signal_methods[] = {{"poll", s_poll}, {"free", s_free}, {"__gc", s_free}, {NULL, NULL}};

const luaL_Reg awl_process_functions[] = {
    {"process_spawn", l_process_spawn},
    {"environ", l_environ},
    {"signal", l_signal},
    {NULL, NULL},
};
