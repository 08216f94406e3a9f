/* SPDX-License-Identifier: MIT */
/* Any sequence of polls on any stack of up to three wrappers, over a leaf that follows the input too, against a model:
 * the bytes that writes have accepted, and those that the leaf has taken. What does not agree aborts. */
#include "fuzz.h"

enum { LAYERS = 3, BUFS = 4, BUF_MAX = 32 };

struct counter {
  aw_waker waker;
  unsigned wakes;
};

/* One run: the model, and what was built. */
static struct {
  struct log offered, accepted, reached, seen[LAYERS];
  unsigned inspectors;
  uint64_t limit; /* the least of the stack */
  bool checksum;  /* is outermost */
  bool lines;     /* a line_writer: an empty write sends the line it holds, and tells if that fails */
  bool shutting, shut;
  struct counter counters[2];
  struct script *leaf;
  aw_writer *top;
} run;

/* ---- The stack ---- */
static void see(void *data, const char *base, size_t len) {
  CHECK(len >= 1);
  append(data, base, len);
}

static int wrap(aw_writer **out, aw_writer *inner, unsigned kind, unsigned size) {
  run.checksum = kind == 3;
  if (kind == 1) run.lines = true;
  switch (kind) {
  case 0: return aw_buf_writer_new(out, inner, size);
  case 1: return aw_line_writer_new(out, inner, size);
  case 2:
    if (size < run.limit) run.limit = size;
    return aw_limit_new(out, inner, size);
  case 3: return aw_checksum_new(out, inner, "crc32");
  default: return aw_inspect_new(out, inner, (aw_inspector){.fn = see, .data = &run.seen[run.inspectors++]});
  }
}

static void build(void) {
  unsigned shape = next(), layers = shape / 2 % (LAYERS + 1);
  run.leaf = script_new(&run.reached, shape % 2);
  run.top = &run.leaf->w;
  for (unsigned i = 0; i < layers; i++) {
    unsigned kind = next() % 5, size = next();
    CHECK(wrap(&run.top, run.top, kind, size) == 0);
  }
}

/* ---- Operations, each followed by a look at the whole ---- */
static void check_state(void) {
  CHECK(run.reached.len <= run.accepted.len);
  CHECK(memcmp(run.reached.data, run.accepted.data, run.reached.len) == 0);
  CHECK(aw_buffered(run.top) == run.accepted.len - run.reached.len);
  CHECK(run.reached.len <= run.limit);
  CHECK(aw_is_shutdown(run.top) == run.shutting);
  for (unsigned i = 0; i < run.inspectors; i++) {
    const struct log *seen = &run.seen[i];
    CHECK(seen->len >= run.reached.len && seen->len <= run.accepted.len);
    CHECK(memcmp(seen->data, run.accepted.data, seen->len) == 0);
  }
}

/* Pending: the waker of this poll is parked at the leaf, or was woken meanwhile (P2, W1). */
static void check_failure(ssize_t rc, const struct counter *counter, unsigned wakes) {
  if (rc == AW_PENDING) CHECK(counter == NULL || run.leaf->slot == &counter->waker || counter->wakes > wakes);
  else CHECK(rc == UV_EIO || rc == AW_EWRITEZERO);
}

/* Bytes that were never offered before: a retry may come with other content (P9). */
static size_t offer(uv_buf_t *bufs, unsigned nbufs) {
  size_t start = run.offered.len;
  for (unsigned i = 0; i < nbufs; i++) {
    char *base = run.offered.data + run.offered.len;
    size_t len = next() % BUF_MAX;
    for (size_t k = 0; k < len; k++) base[k] = byte_at(run.offered.len + k);
    bufs[i] = (uv_buf_t){.base = len > 0 ? base : NULL, .len = len};
    run.offered.len += len;
  }
  return run.offered.len - start;
}

