/* SPDX-License-Identifier: MIT */
/* The reactor's inside, for the files of this folder. */
#ifndef AW_REACTOR_H
#define AW_REACTOR_H

#include "asyncwrite.h"

struct aw_fd;
struct aw_ready;
struct aw_watch;

struct aw_reactor {
  uv_loop_t *loop;
  uv_loop_t own;
  uv_timer_t *tick; /* armed for the earliest timer; lives on the loop, freed in its close callback */
  bool running;
  bool hosted;              /* a host turns the loop and watches backend_fd: everything goes through libuv */
  uv_async_t *poke;         /* hosted: makes backend_fd readable; keeps the loop alive, so that a turn always polls */
  struct aw_bridge *bridge; /* hosted: what wakes the host instead of poke */
  unsigned forks;           /* when it was made: in a forked child it cannot be used */
  struct aw_ready *ready;   /* of ready_epoll.c */
  struct aw_fd *fds;        /* every descriptor that ever had to wait */
  size_t parked;            /* directions of fds with a waker */
  size_t requests;          /* look-ups and work on the pool, in flight */
  struct aw_watch *watches; /* processes and signals */
  size_t handles, watched;  /* of these; waited for */
  bool lent;                /* handles that are not ours may be on the loop */
  bool closed;              /* freed but for the requests in flight, on a loop of the host */
  aw_timer **heap;          /* binary heap by due time */
  size_t timers, heap_size;
  uint64_t made; /* timers ever: those due at the same time wake in the order in which they were made */
  bool paused;   /* of clock.c: the time is clock; else it is the real one and shift */
  uint64_t clock, shift;
};

/* 0, or why the loop cannot be used now: UV_EPERM in a forked child. */
int aw_reactor_usable(const aw_reactor *reactor);

void aw_reactor_returned(aw_reactor *reactor); /* a request is back; the reactor may be gone now */

void aw_watches_sweep(aw_reactor *reactor);
void aw_watches_leave(aw_reactor *reactor, bool closing); /* it goes; closing: the handles may be closed */

int aw_timers_timeout(const aw_reactor *reactor); /* milliseconds until the first is due, -1 without any */
void aw_timers_run(aw_reactor *reactor);
void aw_timers_sweep(aw_reactor *reactor);
void aw_timers_detach(aw_reactor *reactor);
bool aw_timers_first(const aw_reactor *reactor, uint64_t *due);           /* false: there is none */
void aw_timers_move(aw_reactor *reactor, uint64_t now, uint64_t new_now); /* each keeps the time it has left */

bool aw_reactor_lent_alive(const aw_reactor *reactor); /* is a handle active on the private loop that is not ours? */

/* With the clock paused, and nothing to wait for but timers: goes to the first of them. */
bool aw_clock_jump_if_idle(aw_reactor *reactor);
void aw_clock_add(aw_reactor *reactor, uint64_t ns); /* time that was waited for something real */

#endif
