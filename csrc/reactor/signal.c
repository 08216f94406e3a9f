/* SPDX-License-Identifier: MIT */
/* Signals as events. What the process did with a signal before is put back when the last of ours for it has gone. */
#include "reactor/reactor.h"
#include "reactor/watch.h"

#include <signal.h>
#include <stdlib.h>

struct aw_signal {
  struct aw_watch watch; /* first */
  uv_signal_t handle;
  bool raised;
  struct sigaction before; /* of the process, or of the first of ours for this signal */
};

static void on_signal(uv_signal_t *handle, int number) {
  struct aw_signal *self = handle->data;
  (void)number;
  self->raised = true;
  aw_watch_wake(&self->watch);
}

/* Another of ours, and of the same reactor, for this signal. */
static struct aw_signal *sibling(struct aw_signal *self) {
  for (struct aw_watch *w = self->watch.reactor->watches; w; w = w->next) {
    if (w == &self->watch || w->leave != self->watch.leave) continue;
    struct aw_signal *other = (struct aw_signal *)w;
    if (other->handle.signum == self->handle.signum && uv_is_active((uv_handle_t *)&other->handle)) return other;
  }
  return NULL;
}

/* libuv puts the default back, unless others of its handles listen: those keep theirs. */
static void leave(struct aw_watch *watch) {
  struct aw_signal *self = (struct aw_signal *)watch;
  int number = self->handle.signum;
  struct sigaction now;
  if (number == 0) return;
  bool last = sibling(self) == NULL;
  uv_signal_stop(&self->handle);
  if (last && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL) sigaction(number, &self->before, NULL);
}

int aw_poll_signal(aw_signal *self, aw_waker *waker) {
  if (!self->raised) return aw_watch_park(&self->watch, waker);
  self->raised = false;
  return 0;
}

void aw_signal_free(aw_signal *self) {
  if (self == NULL) return;
  aw_reactor *reactor = self->watch.reactor;
  if (reactor && aw_reactor_usable(reactor) == 0) {
    leave(&self->watch);
    aw_watch_close(&self->watch);
  }
  aw_watch_drop(&self->watch);
}

int aw_signal_new(aw_signal **out, aw_reactor *reactor, int number) {
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  struct aw_signal *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  rc = uv_signal_init(reactor->loop, &self->handle);
  if (rc < 0) {
    free(self);
    return rc;
  }
  self->watch.leave = leave;
  aw_watch_init(&self->watch, reactor, (uv_handle_t *)&self->handle);
  sigaction(number, NULL, &self->before);
  rc = uv_signal_start(&self->handle, on_signal, number);
  if (rc < 0) {
    aw_watch_close(&self->watch);
    aw_watch_drop(&self->watch);
    return rc;
  }
  struct aw_signal *first = sibling(self);
  struct sigaction now;
  if (first) self->before = first->before;
  /* Others in this process listen through libuv: when all have gone nothing is left to put back. */
  else if (sigaction(number, NULL, &now) == 0 && now.sa_handler == self->before.sa_handler)
    self->before = (struct sigaction){.sa_handler = SIG_DFL};
  *out = self;
  return 0;
}
