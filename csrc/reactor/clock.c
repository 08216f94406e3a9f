/* SPDX-License-Identifier: MIT */
/* The clock of a reactor: the real one, or one that stands still for tests. What asks for the time asks here. */
#include "reactor/reactor.h"

uint64_t aw_reactor_now(const aw_reactor *r) { return r->paused ? r->clock : uv_hrtime() + r->shift; }

void aw_reactor_pause(aw_reactor *r) {
  r->clock = aw_reactor_now(r);
  r->paused = true;
}

void aw_reactor_resume(aw_reactor *r) {
  if (r->paused) r->shift = r->clock - uv_hrtime(); /* wraps around, as the sum above does */
  r->paused = false;
  aw_timers_run(r);
}

bool aw_reactor_is_paused(const aw_reactor *r) { return r->paused; }

void aw_reactor_set_clock(aw_reactor *r, uint64_t ns) {
  uint64_t now = aw_reactor_now(r);
  r->clock = ns;
  r->shift = ns - uv_hrtime();
  aw_timers_move(r, now, ns);
}

void aw_reactor_real_time(aw_reactor *r) {
  uint64_t now = aw_reactor_now(r);
  if (!r->paused && r->shift == 0) return;
  r->paused = false;
  r->shift = 0;
  aw_timers_move(r, now, uv_hrtime());
}

bool aw_reactor_jump(aw_reactor *r) {
  uint64_t due;
  if (!r->paused || !aw_timers_first(r, &due)) return false;
  if (due > r->clock) r->clock = due;
  aw_timers_run(r);
  return true;
}

bool aw_clock_jump_if_idle(aw_reactor *r) {
  return r->paused && r->parked + r->requests + r->watched == 0 && r->timers > 0 && !aw_reactor_lent_alive(r) &&
         aw_reactor_jump(r);
}

void aw_clock_add(aw_reactor *r, uint64_t ns) {
  r->clock += ns;
  aw_timers_run(r);
}
