/* SPDX-License-Identifier: MIT */
/* Threads of the library take no signals: a host's main thread that sleeps in sigsuspend would never hear of them. A
 * thread inherits the mask of the one that starts it, also libuv's pool, which starts at its first use. */
#ifndef AW_SIGNALS_H
#define AW_SIGNALS_H

#include <signal.h>

static inline void aw_signals_block(sigset_t *before) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

static inline void aw_signals_restore(const sigset_t *before) { pthread_sigmask(SIG_SETMASK, before, NULL); }

#endif
