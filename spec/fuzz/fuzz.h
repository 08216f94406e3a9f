/* SPDX-License-Identifier: MIT */
/* What the targets share: the input, logs of bytes, wakers that belong to one poll, memory that runs out, time that
 * stands still. Each target is one program that includes this once. */
#ifndef FUZZ_H
#define FUZZ_H

#include "asyncwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(truth) ((truth) ? (void)0 : failed(__FILE__, __LINE__, #truth))

static inline void failed(const char *file, int line, const char *truth) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, truth);
  abort();
}

/* ---- The input ---- */
static struct {
  const uint8_t *at;
  size_t left;
} input;

/* The next byte; 0 at the end. */
static inline unsigned next(void) { return input.left > 0 ? input.left--, *input.at++ : 0; }

/* ---- Bytes ---- */
enum { ROOM = 1 << 14 };

struct log {
  size_t len;
  size_t checked; /* up to here it is known to agree with the model */
  char data[ROOM];
};

static inline void log_clear(struct log *log) { log->len = log->checked = 0; }

static inline void append(struct log *log, const char *base, size_t len) {
  CHECK(len <= ROOM - log->len);
  if (len > 0) memcpy(log->data + log->len, base, len);
  log->len += len;
}

/* The log is a prefix of the model's. */
static inline void check_prefix(struct log *log, const struct log *model) {
  CHECK(log->len <= model->len);
  CHECK(memcmp(log->data + log->checked, model->data + log->checked, log->len - log->checked) == 0);
  log->checked = log->len;
}

/* Byte k of everything that is ever sent: no two stretches are alike, and one in eight is a newline. */
static inline char byte_at(size_t k) {
  size_t mixed = k * 2654435761u;
  return (char)(mixed >> 8 & 7 ? mixed >> 11 : '\n');
}

