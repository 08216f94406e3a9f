/* SPDX-License-Identifier: MIT */
/* copy.c: a stack of reader wrappers over a reader that follows the input, a writer that does too, and the model of
 * both: byte k of the source, whoever reads it, by whatever means. */
#ifndef SOURCE_H
#define SOURCE_H

#include "fuzz.h"

enum { LAYERS = 4, SOURCE = 600, READ_MAX = 80, ROUNDS = 1 << 16 };

enum kind { BUF_READER, TAKE, INSPECT, CHECKSUM, THROTTLE, DEADLINE, CHAOS, KINDS };

struct layer {
  enum kind kind;
  aw_reader *r;
  uint64_t number; /* TAKE: bytes; DEADLINE: when */
  unsigned released;
  struct log seen;
};

struct feed {
  aw_reader r;
  aw_waker *slot;
};

static struct {
  char source[SOURCE];
  struct layer layers[LAYERS]; /* the innermost first */
  unsigned depth;
  struct feed *feed;
  size_t given; /* by the feed */
  bool ended;   /* the feed has said so */
  size_t taken; /* by who took the readers off, and had what they held */
  aw_reader *r;
  aw_writer *w;
  struct script *script;
  struct log accepted, reached;
  aw_copy *copy;
  size_t copy_size, copy_from; /* the byte of the source it began with */
  bool copy_shuts;
  bool polling; /* a poll is on the stack, or it is the end: no bomb may free anything now */
  bool reader_alive, writer_alive, always;
  struct probe *probe;
  bool waits; /* the last read was pending below a deadline, and with this many wakes of its probe: */
  unsigned wakes;
  unsigned failures; /* of memory, before this operation */
} run;

/* ---- The feed ---- */
static ssize_t poll_feed(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  unsigned byte = next();
  enum step step = byte % STEPS;
  CHECK(len >= 1);
  if (step == ZERO) run.ended = run.ended || byte / STEPS % 4 == 0;
  if (run.ended || run.given == SOURCE) {
    run.ended = true;
    return 0;
  }
  if (step != READY && step != SHORT && step != ZERO) return stall(&((struct feed *)r)->slot, waker, step);
  size_t n = SOURCE - run.given < len ? SOURCE - run.given : len;
  if (step == SHORT && 1 + byte / STEPS < n) n = 1 + byte / STEPS;
  memcpy(base, run.source + run.given, n);
  run.given += n;
  return (ssize_t)n;
}

static void destroy_feed(aw_reader *r) {
  aw_slot_clear(&((struct feed *)r)->slot);
  run.feed = NULL;
  free(r);
}

static const aw_reader_type feed_type = {
    .name = "feed", .poll_read = poll_feed, .describe = aw_reader_describe_name, .destroy = destroy_feed};

/* ---- The stack ---- */
static void see(void *data, const char *base, size_t len) {
  CHECK(len >= 1);
  append(&((struct layer *)data)->seen, base, len);
}

static void on_release(void *data) { ((struct layer *)data)->released++; }

static int wrap_chaos(aw_reader **out, aw_reader *inner, unsigned seed) {
  aw_dice *dice;
  int rc = dice_new(&dice, seed);
  if (rc < 0) return rc;
  rc = aw_chaos_reader_new(out, inner, dice);
  aw_dice_unref(dice);
  return rc;
}

static int wrap(struct layer *l, aw_reader *inner, unsigned size) {
  aw_stream out = {0};
  uint64_t now = aw_reactor_now(the_reactor());
  int rc;
  switch (l->kind) {
  case BUF_READER: return aw_buf_reader_new(&l->r, inner, 1 + size % 64);
  case TAKE: l->number = size * 8; return aw_take_new(&l->r, inner, l->number);
  case INSPECT: return aw_inspect_reader_new(&l->r, inner, (aw_inspector){.fn = see, .release = on_release, .data = l});
  case CHECKSUM: return aw_checksum_reader_new(&l->r, inner, "crc32");
  case THROTTLE: return aw_throttle_reader_new(&l->r, inner, the_reactor(), 1000 + size * 50, 1 + size);
  case DEADLINE:
    l->number = size % 4 == 0 ? AW_NEVER : now + size * MS;
    rc = aw_deadline_new(&out, (aw_stream){.r = inner}, the_reactor(), l->number);
    if (rc == 0) l->r = out.r;
    return rc;
  default: return wrap_chaos(&l->r, inner, size);
  }
}

