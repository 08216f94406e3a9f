/* SPDX-License-Identifier: MIT */
/* The bridge: a thread sleeps on the loop's descriptor and on a clock, and sends one byte through a unix socket. It
 * never touches an object of libuv: the host's thread turns the loop. The loop's descriptor is watched one-shot and
 * armed again after each turn, so that a loop with work is told of once, and none is missed. */
#include "reactor/bridge.h"
#include "reactor/reactor.h"

#ifdef __linux__

#include "reactor/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOOP, CLOCK, STOP };

struct aw_bridge {
  aw_reactor *reactor;
  pid_t pid;
  int listener, wire, set, clock, stop; /* descriptors */
  int loop;                             /* the loop's, not ours */
  atomic_bool signalled, stopping;
  bool threaded;
  pthread_t thread;
  uint64_t due; /* what the clock is set to; 0: nothing */
  struct sockaddr_un address;
};

void aw_bridge_wake(aw_bridge *self) {
  if (!atomic_exchange(&self->signalled, true)) send(self->wire, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void aw_bridge_clear(aw_bridge *self) { atomic_store(&self->signalled, false); }

static void *help(void *bridge) {
  struct aw_bridge *self = bridge;
  while (!atomic_load(&self->stopping)) {
    struct epoll_event events[3];
    int n = epoll_wait(self->set, events, 3, -1);
    for (int i = 0; i < n; i++) {
      uint64_t count;
      if (events[i].data.u32 == STOP) continue;
      if (events[i].data.u32 == CLOCK && read(self->clock, &count, sizeof count) < 0) continue; /* set anew */
      aw_bridge_wake(self);
    }
  }
  return NULL;
}

static int watch(struct aw_bridge *self, int op, int fd, uint32_t what, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u32 = what};
  return epoll_ctl(self->set, op, fd, &event) < 0 ? uv_translate_sys_error(errno) : 0;
}

int aw_bridge_arm_timer(aw_bridge *self, int most) {
  int timeout = aw_timers_timeout(self->reactor);
  if (timeout < 0 || (most >= 0 && most < timeout)) timeout = most;
  if (timeout == 0) {
    aw_bridge_wake(self);
    return 0;
  }
  uint64_t now = uv_hrtime(), due = timeout < 0 ? 0 : now + (uint64_t)timeout * 1000000u;
  /* A clock that rings too early costs less than setting it for every wait. */
  if (self->due && due && self->due <= due && self->due > now) return 0;
  if (self->due == due) return 0;
  struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)}};
  self->due = due;
  return timerfd_settime(self->clock, TFD_TIMER_ABSTIME, &at, NULL) < 0 ? uv_translate_sys_error(errno) : 0;
}

int aw_bridge_arm(aw_bridge *self, int most) {
  if (aw_reactor_backend_timeout(self->reactor) == 0) most = 0; /* callbacks that run in the next turn */
  int rc = aw_bridge_arm_timer(self, most);
  return rc < 0 ? rc : watch(self, EPOLL_CTL_MOD, self->loop, LOOP, EPOLLIN | EPOLLONESHOT);
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* The path stays only until its one connection has come. */
static void stop_listening(struct aw_bridge *self) {
  if (self->listener >= 0 && self->address.sun_path[0]) unlink(self->address.sun_path);
  shut(&self->listener);
}

static int start(struct aw_bridge *self) {
  self->set = epoll_create1(EPOLL_CLOEXEC);
  self->clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  self->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->set < 0 || self->clock < 0 || self->stop < 0) return uv_translate_sys_error(errno);
  int rc = watch(self, EPOLL_CTL_ADD, self->clock, CLOCK, EPOLLIN);
  if (rc == 0) rc = watch(self, EPOLL_CTL_ADD, self->stop, STOP, EPOLLIN);
  if (rc == 0) rc = watch(self, EPOLL_CTL_ADD, self->loop, LOOP, EPOLLIN | EPOLLONESHOT);
  if (rc < 0) return rc;
  sigset_t before;
  aw_signals_block(&before);
  rc = pthread_create(&self->thread, NULL, help, self);
  aw_signals_restore(&before);
  if (rc) return uv_translate_sys_error(rc);
  self->threaded = true;
  self->reactor->bridge = self; /* from here on a poke is a byte */
  return 0;
}

