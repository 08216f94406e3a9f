/* SPDX-License-Identifier: MIT */
/* aw_copy and the readers: any sequence of reads, reads up to a delimiter and copies, on what source.h builds. After
 * each its model must hold. */
#include "source.h"

/* ---- Who frees, and when ---- */
static void free_reader(void) {
  aw_reader *r = run.r;
  run.r = NULL, run.reader_alive = false;
  aw_reader_free(r);
  for (unsigned i = 0; i < run.depth; i++) CHECK(run.layers[i].released == (run.layers[i].kind == INSPECT));
}

static void free_writer(void) {
  aw_writer *w = run.w;
  run.w = NULL, run.script = NULL, run.writer_alive = false;
  aw_writer_free(w);
}

static void on_bomb(void) {
  if (run.r && !run.polling) free_reader();
}

static void on_other_bomb(void) {
  if (run.w && !run.polling) free_writer();
}

/* The waker of the next poll: none, that of the poll before, or a new one, which may free what it was parked in. */
static struct probe *take_probe(const bool *alive, void (*bomb)(void)) {
  unsigned byte = next();
  if (byte % 4 == 0) return NULL;
  if (byte % 4 == 1 && run.probe && run.probe->alive == alive) return run.probe;
  probe_drop(&run.probe);
  return run.probe = probe_new(alive, byte / 4 % 16 == 1 ? bomb : NULL);
}

/* ---- Reads ---- */
/* Is the outermost a deadline that is over? */
static bool has_passed(void) {
  if (run.depth == 0) return false;
  const struct layer *l = &run.layers[run.depth - 1];
  return l->kind == DEADLINE && l->number <= aw_reactor_now(the_reactor());
}

static void read_some(void) {
  char buf[READ_MAX];
  struct probe *p = take_probe(&run.reader_alive, on_bomb);
  unsigned wakes = p ? p->wakes : 0;
  size_t len = next() % READ_MAX, at = position();
  ssize_t n = aw_poll_read(run.r, waker_of(p), buf, len);
  if (n < 0) check_failure(n, p, wakes);
  else CHECK((size_t)n <= len && memcmp(buf, run.source + at, (size_t)n) == 0);
  if (n == 0) CHECK(len == 0 || at_end(run.depth));
  run.waits = n == AW_PENDING && p && p->bomb == NULL;
  run.wakes = p ? p->wakes : 0;
  CHECK(n == UV_ETIMEDOUT || len == 0 || !has_passed());
  CHECK(position() == at + (n > 0 ? (size_t)n : 0));
}

static void consume(size_t n, size_t have) {
  size_t at = position();
  aw_buf_reader_consume(run.r, n);
  CHECK(position() == at + (n < have ? n : have));
}

static void fill(void) {
  const char *data = NULL;
  struct probe *p = take_probe(&run.reader_alive, on_bomb);
  unsigned wakes = p ? p->wakes : 0, more = next();
  size_t at = position(), have = 0;
  ssize_t n = aw_buf_reader_poll_fill(run.r, waker_of(p), &data);
  CHECK(position() == at);
  aw_buf_reader_data(run.r, &have);
  if (n < 0) check_failure(n, p, wakes);
  else CHECK((size_t)n == have && (n > 0 ? memcmp(data, run.source + at, have) == 0 : at_end(run.depth - 1)));
  consume(more % 32, have);
}

/* Where the first delimiter from there on ends, counted from there. */
static size_t end_of_first(size_t at, const char *delim, size_t dlen) {
  const char *hit = memmem(run.source + at, SOURCE - at, delim, dlen);
  return hit ? (size_t)(hit - run.source) - at + dlen : SIZE_MAX;
}

