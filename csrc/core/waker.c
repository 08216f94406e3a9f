/* SPDX-License-Identifier: MIT */
/* Wakers and the slots they park in. */
#include "asyncwrite.h"

void aw_waker_init(aw_waker *waker, const aw_waker_type *type) {
  waker->type = type;
  waker->refs = 1;
  waker->dead = false;
}

void aw_waker_ref(aw_waker *waker) { waker->refs++; }

void aw_waker_unref(aw_waker *waker) {
  if (--waker->refs == 0) waker->type->free(waker);
}

void aw_slot_park(aw_waker **slot, aw_waker *waker) {
  if (waker == NULL || *slot == waker) return;
  aw_waker *old = *slot;
  aw_waker_ref(waker);
  *slot = waker;
  if (old) aw_waker_unref(old);
}

void aw_slot_wake(aw_waker **slot) {
  aw_waker *waker = *slot;
  if (waker == NULL) return;
  *slot = NULL;
  if (!waker->dead) waker->type->wake(waker);
  aw_waker_unref(waker);
}

void aw_slot_clear(aw_waker **slot) {
  aw_waker *waker = *slot;
  *slot = NULL;
  if (waker) aw_waker_unref(waker);
}