/* A constructor that runs out of memory takes nothing over, and then it works. */
static void build(void) {
  unsigned shape = next();
  run.feed = __real_calloc(1, sizeof *run.feed);
  CHECK(run.feed != NULL);
  aw_reader_init(&run.feed->r, &feed_type, NULL);
  run.r = &run.feed->r;
  for (unsigned i = 0; i < shape % (LAYERS + 1); i++) {
    unsigned byte = next(), size = next();
    struct layer *l = &run.layers[i];
    l->kind = byte % KINDS, l->r = NULL, l->released = 0;
    log_clear(&l->seen);
    memory.fuse = byte / KINDS % 3;
    int rc = wrap(l, run.r, size);
    if (rc == UV_ENOMEM) CHECK(l->r == NULL && memory.fuse == 0);
    memory.fuse = 0;
    if (rc == UV_ENOMEM) rc = wrap(l, run.r, size);
    CHECK(rc == 0);
    run.r = l->r, run.depth++;
  }
  run.script = script_new(&run.reached, shape / 8 % 2);
  run.w = &run.script->w;
  if (shape / 16 % 2) CHECK(aw_buf_writer_new(&run.w, run.w, next()) == 0);
}

/* ---- The model ---- */
static size_t held_by(const struct layer *l) {
  size_t len = 0;
  return aw_reader_held(l->r, &len) ? len : 0;
}

/* How far into the source the layers below n have come. */
static size_t passed(unsigned n) {
  size_t held = 0;
  for (unsigned i = 0; i < n; i++) held += held_by(&run.layers[i]);
  return run.given - held;
}

static size_t position(void) { return passed(run.depth); }

/* Have the layers below n nothing more to give, ever? */
static bool at_end(unsigned n) {
  bool ended = run.ended;
  for (unsigned i = 0; i < n; i++) {
    const struct layer *l = &run.layers[i];
    if (l->kind == TAKE && *aw_take_left(l->r) == 0) ended = true;
    else if (held_by(l) > 0) ended = false;
  }
  return ended;
}

static void check_layer(struct layer *l, unsigned i) {
  size_t len = 0, out = passed(i + 1);
  uint8_t digest[AW_CHECKSUM_MAX];
  const char *held = aw_reader_held(l->r, &len);
  CHECK(held != NULL && memcmp(held, run.source + out, len) == 0);
  if (l->kind == TAKE) CHECK(l->number - *aw_take_left(l->r) == out);
  if (l->kind == INSPECT) {
    size_t known = l->seen.checked;
    CHECK(l->seen.len == out && memcmp(l->seen.data + known, run.source + known, out - known) == 0);
    l->seen.checked = out;
  }
  if (l->kind == CHECKSUM && input.left == 0) {
    CHECK(aw_checksum_reader_value(l->r, digest) == 4 && is_crc32_of(digest, run.source, out));
  }
}

static void check_state(void) {
  if (run.r)
    for (unsigned i = 0; i < run.depth; i++) check_layer(&run.layers[i], i);
  if (!run.w) return;
  check_prefix(&run.reached, &run.accepted);
  CHECK(aw_buffered(run.w) == run.accepted.len - run.reached.len);
}

static bool timed_out(void) {
  for (unsigned i = 0; i < run.depth; i++)
    if (run.layers[i].kind == DEADLINE && run.layers[i].number <= aw_reactor_now(the_reactor())) return true;
  return false;
}

static void check_failure(ssize_t rc, const struct probe *p, unsigned wakes) {
  if (rc == AW_PENDING) check_parked(p, wakes);
  else if (rc == UV_ETIMEDOUT) CHECK(timed_out());
  else if (rc == UV_ENOMEM) CHECK(memory.failures > run.failures);
  else CHECK(rc == UV_EIO);
}

#endif
