/* SPDX-License-Identifier: MIT */
/* file: a file on a disk, as tokio's File (D1-D6). A leaf; both halves share the position of the open file. One call at
 * a time runs on the pool: a write is accepted into a buffer and written behind, what was read too much is stepped back
 * over before the next write. Unlike tokio's it keeps what could not be written, so that a retry can succeed (F7). */
#include "core/hold.h"
#include "reactor/disk.h"
#include "reactor/fd.h"
#include "reactor/reactor.h"
#include "reactor/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_HALF = 1 << AW_READ, WRITE_HALF = 1 << AW_WRITE };
enum { MAX_BUF = 2 * 1024 * 1024 }; /* tokio's */
enum job { NONE, OPEN, READ, WRITE, OP };
enum { END = 1 };

struct part {
  char *data;
  size_t size, at, len; /* data[at, len) is left */
};

struct file {
  struct aw_holder h;
  aw_reader r;
  struct aw_work work;
  struct aw_fd io; /* holds the descriptor; waits for pipes and terminals to be readable */
  unsigned halves;
  enum job busy; /* until it is NONE again, everything below belongs to the pool's thread */
  bool regular;
  char *path; /* NULL: it came as a descriptor */
  int flags, mode;
  struct aw_hold hold; /* what is in out, also while it is being written */
  int rc;              /* of the last job */
  int broken;          /* it could not be opened */
  struct part out;     /* accepted and not yet written */
  struct part in;      /* read and not yet asked for */
  size_t max, want, undo;
  int heard;    /* of a read that gave nothing: a code, or END */
  int failure;  /* of a write, not yet told (D2) */
  bool moved;   /* what is left of out belongs at home, and the position has gone elsewhere */
  int64_t home; /* -1: wherever the file says */
  aw_file_op op;
  uint64_t ids, done_id;
  int64_t value; /* of the op */
  aw_waker *slot[2];
};

static struct file *of_writer(const aw_writer *w) { return (struct file *)(uintptr_t)w; }

static struct file *of_reader(const aw_reader *r) { return (struct file *)((uintptr_t)r - offsetof(struct file, r)); }

static struct file *of_work(struct aw_work *work) {
  return (struct file *)((uintptr_t)work - offsetof(struct file, work));
}

static size_t left(const struct part *p) { return p->len - p->at; }

static bool reserve(struct part *p, size_t len) {
  if (len <= p->size) return true;
  char *data = realloc(p->data, len);
  if (data == NULL) return false;
  p->data = data, p->size = len;
  return true;
}

/* ---- On the pool's thread ---- */

/* Back over what was read and not asked for (D3). */
static int step_back(struct file *self) {
  if (self->undo == 0) return 0;
  int64_t at = aw_disk_seek(self->io.fd, -(int64_t)self->undo, SEEK_CUR);
  if (at < 0) return (int)at;
  self->undo = 0;
  return 0;
}

static void run_write(struct file *self) {
  struct part *out = &self->out;
  self->rc = step_back(self);
  if (self->rc < 0) return;
  int64_t *at = self->moved && self->home >= 0 ? &self->home : NULL;
  out->at += aw_disk_write(self->io.fd, out->data + out->at, left(out), at, &self->rc);
  if (self->rc < 0 && at == NULL) self->home = self->flags & O_APPEND ? -1 : aw_disk_seek(self->io.fd, 0, SEEK_CUR);
}

static int64_t run_op(struct file *self) {
  const aw_file_op *op = &self->op;
  if (op->kind == AW_FILE_SEEK) return aw_disk_seek(self->io.fd, op->offset, op->whence);
  if (op->kind != AW_FILE_SET_LEN) return aw_disk_sync(self->io.fd, op->kind == AW_FILE_SYNC_DATA);
  int rc = step_back(self);
  return rc < 0 ? rc : aw_disk_set_len(self->io.fd, op->offset);
}

