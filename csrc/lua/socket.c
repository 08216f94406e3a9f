/* SPDX-License-Identifier: MIT */
/* Names and options of sockets. They reach through every wrapper to the descriptor at the end of the chain. */
#include "lua/awl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fd_of(lua_State *L, const char *op) {
  struct awl_box *b = awl_check_box(L, op, 1, 0, "self");
  int fd = b->listener ? aw_listener_fd(b->listener) : aw_writer_fd(b->w);
  if (fd < 0) fd = aw_reader_fd(b->r);
  if (fd < 0) fd = aw_file_fd(&(aw_stream){.w = b->w, .r = b->r});
  if (fd < 0) awl_arg_error(L, op, 0, "self", "there is no descriptor at the end of its chain");
  return fd;
}

static int fail(lua_State *L) { return awl_fail(L, uv_translate_sys_error(errno)); }

static int set_option(lua_State *L, int fd, int level, int option, const void *value, size_t size) {
  if (setsockopt(fd, level, option, value, (socklen_t)size) < 0) return fail(L);
  lua_pushboolean(L, 1);
  return 1;
}

static bool check_bool(lua_State *L, const char *op) {
  if (!lua_isboolean(L, 2)) awl_type_error(L, op, 2, 1, "on", "boolean");
  return lua_toboolean(L, 2);
}

static int push_address(lua_State *L, const struct sockaddr_storage *addr, socklen_t len) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (addr->ss_family == AF_UNIX) {
    const struct sockaddr_un *un = (const void *)addr;
    size_t n = len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;
    if (n > 0 && un->sun_path[0] != '\0') n = strnlen(un->sun_path, n);
    lua_pushlstring(L, un->sun_path, n);
    return 1;
  }
  if (addr->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const void *)addr;
    uv_ip6_name(in6, ip, sizeof ip);
    lua_pushstring(L, ip);
    lua_pushinteger(L, ntohs(in6->sin6_port));
  } else {
    const struct sockaddr_in *in = (const void *)addr;
    uv_ip4_name(in, ip, sizeof ip);
    lua_pushstring(L, ip);
    lua_pushinteger(L, ntohs(in->sin_port));
  }
  return 2;
}

/* local_addr(), peer_addr(): host, port; for unix sockets the path ("" without a name). */
static int w_local_addr(lua_State *L) {
  struct sockaddr_storage addr = {0};
  socklen_t len = sizeof addr;
  if (getsockname(fd_of(L, "local_addr"), (struct sockaddr *)&addr, &len) < 0) return fail(L);
  return push_address(L, &addr, len);
}

static int w_peer_addr(lua_State *L) {
  struct sockaddr_storage addr = {0};
  socklen_t len = sizeof addr;
  if (getpeername(fd_of(L, "peer_addr"), (struct sockaddr *)&addr, &len) < 0) return fail(L);
  return push_address(L, &addr, len);
}

/* peer_cred(): {pid, uid, gid} of the process that connected a unix socket. */
static int w_peer_cred(lua_State *L) {
  int fd = fd_of(L, "peer_cred");
#ifdef SO_PEERCRED
  struct ucred cred;
  socklen_t len = sizeof cred;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) return fail(L);
  long pid = cred.pid, uid = (long)cred.uid, gid = (long)cred.gid;
#else
  long pid = -1;
  uid_t uid;
  gid_t gid;
  if (getpeereid(fd, &uid, &gid) < 0) return fail(L);
#endif
  lua_createtable(L, 0, 3);
  if (pid >= 0) {
    lua_pushinteger(L, (lua_Integer)pid);
    lua_setfield(L, -2, "pid");
  }
  lua_pushinteger(L, (lua_Integer)uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, (lua_Integer)gid);
  lua_setfield(L, -2, "gid");
  return 1;
}

static int w_set_nodelay(lua_State *L) {
  int fd = fd_of(L, "set_nodelay"), on = check_bool(L, "set_nodelay");
  return set_option(L, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int w_nodelay(lua_State *L) {
  int on = 0;
  socklen_t len = sizeof on;
  if (getsockopt(fd_of(L, "nodelay"), IPPROTO_TCP, TCP_NODELAY, &on, &len) < 0) return fail(L);
  lua_pushboolean(L, on);
  return 1;
}

/* set_keepalive(on [, idle [, interval [, count]]]): seconds and probes; what is left out stays as the system has it.
 */
static int w_set_keepalive(lua_State *L) {
  static const int options[] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT};
  static const char *const names[] = {"idle", "interval", "count"};
  const char *op = "set_keepalive";
  int fd = fd_of(L, op), on = check_bool(L, op), values[3] = {0};
  for (int i = 0; i < 3; i++) values[i] = (int)awl_opt_size(L, op, 3 + i, 2 + i, names[i], 0, 1, 32767);
  for (int i = 0; i < 3 && on; i++)
    if (values[i] && setsockopt(fd, IPPROTO_TCP, options[i], &values[i], sizeof values[i]) < 0) return fail(L);
  return set_option(L, fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static int w_keepalive(lua_State *L) {
  int on = 0;
  socklen_t len = sizeof on;
  if (getsockopt(fd_of(L, "keepalive"), SOL_SOCKET, SO_KEEPALIVE, &on, &len) < 0) return fail(L);
  lua_pushboolean(L, on);
  return 1;
}

/* set_linger(seconds or nil): 0 makes close send RST; more makes close wait, in the kernel, for that long. */
static int w_set_linger(lua_State *L) {
  struct linger linger = {0};
  int fd = fd_of(L, "set_linger");
  linger.l_onoff = !lua_isnoneornil(L, 2);
  linger.l_linger = (int)awl_opt_size(L, "set_linger", 2, 1, "seconds", 0, 0, 65535);
  return set_option(L, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static int w_linger(lua_State *L) {
  struct linger linger = {0};
  socklen_t len = sizeof linger;
  if (getsockopt(fd_of(L, "linger"), SOL_SOCKET, SO_LINGER, &linger, &len) < 0) return fail(L);
  if (linger.l_onoff) lua_pushinteger(L, linger.l_linger);
  else lua_pushnil(L);
  return 1;
}

static int set_size(lua_State *L, const char *op, int option) {
  int fd = fd_of(L, op), size = (int)awl_check_size(L, op, 2, 1, "size", 1, INT32_MAX);
  return set_option(L, fd, SOL_SOCKET, option, &size, sizeof size);
}

static int w_set_send_buffer_size(lua_State *L) { return set_size(L, "set_send_buffer_size", SO_SNDBUF); }

static int w_set_recv_buffer_size(lua_State *L) { return set_size(L, "set_recv_buffer_size", SO_RCVBUF); }

/* fd(): the descriptor, for looking only; it stays ours. */
static int w_fd(lua_State *L) {
  lua_pushinteger(L, fd_of(L, "fd"));
  return 1;
}

const luaL_Reg awl_socket_methods[] = {
    {"local_addr", w_local_addr},
    {"peer_addr", w_peer_addr},
    {"peer_cred", w_peer_cred},
    {"set_nodelay", w_set_nodelay},
    {"nodelay", w_nodelay},
    {"set_keepalive", w_set_keepalive},
    {"keepalive", w_keepalive},
    {"set_linger", w_set_linger},
    {"linger", w_linger},
    {"set_send_buffer_size", w_set_send_buffer_size},
    {"set_recv_buffer_size", w_set_recv_buffer_size},
    {"fd", w_fd},
    {NULL, NULL},
};