/* Whoever else found the path in time is turned away. */
int aw_bridge_accept(aw_bridge *self) {
  int fd;
  while ((fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid()) break;
    close(fd);
  }
  if (fd < 0) return uv_translate_sys_error(errno);
  self->wire = fd;
  stop_listening(self);
  return start(self);
}

const char *aw_bridge_path(const aw_bridge *self) { return self->address.sun_path; }

static void stop_thread(struct aw_bridge *self) {
  if (!self->threaded) return;
  uint64_t one = 1;
  atomic_store(&self->stopping, true);
  if (write(self->stop, &one, sizeof one) == (ssize_t)sizeof one) pthread_join(self->thread, NULL);
}

void aw_bridge_free(aw_bridge *self) {
  if (self == NULL) return;
  if (self->pid == getpid()) { /* a forked child has neither the thread nor the path */
    if (self->reactor->bridge == self) self->reactor->bridge = NULL;
    stop_thread(self);
    stop_listening(self);
  }
  shut(&self->listener), shut(&self->wire), shut(&self->set), shut(&self->clock), shut(&self->stop);
  free(self);
}

static int name_path(struct aw_bridge *self, const char *folder) {
  unsigned char bytes[16];
  char hex[2 * sizeof bytes + 1];
  int rc = uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
  if (rc < 0) return rc;
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
  size_t room = sizeof self->address.sun_path;
  int n = snprintf(self->address.sun_path, room, "%s/asyncwrite-%s", folder, hex);
  self->address.sun_family = AF_UNIX;
  if (n >= 0 && (size_t)n < room) return 0;
  self->address.sun_path[0] = '\0';
  return UV_ENAMETOOLONG;
}

/* Nobody can connect before listen, and the mode is set until then. */
static int listen_here(struct aw_bridge *self) {
  self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->listener < 0) return uv_translate_sys_error(errno);
  if (bind(self->listener, (struct sockaddr *)&self->address, sizeof self->address) < 0) {
    int rc = uv_translate_sys_error(errno);
    self->address.sun_path[0] = '\0';
    return rc;
  }
  if (chmod(self->address.sun_path, 0600) < 0 || listen(self->listener, 4) < 0) return uv_translate_sys_error(errno);
  return 0;
}

int aw_bridge_new(aw_bridge **out, aw_reactor *reactor, const char *folder) {
  int loop = aw_reactor_backend_fd(reactor);
  if (loop < 0) return loop;
  struct aw_bridge *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->reactor = reactor, self->pid = getpid(), self->loop = loop;
  self->listener = self->wire = self->set = self->clock = self->stop = -1;
  int rc = name_path(self, folder);
  if (rc == 0) rc = listen_here(self);
  if (rc < 0) {
    aw_bridge_free(self);
    return rc;
  }
  *out = self;
  return 0;
}

#else

int aw_bridge_new(aw_bridge **out, aw_reactor *reactor, const char *folder) {
  (void)out, (void)reactor, (void)folder;
  return UV_ENOTSUP;
}

const char *aw_bridge_path(const aw_bridge *self) { return (void)self, ""; }
int aw_bridge_accept(aw_bridge *self) { return (void)self, UV_ENOTSUP; }
void aw_bridge_clear(aw_bridge *self) { (void)self; }
int aw_bridge_arm(aw_bridge *self, int most) { return (void)self, (void)most, UV_ENOTSUP; }
int aw_bridge_arm_timer(aw_bridge *self, int most) { return (void)self, (void)most, UV_ENOTSUP; }
void aw_bridge_wake(aw_bridge *self) { (void)self; }
void aw_bridge_free(aw_bridge *self) { (void)self; }

#endif