static void run(struct aw_work *work) {
  struct file *self = of_work(work);
  switch (self->busy) {
  case OPEN: self->rc = aw_disk_open(self->path, self->flags, self->mode, &self->regular); break;
  case READ: self->rc = (int)aw_disk_read(self->io.fd, self->in.data, self->want); break;
  case WRITE: run_write(self); break;
  case OP: self->value = run_op(self); break;
  case NONE: break;
  }
}

/* ---- Back on the loop ---- */

static void describe(const aw_writer *w, char *text, size_t size) {
  const struct file *self = of_writer(w);
  if (self->path) snprintf(text, size, "file %s", self->path);
  else snprintf(text, size, "file %d", self->io.fd);
}

/* Nobody holds it any more, and nothing is under way. What was lost without anybody's knowing is told here. */
static void end(struct file *self) {
  if (self->failure) {
    char text[160];
    describe(&self->h.w, text, sizeof text);
    fprintf(stderr, "asyncwrite: %zu bytes lost: %s: %s: %s\n", left(&self->out), text, aw_err_name(self->failure),
            aw_strerror(self->failure));
  }
  aw_slot_clear(&self->slot[AW_READ]);
  aw_slot_clear(&self->slot[AW_WRITE]);
  aw_hold_end(&self->hold);
  aw_fd_close(&self->io);
  free(self->out.data);
  free(self->in.data);
  free(self->path);
  free(self);
}

static void take_read(struct file *self) {
  self->in.at = 0;
  self->in.len = self->rc > 0 ? (size_t)self->rc : 0;
  if (self->rc <= 0) self->heard = self->rc < 0 ? self->rc : END;
}

static void take_write(struct file *self) {
  if (self->rc < 0) self->failure = self->rc;
  else self->out.at = self->out.len = 0, self->moved = false;
  self->hold.bytes = self->h.w.buffered = left(&self->out);
}

static void take_op(struct file *self) {
  self->done_id = self->op.id;
  bool elsewhere = self->op.kind == AW_FILE_SEEK && self->value >= 0;
  bool stepped = self->op.kind == AW_FILE_SET_LEN && self->undo == 0;
  self->undo = 0;
  if (elsewhere || stepped) self->in.at = self->in.len = 0, self->heard = 0;
  if (elsewhere) self->moved = true;
}

static void on_done(struct aw_work *work) {
  struct file *self = of_work(work);
  enum job job = self->busy;
  if (job == OPEN) *(self->rc < 0 ? &self->broken : &self->io.fd) = self->rc;
  else if (job == READ) take_read(self);
  else if (job == WRITE) take_write(self);
  else take_op(self);
  if (job == WRITE) aw_hold_tell(&self->hold); /* still busy: it does not end meanwhile */
  self->busy = NONE;
  if (self->halves == 0) {
    end(self);
    return;
  }
  aw_waker *reader = self->slot[AW_READ], *writer = self->slot[AW_WRITE];
  self->slot[AW_READ] = self->slot[AW_WRITE] = NULL;
  aw_slot_wake(&reader);
  aw_slot_wake(&writer);
}

/* ---- The polls ---- */

static int start(struct file *self, enum job job) {
  self->work.run = run, self->work.done = on_done;
  self->busy = job;
  int rc = aw_work_start(&self->work, self->io.reactor);
  if (rc < 0) self->busy = NONE;
  else if (job == WRITE) self->h.w.buffered = 0; /* it will be written, or warned of */
  return rc;
}

/* Until the job under way is done. */
static int park(struct file *self, int dir, aw_waker *waker) {
  int rc = aw_reactor_usable(self->io.reactor);
  if (rc < 0) return rc;
  aw_slot_park(&self->slot[dir], waker);
  return AW_PENDING;
}

static int start_and_park(struct file *self, enum job job, int dir, aw_waker *waker) {
  int rc = start(self, job);
  return rc < 0 ? rc : park(self, dir, waker);
}

