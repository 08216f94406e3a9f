/* SPDX-License-Identifier: MIT */
/* Name look-up on libuv's thread pool. A request in flight outlives its owner: it is freed in its callback. */
#include "reactor/reactor.h"
#include "reactor/signals.h"

#include <stdlib.h>

struct aw_resolve {
  uv_getaddrinfo_t req;
  aw_reactor *reactor;
  struct addrinfo *list;
  int status; /* AW_PENDING while in flight */
  bool dead;
  aw_waker *slot;
};

static void discard(struct aw_resolve *self) {
  uv_freeaddrinfo(self->list);
  free(self);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list) {
  struct aw_resolve *self = req->data;
  aw_reactor_returned(self->reactor);
  self->status = status;
  self->list = list;
  if (self->dead) discard(self);
  else aw_slot_wake(&self->slot);
}

int aw_poll_resolve(aw_resolve *self, aw_waker *waker, const struct addrinfo **list) {
  if (self->status == AW_PENDING) aw_slot_park(&self->slot, waker);
  if (self->status == 0) *list = self->list;
  return self->status;
}

void aw_resolve_free(aw_resolve *self) {
  if (self == NULL) return;
  aw_slot_clear(&self->slot);
  if (self->status != AW_PENDING) {
    discard(self);
    return;
  }
  self->dead = true;
  uv_cancel((uv_req_t *)&self->req);
}

int aw_resolve_new(aw_resolve **out, aw_reactor *reactor, const char *host, const char *service, bool passive) {
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  struct aw_resolve *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG};
  struct sockaddr_in6 numeric;
  if (host && (uv_ip4_addr(host, 0, (struct sockaddr_in *)&numeric) == 0 || uv_ip6_addr(host, 0, &numeric) == 0))
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  bool here = hints.ai_flags & AI_NUMERICHOST;
  self->reactor = reactor;
  self->req.data = self;
  self->status = AW_PENDING;
  /* Without a callback libuv looks up on the spot: nothing to wait for in a numeric address. */
  sigset_t before;
  aw_signals_block(&before);
  rc = uv_getaddrinfo(reactor->loop, &self->req, here ? NULL : on_resolved, host, service, &hints);
  aw_signals_restore(&before);
  if (rc < 0) {
    free(self);
    return rc;
  }
  if (here) self->status = 0, self->list = self->req.addrinfo;
  else reactor->requests++;
  *out = self;
  return 0;
}
