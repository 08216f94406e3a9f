/* SPDX-License-Identifier: MIT */
/* A call that may block, on a thread of libuv's pool. */
#ifndef AW_WORK_H
#define AW_WORK_H

#include "asyncwrite.h"

struct aw_work {
  uv_work_t req;
  aw_reactor *reactor;
  void (*run)(struct aw_work *work);  /* on the pool's thread; meanwhile nobody else touches what it uses */
  void (*done)(struct aw_work *work); /* back on the loop; may free it */
};

/* Until done is called it counts as a request of the reactor, which waits for it at its end: it is never cancelled. */
int aw_work_start(struct aw_work *work, aw_reactor *reactor);

#endif