/* 0 when all that was accepted is written. A failure is told once; the next call tries again (F7). */
static int poll_written(struct file *self, aw_waker *waker) {
  int failure = self->failure;
  self->failure = 0;
  if (failure) return failure;
  if (self->busy == WRITE || self->busy == OPEN) return park(self, AW_WRITE, waker);
  if (left(&self->out) == 0 || self->broken) return self->broken;
  return self->busy ? park(self, AW_WRITE, waker) : start_and_park(self, WRITE, AW_WRITE, waker);
}

static ssize_t accept_bytes(struct file *self, const uv_buf_t *bufs, unsigned nbufs) {
  struct part *out = &self->out;
  size_t total = 0;
  for (unsigned i = 0; i < nbufs && total < self->max; i++)
    total = bufs[i].len > self->max - total ? self->max : total + bufs[i].len;
  if (!reserve(out, total)) return UV_ENOMEM;
  for (size_t put = 0, n; put < total; put += n, bufs++) {
    n = bufs->len < total - put ? bufs->len : total - put;
    if (n > 0) memcpy(out->data + put, bufs->base, n);
  }
  out->len = total;
  self->undo = left(&self->in);
  self->moved = false; /* home is set where a write fails */
  int rc = start(self, WRITE);
  if (rc < 0) {
    out->len = 0;
    return rc;
  }
  self->hold.bytes = total;
  self->in.at = self->in.len = 0, self->heard = 0;
  return (ssize_t)total;
}

static ssize_t poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct file *self = of_writer(w);
  if (bufs[0].len == 0) return self->broken;
  int rc = poll_written(self, waker);
  if (rc < 0) return rc;
  return self->busy ? park(self, AW_WRITE, waker) : accept_bytes(self, bufs, nbufs);
}

static int poll_flush(aw_writer *w, aw_waker *waker) { return poll_written(of_writer(w), waker); }

static size_t hand_out(struct part *in, char *base, size_t len) {
  if (len > left(in)) len = left(in);
  memcpy(base, in->data + in->at, len);
  in->at += len;
  return len;
}

static ssize_t poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  struct file *self = of_reader(r);
  int heard = self->heard;
  if (self->busy) return park(self, AW_READ, waker);
  if (self->broken) return self->broken;
  if (left(&self->in) > 0) return (ssize_t)hand_out(&self->in, base, len);
  self->heard = 0;
  if (heard) return heard == END ? 0 : heard;
  /* A thread that waits for a pipe or a terminal could never be stopped: it is asked only when there is something. */
  if (!self->regular && poll(&(struct pollfd){.fd = self->io.fd, .events = POLLIN}, 1, 0) == 0)
    return aw_fd_wait(&self->io, AW_READ, waker);
  self->want = len < self->max ? len : self->max;
  if (!reserve(&self->in, self->want)) return UV_ENOMEM;
  self->moved = true;
  return start_and_park(self, READ, AW_READ, waker);
}

static void describe_reader(const aw_reader *r, char *text, size_t size) { describe(&of_reader(r)->h.w, text, size); }

static void drop_half(struct file *self, int dir) {
  self->halves &= ~(1u << dir);
  aw_slot_clear(&self->slot[dir]);
  if (dir == AW_READ) aw_fd_forget(&self->io, AW_READ);
  if (self->halves == 0 && !self->busy) end(self); /* else when the job is done: what was accepted is written */
}

static void destroy(aw_writer *w) { drop_half(of_writer(w), AW_WRITE); }

static void destroy_reader(aw_reader *r) { drop_half(of_reader(r), AW_READ); }

static const aw_writer_type type = {
    .name = "file",
    .vectored = AW_VECTORED_YES,
    .poll_write = poll_write,
    .poll_flush = poll_flush,
    .poll_shutdown = poll_flush,
    .describe = describe,
    .destroy = destroy,
};

static const aw_reader_type reader_type = {
    .name = "file",
    .poll_read = poll_read,
    .describe = describe_reader,
    .destroy = destroy_reader,
};

/* ---- What only files can do ---- */