/* As the checksum wrapper's "crc32" should be, bit by bit. */
static inline uint32_t crc32_of(const char *data, size_t len) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < len; i++) {
    crc ^= (uint8_t)data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static inline bool is_crc32_of(const uint8_t value[4], const char *data, size_t len) {
  uint32_t crc = crc32_of(data, len);
  for (int i = 0; i < 4; i++)
    if (value[i] != (uint8_t)(crc >> (24 - 8 * i))) return false;
  return true;
}

/* ---- Memory: the targets are linked with --wrap for these ---- */
static struct {
  unsigned fuse;     /* the allocation that fails, counted from 1; 0: none */
  unsigned failures; /* until now */
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static inline bool runs_out(void) {
  if (memory.fuse == 0 || --memory.fuse > 0) return false;
  memory.failures++;
  return true;
}

void *__wrap_malloc(size_t size) { return runs_out() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return runs_out() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *old, size_t size) { return runs_out() ? NULL : __real_realloc(old, size); }

/* ---- Wakers: one per poll, as a rule, so that a poll that parks nothing is found at once (W1). From the heap, so that
 * one that is never let go of is a leak. ---- */
struct probe {
  aw_waker waker;
  unsigned wakes;
  const bool *alive;  /* of the object it waits for: after destroy no wake ever comes */
  void (*bomb)(void); /* what else it does when it fires; or NULL */
};

static inline void on_probe_wake(aw_waker *waker) {
  struct probe *p = (struct probe *)waker;
  CHECK(*p->alive);
  p->wakes++;
  if (p->bomb) p->bomb();
}

static inline void on_probe_free(aw_waker *waker) { free(waker); }

static inline struct probe *probe_new(const bool *alive, void (*bomb)(void)) {
  static const aw_waker_type type = {.wake = on_probe_wake, .free = on_probe_free};
  struct probe *p = __real_calloc(1, sizeof *p);
  CHECK(p != NULL);
  aw_waker_init(&p->waker, &type);
  p->alive = alive, p->bomb = bomb;
  return p;
}

static inline aw_waker *waker_of(struct probe *p) { return p ? &p->waker : NULL; }

static inline void probe_drop(struct probe **p) {
  if (*p) aw_waker_unref(&(*p)->waker);
  *p = NULL;
}

/* Pending: this waker is parked somewhere, or was woken since (P2, W1). */
static inline void check_parked(const struct probe *p, unsigned wakes) {
  CHECK(p == NULL || p->waker.refs > 1 || p->wakes > wakes);
}

/* ---- Time ---- */
#define MS 1000000u

/* One reactor for all runs: it stands still, and a target moves it on by aw_reactor_jump. */
static inline aw_reactor *the_reactor(void) {
  static aw_reactor *reactor;
  if (reactor == NULL) {
    CHECK(aw_reactor_new(&reactor, NULL) == 0);
    aw_reactor_pause(reactor);
  }
  return reactor;
}

/* The dice of the chaos wrappers: all that ends, in equal parts. */
static inline int dice_new(aw_dice **out, unsigned seed) {
  aw_chaos_profile profile = {.max_late = 3, .error = UV_EIO, .fatal = UV_EIO};
  for (unsigned verb = AW_CHAOS_SHORT; verb <= AW_CHAOS_ERROR; verb++) profile.percent[verb] = 8;
  return aw_dice_new(out, the_reactor(), seed, &profile);
}

/* ---- A leaf within the contract that otherwise does as the input says. At the input's end: ready, and all. ---- */
enum step { READY, SHORT, PARK, WAKE_AT_ONCE, ZERO, FAIL, STEPS };

/* What a poll that is not ready answers. */
static inline int stall(aw_waker **slot, aw_waker *waker, enum step step) {
  if (step == FAIL) return UV_EIO;
  aw_slot_park(slot, waker);
  if (step == WAKE_AT_ONCE) aw_slot_wake(slot);
  return AW_PENDING;
}

struct script {
  aw_writer w;
  aw_waker *slot;
  struct log *log;
  unsigned polls, flushes; /* flushes: Ready ones since the last byte */
};

static inline ssize_t script_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs) {
  struct script *self = (struct script *)w;
  size_t total = 0, n;
  self->polls++;
  CHECK(nbufs >= 1);
  for (unsigned i = 0; i < nbufs; i++) total += bufs[i].len;
  if (total == 0) return 0;
  unsigned byte = next();
  enum step step = byte % STEPS;
  if (step == ZERO) return 0;
  if (step != READY && step != SHORT) return stall(&self->slot, waker, step);
  n = step == SHORT && 1 + byte / STEPS < total ? 1 + byte / STEPS : total;
  self->flushes = 0;
  for (size_t left = n; left > 0; bufs++) {
    size_t part = bufs->len < left ? bufs->len : left;
    append(self->log, bufs->base, part);
    left -= part;
  }
  return (ssize_t)n;
}

static inline int script_end(aw_writer *w, aw_waker *waker) {
  struct script *self = (struct script *)w;
  self->polls++;
  enum step step = next() % STEPS;
  if (step == PARK || step == WAKE_AT_ONCE || step == FAIL) return stall(&self->slot, waker, step);
  self->flushes++;
  return 0;
}

static inline void script_destroy(aw_writer *w) {
  aw_slot_clear(&((struct script *)w)->slot);
  free(w);
}

#define SCRIPT_TYPE(how)                                                                                               \
  {                                                                                                                    \
    .name = "script", .vectored = (how), .poll_write = script_write, .poll_flush = script_end,                         \
    .poll_shutdown = script_end, .describe = aw_describe_name, .destroy = script_destroy,                              \
  }

static inline struct script *script_new(struct log *log, bool vectored) {
  static const aw_writer_type types[] = {SCRIPT_TYPE(AW_VECTORED_NO), SCRIPT_TYPE(AW_VECTORED_YES)};
  struct script *self = __real_calloc(1, sizeof *self);
  CHECK(self != NULL);
  aw_writer_init(&self->w, &types[vectored], NULL);
  self->log = log;
  return self;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
