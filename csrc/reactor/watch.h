/* SPDX-License-Identifier: MIT */
/* A uv handle of ours, other than for descriptors and timers, with one place to wait: the base of processes and
 * signals. It keeps the loop alive only while somebody waits. */
#ifndef AW_WATCH_H
#define AW_WATCH_H

#include "asyncwrite.h"

struct aw_watch {
  aw_reactor *reactor; /* NULL: it is gone */
  struct aw_watch *prev, *next;
  uv_handle_t *handle;
  void (*leave)(struct aw_watch *watch); /* the reactor goes: before the handle is closed */
  bool held, open;                       /* by its owner; on the loop. Freed when it is neither */
  aw_waker *slot;
};

/* To be called with a handle that was initialised, on the reactor's loop. */
void aw_watch_init(struct aw_watch *watch, aw_reactor *reactor, uv_handle_t *handle);
int aw_watch_park(struct aw_watch *watch, aw_waker *waker); /* AW_PENDING, or why it cannot wait */
void aw_watch_wake(struct aw_watch *watch);                 /* the last thing that is done to it */
void aw_watch_close(struct aw_watch *watch);                /* the handle; the waker stays */
void aw_watch_drop(struct aw_watch *watch);                 /* the owner goes */

#endif
