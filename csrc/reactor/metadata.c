/* SPDX-License-Identifier: MIT */
/* What the system knows of a file, asked on the thread pool. A request in flight outlives its owner. */
#include "reactor/reactor.h"
#include "reactor/work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct aw_metadata {
  struct aw_work work; /* first */
  char *path;
  int fd; /* -1: by path, or asked already */
  struct stat st;
  int status;
  bool flying, dead; /* flying: the pool has it; dead: nobody else does */
  aw_waker *slot;
};

static void close_own(struct aw_metadata *self) {
  if (self->fd >= 0) close(self->fd);
  self->fd = -1;
}

static void discard(struct aw_metadata *self) {
  close_own(self);
  free(self->path);
  free(self);
}

static struct aw_metadata *of_work(struct aw_work *work) { return (struct aw_metadata *)work; }

static void run(struct aw_work *work) {
  struct aw_metadata *self = of_work(work);
  int rc = self->path ? stat(self->path, &self->st) : fstat(self->fd, &self->st);
  self->status = rc < 0 ? uv_translate_sys_error(errno) : 0;
  close_own(self); /* the answer may stay until a collector comes */
}

static void on_done(struct aw_work *work) {
  struct aw_metadata *self = of_work(work);
  self->flying = false;
  if (self->dead) discard(self);
  else aw_slot_wake(&self->slot);
}

int aw_poll_metadata(aw_metadata *self, aw_waker *waker, const struct stat **st) {
  if (self->flying) {
    int rc = aw_reactor_usable(self->work.reactor);
    if (rc < 0) return rc;
    aw_slot_park(&self->slot, waker);
    return AW_PENDING;
  }
  if (self->status == 0) *st = &self->st;
  return self->status;
}

void aw_metadata_free(aw_metadata *self) {
  if (self == NULL) return;
  aw_slot_clear(&self->slot);
  if (self->flying) self->dead = true;
  else discard(self);
}

int aw_metadata_new(aw_metadata **out, aw_reactor *reactor, const char *path, int fd) {
  struct aw_metadata *self = calloc(1, sizeof *self);
  if (self == NULL) return UV_ENOMEM;
  self->path = path ? strdup(path) : NULL;
  self->fd = path ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the caller may close its own meanwhile */
  int rc = path || self->fd >= 0 ? 0 : uv_translate_sys_error(errno);
  if (path && self->path == NULL) rc = UV_ENOMEM;
  self->work.run = run, self->work.done = on_done;
  if (rc == 0) rc = aw_work_start(&self->work, reactor);
  if (rc < 0) {
    discard(self);
    return rc;
  }
  self->flying = true;
  *out = self;
  return 0;
}