static void write_some(struct counter *counter, unsigned nbufs) {
  uv_buf_t bufs[BUFS];
  unsigned wakes = counter ? counter->wakes : 0;
  if (ROOM - run.offered.len < BUFS * BUF_MAX) return;
  const char *start = run.offered.data + run.offered.len;
  size_t total = offer(bufs, nbufs);
  const aw_waker *parked = run.leaf->slot;
  ssize_t n = aw_poll_write(run.top, counter ? &counter->waker : NULL, bufs, nbufs);
  if (run.shutting) CHECK(n == UV_EPIPE); /* S6 */
  else if (total == 0)                    /* P5: at once, and nothing is parked */
    CHECK((n == 0 || (run.lines && (n == UV_EIO || n == AW_EWRITEZERO))) &&
          (run.leaf->slot == NULL || run.leaf->slot == parked));
  else if (n < 0) check_failure(n, counter, wakes);
  else CHECK((size_t)n <= total); /* P1 */
  if (n > 0) append(&run.accepted, start, (size_t)n);
}

static void flush(struct counter *counter) {
  unsigned wakes = counter ? counter->wakes : 0;
  int rc = aw_poll_flush(run.top, counter ? &counter->waker : NULL);
  if (rc != 0) check_failure(rc, counter, wakes);
  else CHECK(run.reached.len == run.accepted.len); /* F1 */
}

static void shut_down(struct counter *counter) {
  unsigned wakes = counter ? counter->wakes : 0, polls = run.leaf->polls;
  run.shutting = true;
  int rc = aw_poll_shutdown(run.top, counter ? &counter->waker : NULL);
  if (run.shut) CHECK(rc == 0 && run.leaf->polls == polls); /* S4 */
  else if (rc != 0) check_failure(rc, counter, wakes);
  else CHECK(run.reached.len == run.accepted.len); /* S1 */
  if (rc == 0) run.shut = true;
}

static void operate(void) {
  unsigned byte = next(), who = byte / 8 % 3;
  struct counter *counter = who < 2 ? &run.counters[who] : NULL;
  switch (byte % 8) {
  case 0: flush(counter); break;
  case 1: aw_slot_wake(&run.leaf->slot); break;
  case 2:
    if (byte / 24 % 4 == 0) shut_down(counter); /* rare, so that most of a sequence comes before */
    break;
  default: write_some(counter, byte % 8 - 3); break;
  }
  check_state();
}

/* The leaf is ready now, for good: what was accepted goes through, unless a limit is in its way. */
static void finish(void) {
  if (run.limit < UINT64_MAX) return;
  flush(&run.counters[0]);
  CHECK(run.reached.len == run.accepted.len);
  shut_down(&run.counters[0]);
  CHECK(run.shut);
  check_state();
}

static void check_checksum(void) {
  uint8_t value[AW_CHECKSUM_MAX];
  CHECK(aw_checksum_value(run.top, value) == 4 && is_crc32_of(value, run.accepted.data, run.accepted.len));
}

static void wake(aw_waker *waker) { ((struct counter *)waker)->wakes++; }

static void keep(aw_waker *waker) { (void)waker; }

static const aw_waker_type counter_type = {.wake = wake, .free = keep};

static void start(const uint8_t *data, size_t size) {
  input.at = data, input.left = size;
  run.offered.len = run.accepted.len = run.reached.len = 0;
  for (unsigned i = 0; i < LAYERS; i++) run.seen[i].len = 0;
  run.inspectors = 0, run.limit = UINT64_MAX;
  run.checksum = run.lines = run.shutting = run.shut = false;
  for (unsigned i = 0; i < 2; i++) {
    aw_waker_init(&run.counters[i].waker, &counter_type);
    run.counters[i].wakes = 0;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  start(data, size);
  build();
  bool abrupt = next() % 4 == 1; /* freed as it is, with a waker parked and bytes held back */
  while (input.left > 0) operate();
  if (!abrupt) finish();
  if (run.checksum) check_checksum();
  unsigned wakes = run.counters[0].wakes + run.counters[1].wakes;
  aw_writer_free(run.top);
  CHECK(run.counters[0].wakes + run.counters[1].wakes == wakes);
  CHECK(run.counters[0].waker.refs == 1 && run.counters[1].waker.refs == 1);
  return 0;
}
