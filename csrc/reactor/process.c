/* SPDX-License-Identifier: MIT */
/* Child processes. A child whose owner has gone runs on, and is reaped when it ends, as tokio's. */
#include "reactor/reactor.h"
#include "reactor/watch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct aw_process {
  struct aw_watch watch; /* first */
  uv_process_t process;
  bool exited, kill_on_drop, leads; /* leads: a process group of its own */
  int status, signal;
};

static void on_end(uv_process_t *process, int64_t status, int signal) {
  struct aw_process *self = process->data;
  self->exited = true;
  self->status = (int)status, self->signal = signal;
  aw_watch_close(&self->watch);
  aw_watch_wake(&self->watch);
}

/* libuv will look after it no more: if it has ended already it is reaped here. */
static void leave(struct aw_watch *watch) {
  struct aw_process *self = (struct aw_process *)watch;
  if (!self->exited && self->process.pid > 0) waitpid(self->process.pid, NULL, WNOHANG);
}

int aw_poll_process(aw_process *self, aw_waker *waker, int *status, int *signal) {
  if (!self->exited) return aw_watch_park(&self->watch, waker);
  *status = self->status, *signal = self->signal;
  return 0;
}

int aw_process_pid(const aw_process *self) { return self->process.pid; }

/* Once it has been reaped the number may be another's. A fork has no child here. */
static int check_running(const struct aw_process *self) {
  return self->exited || self->watch.reactor == NULL ? UV_ESRCH : aw_reactor_usable(self->watch.reactor);
}

int aw_process_kill(aw_process *self, int signal) {
  int rc = check_running(self);
  return rc < 0 ? rc : uv_process_kill(&self->process, signal);
}

int aw_process_kill_group(aw_process *self, int signal) {
  int rc = self->leads ? check_running(self) : UV_EINVAL;
  return rc < 0 ? rc : uv_kill(-self->process.pid, signal);
}

void aw_process_free(aw_process *self) {
  if (self == NULL) return;
  if (self->kill_on_drop) aw_process_kill(self, SIGKILL);
  aw_watch_drop(&self->watch);
}

int aw_process_new(aw_process **out, aw_reactor *reactor, const aw_process_options *options) {
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  struct aw_process *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  uv_stdio_container_t stdio[3];
  for (int i = 0; i < 3; i++) {
    bool given = options->stdio[i] >= 0;
    stdio[i] = (uv_stdio_container_t){.flags = given ? UV_INHERIT_FD : UV_IGNORE, .data.fd = options->stdio[i]};
  }
  uv_process_options_t uv = {.exit_cb = on_end,
                             .file = options->args[0],
                             .args = (char **)(uintptr_t)options->args,
                             .env = (char **)(uintptr_t)options->env,
                             .cwd = options->cwd,
                             .flags = options->detached ? UV_PROCESS_DETACHED : 0,
                             .stdio = stdio,
                             .stdio_count = 3};
  self->kill_on_drop = options->kill_on_drop;
  self->leads = options->detached;
  self->watch.leave = leave;
  rc = uv_spawn(reactor->loop, &self->process, &uv);
  aw_watch_init(&self->watch, reactor, (uv_handle_t *)&self->process);
  if (rc < 0) {
    self->exited = true;
    aw_watch_close(&self->watch);
    aw_watch_drop(&self->watch);
    return rc;
  }
  *out = self;
  return 0;
}
