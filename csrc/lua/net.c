/* SPDX-License-Identifier: MIT */
/* Sockets and pipes for Lua: connecting, listening, accepting. What needs several steps is put together in net.lua. */
#include "lua/awl.h"

enum { BACKLOG = 1024 };

static int finish(lua_State *L, struct awl_box *b, int rc, aw_stream s) {
  if (rc < 0) return awl_fail(L, rc);
  awl_fill_box(b, s);
  return 1;
}

/* core.tcp_connect(lookup, i [, from]): a stream under way to address i; poll_connect tells when it is there. */
static int l_tcp_connect(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "connect");
  const struct sockaddr *to = awl_check_address(L, "connect", 1, (int)lua_tointeger(L, 2));
  const struct sockaddr *from = lua_isnoneornil(L, 3) ? NULL : awl_check_address(L, "connect", 3, 1);
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = aw_tcp_connect(&s, reactor, to, from);
  return finish(L, b, rc, s);
}

/* core.tcp_open(fd), core.pipe_open(fd) */
static int open_descriptor(lua_State *L, int (*open)(aw_stream *out, aw_reactor *reactor, int fd)) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "open");
  size_t fd = awl_check_size(L, "open", 1, 1, "fd", 0, INT32_MAX);
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = open(&s, reactor, (int)fd);
  return finish(L, b, rc, s);
}

static int l_tcp_open(lua_State *L) { return open_descriptor(L, aw_tcp_open); }

static int l_pipe_open(lua_State *L) { return open_descriptor(L, aw_pipe_open); }

static int l_unix_connect(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "connect");
  size_t len;
  const char *path = awl_check_string(L, "connect", 1, 1, "path", &len);
  aw_stream s = {NULL, NULL};
  struct awl_box *b = awl_push_box(L);
  int rc = aw_unix_connect(&s, reactor, path, len);
  return finish(L, b, rc, s);
}

static int finish_listener(lua_State *L, struct awl_box *b, int rc, aw_listener *listener) {
  if (rc < 0) return awl_fail(L, rc);
  awl_fill_box(b, (aw_stream){NULL, NULL});
  b->listener = listener;
  return 1;
}

/* core.tcp_listen(lookup, i, backlog, reuseport) */
static int l_tcp_listen(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "listen");
  const struct sockaddr *at = awl_check_address(L, "listen", 1, (int)lua_tointeger(L, 2));
  size_t backlog = awl_opt_size(L, "listen", 3, 3, "options.backlog", BACKLOG, 1, INT32_MAX);
  aw_listener *listener = NULL;
  struct awl_box *b = awl_push_box(L);
  int rc = aw_tcp_listen(&listener, reactor, at, (int)backlog, lua_toboolean(L, 4));
  return finish_listener(L, b, rc, listener);
}

/* core.unix_listen(path, backlog) */
static int l_unix_listen(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "listen");
  size_t len, backlog = awl_opt_size(L, "listen", 2, 2, "options.backlog", BACKLOG, 1, INT32_MAX);
  const char *path = awl_check_string(L, "listen", 1, 1, "path", &len);
  aw_listener *listener = NULL;
  struct awl_box *b = awl_push_box(L);
  int rc = aw_unix_listen(&listener, reactor, path, len, (int)backlog);
  return finish_listener(L, b, rc, listener);
}

/* core.unix_pair() -> two streams connected to each other */
static int l_unix_pair(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "pair");
  struct awl_box *a = awl_push_box(L), *b = awl_push_box(L);
  aw_stream near, far;
  int rc = aw_unix_pair(&near, &far, reactor);
  if (rc < 0) return awl_fail(L, rc);
  awl_fill_box(a, near);
  awl_fill_box(b, far);
  return 2;
}

/* core.pipe_pair() -> reader, writer */
static int l_pipe_pair(lua_State *L) {
  aw_reactor *reactor = awl_reactor(L, awl_state_of(L), "pair");
  struct awl_box *r = awl_push_box(L), *w = awl_push_box(L);
  aw_stream s;
  int rc = aw_pipe_pair(&s, reactor);
  if (rc < 0) return awl_fail(L, rc);
  awl_fill_box(r, (aw_stream){.r = s.r});
  awl_fill_box(w, (aw_stream){.w = s.w});
  return 2;
}

static int w_poll_connect(lua_State *L) {
  if (awl_canceled(L, 1, AWL_WRITE)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *b = awl_check_writer(L, "poll_connect", 1, 0, "self");
  if (aw_writer_fd(b->w) < 0 || b->w->inner) awl_arg_error(L, "poll_connect", 0, "self", "not a socket");
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_WRITE, "poll_connect", false);
  return awl_status(L, (int)awl_end(L, &p, p.early ? p.early : aw_poll_connect(b->w, p.waker)));
}

/* poll_accept(): a stream, false, or the triple */
static int w_poll_accept(lua_State *L) {
  if (awl_canceled(L, 1, AWL_READ)) return awl_fail(L, UV_ECANCELED);
  struct awl_box *b = awl_check_box(L, "poll_accept", 1, 0, "self");
  if (b->listener == NULL) awl_arg_error(L, "poll_accept", 0, "self", "not a listener");
  struct awl_poll p;
  awl_begin(L, &p, b, AWL_READ, "poll_accept", false);
  aw_stream s = {NULL, NULL};
  int rc = (int)awl_end(L, &p, p.early ? p.early : aw_poll_accept(b->listener, p.waker, &s));
  if (rc < 0) return awl_status(L, rc);
  awl_fill_box(awl_push_box(L), s);
  return 1;
}

const luaL_Reg awl_net_functions[] = {
    {"tcp_connect", l_tcp_connect}, {"tcp_listen", l_tcp_listen}, {"unix_connect", l_unix_connect},
    {"unix_listen", l_unix_listen}, {"unix_pair", l_unix_pair},   {"pipe_pair", l_pipe_pair},
    {"pipe_open", l_pipe_open},     {"tcp_open", l_tcp_open},     {NULL, NULL},
};

const luaL_Reg awl_net_methods[] = {{"poll_connect", w_poll_connect}, {"poll_accept", w_poll_accept}, {NULL, NULL}};