static struct file *of_stream(const aw_stream *s) {
  const aw_writer *w = s->w;
  const aw_reader *r = s->r;
  while (w && w->inner) w = w->inner;
  while (r && r->inner) r = r->inner;
  if (w && w->type == &type) return of_writer(w);
  return r && r->type == &reader_type ? of_reader(r) : NULL;
}

bool aw_is_file(const aw_stream *s) { return of_stream(s) != NULL; }

int aw_file_fd(const aw_stream *s) {
  const struct file *self = of_stream(s);
  return self ? self->io.fd : -1;
}

void aw_file_set_max_buf_size(const aw_stream *s, size_t n) { of_stream(s)->max = n > 0 ? n : 1; }

int aw_file_unwritten(const aw_stream *s, uv_buf_t *bytes, int64_t *at, int *failure) {
  struct file *self = of_stream(s);
  if (self->busy) return UV_EBUSY;
  *bytes = (uv_buf_t){.base = (char *)"", .len = left(&self->out)};
  if (bytes->len > 0) bytes->base = self->out.data + self->out.at;
  *at = bytes->len > 0 ? self->home : -1;
  *failure = self->failure;
  self->failure = 0;
  return 0;
}

int aw_poll_open(const aw_stream *s, aw_waker *waker) {
  struct file *self = of_stream(s);
  if (self->busy == OPEN) return park(self, s->w ? AW_WRITE : AW_READ, waker);
  return self->broken ? self->broken : !self->regular;
}

int64_t aw_poll_file_op(const aw_stream *s, aw_waker *waker, aw_file_op *op) {
  struct file *self = of_stream(s);
  int dir = s->w ? AW_WRITE : AW_READ;
  if (op->id && op->id == self->done_id) {
    self->done_id = 0;
    return self->value;
  }
  bool sync = op->kind == AW_FILE_SYNC_ALL || op->kind == AW_FILE_SYNC_DATA;
  int rc = sync ? poll_written(self, waker) : self->broken;
  if (rc < 0) return rc;
  if (self->busy) return park(self, dir, waker);
  op->id = ++self->ids;
  self->op = *op;
  self->undo = op->kind == AW_FILE_SET_LEN ? left(&self->in) : 0;
  if (op->kind == AW_FILE_SEEK && op->whence == SEEK_CUR) self->op.offset -= (int64_t)left(&self->in);
  return start_and_park(self, OP, dir, waker);
}

static struct file *file_new(aw_reactor *reactor, int flags) {
  struct file *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  int access = flags & O_ACCMODE;
  aw_holder_init(&self->h, &type, &self->hold);
  aw_reader_init(&self->r, &reader_type, NULL);
  aw_fd_init(&self->io, reactor, -1, false);
  self->halves = (access == O_WRONLY ? 0u : READ_HALF) | (access == O_RDONLY ? 0u : WRITE_HALF);
  self->flags = flags;
  self->max = MAX_BUF;
  self->home = -1;
  return self;
}

static void hand_over(struct file *self, aw_stream *out) {
  *out =
      (aw_stream){.w = self->halves & WRITE_HALF ? &self->h.w : NULL, .r = self->halves & READ_HALF ? &self->r : NULL};
}

int aw_file_open(aw_stream *out, aw_reactor *reactor, const char *path, int flags, int mode) {
  struct file *self = file_new(reactor, flags);
  if (self == NULL) return UV_ENOMEM;
  self->path = strdup(path);
  self->mode = mode;
  int rc = self->path ? start(self, OPEN) : UV_ENOMEM;
  if (rc < 0) {
    end(self);
    return rc;
  }
  hand_over(self, out);
  return 0;
}

int aw_file_from_fd(aw_stream *out, aw_reactor *reactor, int fd) {
  int flags = fcntl(fd, F_GETFL);
  int own = flags < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return uv_translate_sys_error(errno);
  struct file *self = file_new(reactor, flags);
  if (self == NULL) {
    close(own);
    return UV_ENOMEM;
  }
  self->io.fd = own;
  self->regular = aw_disk_is_regular(own);
  hand_over(self, out);
  return 0;
}
