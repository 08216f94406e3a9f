/* SPDX-License-Identifier: MIT */
/* The reactor: one uv loop, private or the host's, and what waits on it. */
#include "reactor/reactor.h"
#include "reactor/bridge.h"
#include "reactor/fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* How often this process and its forebears have forked. Every turn asks whether the reactor is this process's own, and
 * getpid is a system call. Static because a fork is the process's, not a reactor's. */
static unsigned forks;

static void on_fork(void) { forks++; }

static void count_forks(void) { pthread_atfork(NULL, NULL, on_fork); }

int aw_reactor_usable(const aw_reactor *reactor) { return reactor->forks == forks ? 0 : UV_EPERM; }

/* A private loop without requests and other handles has nothing but descriptors and timers: both are served here
 * directly, which spares the system calls of a loop around them (a fifth of a one-byte round trip on one processor). */
static bool turn_directly(aw_reactor *reactor, bool wait) {
  bool more = reactor->hosted || reactor->requests > 0 || reactor->handles > 0 || reactor->lent;
  if (reactor->loop != &reactor->own || more) return false;
  int timeout = !wait ? 0 : aw_timers_timeout(reactor);
  if (timeout < 0 && reactor->parked == 0) timeout = 0;
  if (!aw_ready_turn(reactor, timeout)) return false;
  if (aw_timers_timeout(reactor) == 0) aw_timers_run(reactor);
  return true;
}

int aw_reactor_turn(aw_reactor *reactor, bool wait) {
  if (reactor->running) return UV_EBUSY;
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  reactor->running = true;
  if (reactor->loop == &reactor->own && aw_reactor_waiting(reactor) == 0) wait = false; /* nothing could end it */
  if (wait && aw_clock_jump_if_idle(reactor)) wait = false;
  uint64_t began = wait && reactor->paused ? uv_hrtime() : 0;
  if (!turn_directly(reactor, wait)) uv_run(reactor->loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  if (began) aw_clock_add(reactor, uv_hrtime() - began);
  reactor->running = false;
  return 0;
}

static void on_poke(uv_async_t *poke) { (void)poke; }

static void on_handle_closed(uv_handle_t *handle) { free(handle); }

/* From here on the loop must be complete before anybody sleeps on its descriptor: what libuv only registers in its next
 * run is registered now. */
int aw_reactor_backend_fd(aw_reactor *reactor) {
  if (reactor->hosted) return uv_backend_fd(reactor->loop);
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  uv_async_t *poke = calloc(1, sizeof *poke);
  rc = poke ? uv_async_init(reactor->loop, poke, on_poke) : UV_ENOMEM;
  if (rc < 0) {
    free(poke);
    return rc;
  }
  reactor->poke = poke;
  if (reactor->loop != &reactor->own) uv_unref((uv_handle_t *)poke);
  reactor->hosted = true;
  if (reactor->loop == &reactor->own) aw_reactor_turn(reactor, false);
  return uv_backend_fd(reactor->loop);
}

void aw_reactor_poke(aw_reactor *reactor) {
  if (reactor->bridge) aw_bridge_wake(reactor->bridge);
  else if (reactor->poke) uv_async_send(reactor->poke);
}

int aw_reactor_backend_timeout(const aw_reactor *reactor) { return uv_backend_timeout(reactor->loop); }

uv_loop_t *aw_reactor_loop(aw_reactor *reactor) {
  reactor->lent = true;
  return reactor->loop;
}

/* Only a private loop is asked: on others everything else is not ours. */
bool aw_reactor_lent_alive(const aw_reactor *reactor) {
  if (!reactor->lent || reactor->loop != &reactor->own) return false;
  if (reactor->poke) uv_unref((uv_handle_t *)reactor->poke);
  bool alive = uv_loop_alive(reactor->loop);
  if (reactor->poke) uv_ref((uv_handle_t *)reactor->poke);
  return alive;
}

size_t aw_reactor_waiting(const aw_reactor *reactor) {
  size_t own = reactor->parked + reactor->timers + reactor->requests + reactor->watched;
  return own > 0 ? own : aw_reactor_lent_alive(reactor);
}

void aw_reactor_sweep(aw_reactor *reactor) {
  for (struct aw_fd *io = reactor->fds; io; io = io->next) aw_fd_sweep(io);
  aw_timers_sweep(reactor);
  aw_watches_sweep(reactor);
}

/* May the handles be closed? A forked child shares the parent's epoll sets, so that closing them would reach into the
 * parent's. A private loop on which nothing else is gets a set of its own first; the host's is the host's to fork. */
static bool may_close(aw_reactor *reactor) {
  if (reactor->forks == forks) return true;
  bool alone = reactor->loop == &reactor->own && !reactor->lent && reactor->requests == 0;
  if (!alone || uv_loop_fork(&reactor->own) < 0) return false;
  reactor->forks = forks;
  return true;
}

void aw_reactor_free(aw_reactor *reactor) {
  if (reactor == NULL) return;
  aw_timers_detach(reactor);
  while (reactor->fds) aw_fd_detach(reactor->fds);
  bool closing = may_close(reactor);
  aw_watches_leave(reactor, closing);
  aw_ready_free(reactor);
  if (closing) {
    reactor->tick->data = NULL;
    uv_close((uv_handle_t *)reactor->tick, on_handle_closed);
    if (reactor->poke) uv_close((uv_handle_t *)reactor->poke, on_handle_closed);
    if (reactor->loop == &reactor->own)
      while (uv_loop_close(&reactor->own) == UV_EBUSY) uv_run(&reactor->own, UV_RUN_ONCE);
  }
  free(reactor->heap);
  reactor->heap = NULL;
  reactor->closed = closing && reactor->requests > 0;
  if (!reactor->closed) free(reactor);
}

void aw_reactor_returned(aw_reactor *reactor) {
  if (--reactor->requests == 0 && reactor->closed) free(reactor);
}

/* A process started with standard streams closed would get the loop's descriptors as 0 to 2, which libuv refuses to
 * close again, and which would be written to by whoever prints. What takes their place can be used no more than they:
 * an output that is closed does not swallow bytes. */
static void occupy_standard_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (got >= 0 && got != fd) close(got);
  }
}

int aw_reactor_new(aw_reactor **out, uv_loop_t *loop) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, count_forks);
  struct aw_reactor *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  int rc = UV_ENOMEM;
  self->tick = calloc(1, sizeof *self->tick);
  if (self->tick == NULL) goto fail;
  if (loop == NULL) occupy_standard_streams();
  rc = loop ? 0 : uv_loop_init(&self->own);
  if (rc < 0) goto fail;
  self->loop = loop ? loop : &self->own;
  self->forks = forks;
  rc = aw_ready_open(self); /* now: when it is needed there may be no descriptor left for it */
  if (rc < 0 && loop == NULL) uv_loop_close(&self->own);
  if (rc < 0) goto fail;
  uv_timer_init(self->loop, self->tick);
  self->tick->data = self;
  *out = self;
  return 0;
fail:
  free(self->tick);
  free(self);
  return rc;
}
