/* SPDX-License-Identifier: MIT */
/* What waits on handles of the loop itself. */
#include "reactor/watch.h"
#include "reactor/reactor.h"

#include <stdlib.h>

static void count(struct aw_watch *self, int change) {
  if (self->reactor == NULL) return;
  self->reactor->watched += (size_t)change;
  if (!self->open) return;
  if (change > 0) uv_ref(self->handle);
  else uv_unref(self->handle);
}

static void take_out(struct aw_watch *self) {
  if (self->prev) self->prev->next = self->next;
  else self->reactor->watches = self->next;
  if (self->next) self->next->prev = self->prev;
  self->prev = self->next = NULL;
}

static void on_closed(uv_handle_t *handle) {
  struct aw_watch *self = handle->data;
  self->open = false;
  if (self->reactor) {
    self->reactor->handles--;
    take_out(self);
  }
  if (!self->held) free(self);
}

void aw_watch_init(struct aw_watch *self, aw_reactor *reactor, uv_handle_t *handle) {
  handle->data = self;
  uv_unref(handle);
  self->reactor = reactor;
  self->handle = handle;
  self->held = self->open = true;
  self->next = reactor->watches;
  if (self->next) self->next->prev = self;
  reactor->watches = self;
  reactor->handles++;
}

int aw_watch_park(struct aw_watch *self, aw_waker *waker) {
  if (self->reactor == NULL) return UV_ECANCELED;
  int rc = aw_reactor_usable(self->reactor);
  if (rc < 0) return rc;
  if (waker && self->slot == NULL) count(self, 1);
  aw_slot_park(&self->slot, waker);
  return AW_PENDING;
}

void aw_watch_wake(struct aw_watch *self) {
  if (self->slot == NULL) return;
  count(self, -1);
  aw_slot_wake(&self->slot);
}

void aw_watch_close(struct aw_watch *self) {
  if (!self->open || uv_is_closing(self->handle)) return;
  uv_close(self->handle, on_closed);
}

void aw_watch_drop(struct aw_watch *self) {
  if (self->slot) {
    count(self, -1);
    aw_slot_clear(&self->slot);
  }
  self->held = false;
  if (!self->open) free(self);
}

void aw_watches_sweep(aw_reactor *reactor) {
  for (struct aw_watch *self = reactor->watches; self; self = self->next) {
    if (self->slot == NULL || !self->slot->dead) continue;
    count(self, -1);
    aw_slot_clear(&self->slot);
  }
}

void aw_watches_leave(aw_reactor *reactor, bool closing) {
  while (reactor->watches) {
    struct aw_watch *self = reactor->watches;
    if (closing && !uv_is_closing(self->handle)) {
      self->leave(self);
      uv_close(self->handle, on_closed);
    }
    take_out(self);
    self->reactor = NULL;
    aw_slot_wake(&self->slot);
  }
}
