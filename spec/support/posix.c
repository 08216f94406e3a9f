/* SPDX-License-Identifier: MIT */
/* A Lua module for specs, compiled by them: what plain Lua cannot do. The few functions of Lua's C API that it uses are
 * the same in every version, so they are declared here and it needs no headers of the interpreter at hand. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

typedef struct lua_State lua_State;
typedef int (*lua_CFunction)(lua_State *L);
ptrdiff_t luaL_checkinteger(lua_State *L, int arg);
const char *luaL_checklstring(lua_State *L, int arg, size_t *len);
lua_State *luaL_newstate(void);
int luaL_loadstring(lua_State *L, const char *s);
void luaL_openlibs(lua_State *L);
void lua_close(lua_State *L);
void lua_createtable(lua_State *L, int narr, int nrec);
void lua_pushcclosure(lua_State *L, lua_CFunction f, int n);
void lua_pushinteger(lua_State *L, ptrdiff_t n);
const char *lua_pushstring(lua_State *L, const char *s);
const char *lua_tolstring(lua_State *L, int index, size_t *len);
void lua_setfield(lua_State *L, int index, const char *name);
int luaopen_posix(lua_State *L);

/* pcall is the one that differs: a macro over lua_pcallk in 5.2 and later. */
int lua_pcallk(lua_State *L, int nargs, int nresults, int handler, ptrdiff_t ctx, void *k) __attribute__((weak));
int lua_pcall(lua_State *L, int nargs, int nresults, int handler) __attribute__((weak));

static int l_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* wait(pid): its exit code, or 128 + the signal that ended it */
static int l_wait(lua_State *L) {
  int status = 0;
  waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

/* exit(code): at once, without lua_close */
static int l_exit(lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
  return 0;
}

/* send_oob(fd, s): the last byte of s is urgent data */
static int l_send_oob(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 2, &len);
  lua_pushinteger(L, send((int)luaL_checkinteger(L, 1), s, len, MSG_OOB));
  return 1;
}

/* send_fd(fd, s): s together with a descriptor, as SCM_RIGHTS */
static int l_send_fd(lua_State *L) {
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {{0}};
  size_t len;
  const char *s = luaL_checklstring(L, 2, &len);
  struct iovec iov = {(void *)(size_t)s, len};
  struct msghdr msg = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = 0;
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  lua_pushinteger(L, sendmsg((int)luaL_checkinteger(L, 1), &msg, 0));
  return 1;
}

/* openpty() -> master, slave: a pseudo terminal that changes nothing on its way */
static int l_openpty(lua_State *L) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) return 0;
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return 0;
  struct termios raw;
  tcgetattr(slave, &raw);
  cfmakeraw(&raw);
  tcsetattr(slave, TCSANOW, &raw);
  lua_pushinteger(L, master);
  lua_pushinteger(L, slave);
  return 2;
}

/* dup(fd) -> another, above the standard ones */
static int l_dup(lua_State *L) {
  lua_pushinteger(L, fcntl((int)luaL_checkinteger(L, 1), F_DUPFD_CLOEXEC, 3));
  return 1;
}

static int l_dup2(lua_State *L) {
  lua_pushinteger(L, dup2((int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)));
  return 1;
}

static int l_close(lua_State *L) {
  lua_pushinteger(L, close((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* setuid(uid) -> 0 when it became that user */
static int l_setuid(lua_State *L) {
  lua_pushinteger(L, setuid((uid_t)luaL_checkinteger(L, 1)));
  return 1;
}

/* kill(pid, signal) */
static int l_kill(lua_State *L) {
  lua_pushinteger(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)));
  return 1;
}

/* limit_file_size(bytes): of this process; -1: none */
static int l_limit_file_size(lua_State *L) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  ptrdiff_t bytes = luaL_checkinteger(L, 1);
  limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)bytes;
  lua_pushinteger(L, setrlimit(RLIMIT_FSIZE, &limit));
  return 1;
}

/* other_state(script): runs it in a new lua_State, which is closed then; its error, or nothing */
static int l_other_state(lua_State *L) {
  const char *script = luaL_checklstring(L, 1, NULL);
  lua_State *other = luaL_newstate();
  if (other == NULL) return 0;
  luaL_openlibs(other);
  int rc = luaL_loadstring(other, script);
  if (rc == 0) rc = lua_pcallk ? lua_pcallk(other, 0, 0, 0, 0, NULL) : lua_pcall(other, 0, 0, 0);
  if (rc != 0) lua_pushstring(L, lua_tolstring(other, -1, NULL));
  lua_close(other);
  return rc != 0;
}

int luaopen_posix(lua_State *L) {
  static const struct {
    const char *name;
    lua_CFunction f;
  } functions[] = {
      {"fork", l_fork},         {"wait", l_wait},       {"exit", l_exit},
      {"send_oob", l_send_oob}, {"send_fd", l_send_fd}, {"other_state", l_other_state},
      {"openpty", l_openpty},   {"dup", l_dup},         {"dup2", l_dup2},
      {"close", l_close},       {"kill", l_kill},       {"limit_file_size", l_limit_file_size},
      {"setuid", l_setuid},
  };
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushcclosure(L, functions[i].f, 0);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