static void read_until(void) {
  static const char delims[][3] = {"\n", ";", "\r\n", ";\n"};
  struct probe *p = take_probe(&run.reader_alive, on_bomb);
  unsigned wakes = p ? p->wakes : 0, how = next();
  const char *delim = delims[how % 4], *data = NULL;
  size_t max = 1 + next(), at = position(), dlen = strlen(delim), have = 0;
  ssize_t n = aw_buf_reader_poll_until(run.r, waker_of(p), delim, dlen, max, &data);
  size_t end = end_of_first(at, delim, dlen);
  CHECK(position() == at);
  aw_buf_reader_data(run.r, &have);
  if (n >= 0) {
    CHECK((size_t)n <= have && (size_t)n <= max && memcmp(data, run.source + at, (size_t)n) == 0);
    CHECK((size_t)n == end || ((size_t)n == have && end > have && at_end(run.depth - 1)));
    consume(how / 4 % 3 == 0 ? (size_t)n : how / 16, have);
  } else if (n == UV_EMSGSIZE) {
    CHECK(have >= max && end > max);
    consume(how / 4 % 3 == 0 ? have : how / 16, have);
  } else {
    CHECK(have < max && end > have); /* else it was there already */
    check_failure(n, p, wakes);
  }
}

/* The outermost comes off, and what it held is handed out (B5). */
static void take_off(void) {
  size_t len = 0, at = position();
  if (run.depth == 0) return;
  struct layer *l = &run.layers[--run.depth];
  const char *held = aw_reader_held(run.r, &len);
  CHECK(held != NULL && memcmp(held, run.source + at, len) == 0);
  aw_reader *inner = run.r->inner;
  run.r->inner = NULL;
  aw_reader_free(run.r);
  CHECK(l->released == (l->kind == INSPECT));
  run.r = inner;
  CHECK(position() == at + len);
}

/* ---- Copies ---- */
static void end_copy(void) {
  aw_copy_free(run.copy);
  run.copy = NULL;
}

static void start_copy(unsigned byte) {
  run.copy_size = 1 + byte % 64, run.copy_shuts = byte / 64 == 3, run.copy_from = position();
  CHECK(aw_copy_new(&run.copy, run.copy_size, run.copy_shuts) == 0);
}

/* Everything went through (A7), and the writer is as it should be. */
static void check_copied(uint64_t total, bool was_shut) {
  CHECK(at_end(run.depth) && run.copy_from + total == position());
  CHECK(run.reached.len == run.accepted.len && run.script->flushes > 0);
  CHECK(aw_is_shutdown(run.w) == (run.copy_shuts || was_shut));
}

/* The reader stalls: what was written does not stay in a buffer meanwhile (A7). */
static void check_stalled(const struct probe *p) {
  CHECK((run.script->flushes > 0 && aw_buffered(run.w) == 0) || run.script->slot == &p->waker);
}

static int poll_copy(void) {
  struct probe *p = take_probe(&run.always, run.copy_size % 2 ? on_bomb : on_other_bomb);
  unsigned wakes = p ? p->wakes : 0;
  uint64_t before = aw_copy_total(run.copy);
  bool was_shut = aw_is_shutdown(run.w);
  int rc = aw_poll_copy(run.copy, run.r, run.w, waker_of(p));
  uint64_t total = aw_copy_total(run.copy);
  append(&run.accepted, run.source + run.copy_from + before, total - before);
  CHECK(run.copy_from + total <= position() && position() - run.copy_from - total <= run.copy_size);
  if (rc == 0) check_copied(total, was_shut);
  else if (rc == UV_EPIPE) CHECK(was_shut);
  else if (rc != AW_EWRITEZERO) check_failure(rc, p, wakes);
  bool waits = rc == AW_PENDING && p && p->wakes == wakes;
  if (waits && total > 0 && run.copy_from + total == position()) check_stalled(p);
  return rc;
}

static void copy(void) {
  if (run.copy == NULL) start_copy(next());
  int rc = poll_copy();
  check_state(); /* with what it holds, before it goes */
  if (rc == 0 && next() % 2) rc = poll_copy();
  if (rc == 0 || next() % 32 == 1) end_copy();
}

