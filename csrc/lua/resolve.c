/* SPDX-License-Identifier: MIT */
/* Name look-up for Lua: an object that is polled and then holds addresses. */
#include "lua/awl.h"

#include <netdb.h>

struct lookup {
  aw_resolve *resolve;
  const struct addrinfo *list;
};

/* core.resolve(host or nil, port, passive) */
static int l_resolve(lua_State *L) {
  struct awl_state *st = awl_state_of(L);
  aw_reactor *reactor = awl_reactor(L, st, "resolve");
  const char *host = lua_tostring(L, 1), *service = lua_tostring(L, 2);
  struct lookup *self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = (struct lookup){NULL, NULL};
  awl_set_metatable(L, st->meta_resolve_ref);
  int rc = aw_resolve_new(&self->resolve, reactor, host, service, lua_toboolean(L, 3));
  if (rc == 0) aw_poll_resolve(self->resolve, NULL, &self->list); /* numeric addresses are there at once */
  return rc < 0 ? awl_fail(L, rc) : 1;
}

static int w_poll(lua_State *L) {
  struct lookup *self = awl_check_handle(L, awl_state_of(L)->meta_resolve_ref);
  struct awl_state *st = awl_state_of(L);
  if (self->resolve == NULL) return luaL_error(L, "the look-up was freed");
  return awl_status(L, aw_poll_resolve(self->resolve, awl_context(L, st, "resolve"), &self->list));
}

/* lookup:count(): how many addresses it gave */
static int w_count(lua_State *L) {
  struct lookup *self = awl_check_handle(L, awl_state_of(L)->meta_resolve_ref);
  int n = 0;
  for (const struct addrinfo *a = self->list; a; a = a->ai_next) n++;
  lua_pushinteger(L, n);
  return 1;
}

/* lookup:address(i) -> host, port */
static int w_address(lua_State *L) {
  const struct sockaddr *addr = awl_check_address(L, "address", 1, (int)lua_tointeger(L, 2));
  char ip[64] = "";
  bool v6 = addr->sa_family == AF_INET6;
  if (v6) uv_ip6_name((const struct sockaddr_in6 *)(const void *)addr, ip, sizeof ip);
  else uv_ip4_name((const struct sockaddr_in *)(const void *)addr, ip, sizeof ip);
  lua_pushstring(L, ip);
  lua_pushinteger(L, ntohs(v6 ? ((const struct sockaddr_in6 *)(const void *)addr)->sin6_port
                              : ((const struct sockaddr_in *)(const void *)addr)->sin_port));
  return 2;
}

static int w_gc(lua_State *L) {
  struct lookup *self = awl_check_handle(L, awl_state_of(L)->meta_resolve_ref);
  aw_resolve_free(self->resolve);
  self->resolve = NULL, self->list = NULL;
  return 0;
}

const struct sockaddr *awl_check_address(lua_State *L, const char *op, int index, int at) {
  struct lookup *self = lua_touserdata(L, index);
  const struct addrinfo *a = self ? self->list : NULL;
  while (a && --at > 0) a = a->ai_next;
  if (a) return a->ai_addr;
  awl_raise(L, op, "no such address");
  return NULL;
}

const luaL_Reg awl_resolve_functions[] = {{"resolve", l_resolve}, {NULL, NULL}};
const luaL_Reg awl_resolve_methods[] = {
    {"poll", w_poll}, {"count", w_count}, {"address", w_address}, {"free", w_gc}, {"__gc", w_gc}, {NULL, NULL},
};