/* ---- Sequences ---- */
static void wake_both(void) {
  if (run.feed) aw_slot_wake(&run.feed->slot);
  if (run.script) aw_slot_wake(&run.script->slot);
}

static void jump(void) {
  aw_reactor_jump(the_reactor());
  if (run.r && run.waits && has_passed()) CHECK(run.probe->wakes > run.wakes);
}

static bool on_buffer(void) { return run.r && aw_is_buf_reader(run.r) && run.copy == NULL; }

static void operate(void) {
  unsigned byte = next();
  run.failures = memory.failures;
  if (byte / 16 == 1) memory.fuse = 1 + byte % 2;
  if (byte % 8 != 4 && byte % 8 != 5) run.waits = false;
  run.polling = byte % 8 != 4 && byte % 8 != 5;
  switch (byte % 8) {
  case 0:
  case 1:
    if (on_buffer()) read_until();
    break;
  case 2:
    if (on_buffer()) fill();
    break;
  case 3:
    if (run.r && run.copy == NULL) read_some();
    break;
  case 4: wake_both(); break;
  case 5: jump(); break;
  case 6:
    if (byte / 8 % 8 == 1 && run.r && run.copy == NULL) take_off();
    break;
  default:
    if (run.r && run.w) copy();
  }
  run.polling = false;
  memory.fuse = 0;
  check_state();
}

/* From here on both leaves are ready: all that is left goes through, whatever is waited for on the way comes, and who
 * waits is told (W1). */
static void finish(void) {
  if (!run.r || !run.w || (aw_is_shutdown(run.w) && run.copy == NULL)) return;
  run.polling = true;
  if (run.copy == NULL) start_copy(63);
  for (unsigned round = 0;; round++) {
    CHECK(round < ROUNDS);
    probe_drop(&run.probe);
    run.probe = probe_new(&run.always, NULL);
    uint64_t before = aw_copy_total(run.copy);
    int rc = aw_poll_copy(run.copy, run.r, run.w, &run.probe->waker);
    append(&run.accepted, run.source + run.copy_from + before, aw_copy_total(run.copy) - before);
    check_state();
    if (rc == UV_ETIMEDOUT || rc == UV_EPIPE) {
      CHECK(rc == UV_EPIPE ? aw_is_shutdown(run.w) : timed_out());
      return;
    }
    CHECK(rc == 0 || rc == AW_PENDING || rc == UV_EIO); /* of chaos, which goes on by its dice */
    if (rc == 0) break;
    if (rc == AW_PENDING) wake_both();
    while (rc == AW_PENDING && run.probe->wakes == 0) CHECK(aw_reactor_jump(the_reactor()));
  }
  check_copied(aw_copy_total(run.copy), aw_is_shutdown(run.w));
}

/* Rich in delimiters, of two bytes too. */
static void make_source(void) {
  for (size_t k = 0; k < SOURCE; k++) run.source[k] = byte_at(k);
  for (size_t k = 0; k + 1 < SOURCE; k++)
    if (byte_at(k + SOURCE) == '\n') run.source[k] = k & 8 ? ';' : '\r', run.source[k + 1] = '\n';
}

static void start(const uint8_t *data, size_t size) {
  input.at = data, input.left = size;
  memset(&memory, 0, sizeof memory);
  if (run.source[0] == 0) make_source();
  run.depth = 0, run.given = 0, run.ended = run.polling = false;
  log_clear(&run.accepted), log_clear(&run.reached);
  run.reader_alive = run.writer_alive = run.always = true, run.waits = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  start(data, size);
  build();
  bool abrupt = next() % 4 == 1; /* freed as it is, with wakers parked and bytes held back */
  while (input.left > 0) operate();
  if (!abrupt) finish();
  end_copy();
  if (run.r) free_reader();
  if (run.w) free_writer();
  probe_drop(&run.probe);
  CHECK(aw_reactor_waiting(the_reactor()) == 0);
  return 0;
}
