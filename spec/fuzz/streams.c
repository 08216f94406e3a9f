/* SPDX-License-Identifier: MIT */
/* Any sequence of operations on a stack of wrappers over what really takes bytes, alone or several behind a tee, with
 * readers on the other end: memory may run out, peers close, wakers free things, wrappers are taken off, everything is
 * freed at any moment. After each the model of stack.h must hold. */
#include "stack.h"

/* ---- Who frees, and when ---- */
static void check_released(const struct layer *l) { CHECK(l->released == (l->kind == INSPECT || l->kind == PROGRESS)); }

static void note_finals(void) {
  look_for_dropped();
  for (unsigned i = 0; i < run.leaf_count; i++) {
    struct leaf *f = &run.leaves[i];
    if (f->w) f->final = given(i);
    f->w = NULL;
  }
}

static void free_chain(void) {
  aw_writer *top = run.top;
  run.closing = true;
  check_state();
  note_finals();
  run.top = run.tee = NULL;
  aw_writer_free(top);
  run.alive = false;
  for (unsigned i = 0; i < run.depth; i++) check_released(&run.layers[i]);
  run.depth = 0;
}

static void free_peer(struct leaf *f) {
  aw_reader *reader = f->reader;
  if (reader == NULL) return;
  f->reader = NULL, f->reader_gone = true, f->reader_alive = false;
  run.giving_back = true;
  aw_reader_free(reader);
  run.giving_back = false;
}

/* Parked in the chain: when it fires, the chain goes, unless a poll of it is on the stack. */
static void on_bomb(void) {
  if (run.top && !run.polling) free_chain();
}

/* Parked in a reader: it frees what it waits for, from inside the poll that wrote to it. */
static void on_peer_bomb(void) {
  for (unsigned i = 0; i < run.leaf_count; i++) free_peer(&run.leaves[i]);
}

static struct probe *take_probe(struct probe **last, const bool *alive, void (*bomb)(void)) {
  unsigned byte = next();
  if (byte % 4 == 0) return NULL;
  if (byte % 4 == 1 && *last && (*last)->alive == alive) return *last;
  probe_drop(last);
  return *last = probe_new(alive, byte / 4 % 16 == 1 ? bomb : NULL);
}

/* ---- Operations ---- */
static bool may_fail(ssize_t rc) {
  bool out = memory.failures > run.failures || (run.tee && run.starved);
  switch (rc) {
  case UV_EIO: return has(CHAOS) || has_leaf(SCRIPT);
  case AW_EWRITEZERO: return has(CHAOS) || has(LIMIT) || has_leaf(SCRIPT) || has_leaf(CURSOR);
  case UV_EPIPE: return lost_reader();
  case UV_ENOBUFS: return has_leaf(MEMORY);
  case UV_ETIMEDOUT: return timed_out();
  case UV_ENOMEM: return out;
  default: return false;
  }
}

static void check_failure(ssize_t rc, const struct probe *p, unsigned wakes) {
  if (memory.failures > run.failures) run.starved = true;
  if (rc != AW_PENDING) {
    CHECK(may_fail(rc));
    return;
  }
  check_parked(p, wakes);
  CHECK(!has_passed());
  run.waits = p != NULL && p->bomb == NULL;
  run.wakes = p ? p->wakes : 0;
  if (run.waits && is_deadline() && run.layers[run.depth - 1].number != AW_NEVER)
    CHECK(aw_reactor_waiting(the_reactor()) > 0);
}

/* Bytes that were never offered before: a retry may come with other content (P9). */
static size_t offer(uv_buf_t *bufs, unsigned nbufs, char *room) {
  size_t total = 0;
  for (unsigned i = 0; i < nbufs; i++) {
    size_t len = next() % BUF_MAX;
    for (size_t k = 0; k < len; k++) room[total + k] = byte_at(run.offered + total + k);
    bufs[i] = (uv_buf_t){.base = len > 0 ? room + total : NULL, .len = len};
    total += len;
  }
  run.offered += total;
  return total;
}

static void write_some(unsigned nbufs) {
  uv_buf_t bufs[BUFS];
  char room[BUFS * BUF_MAX];
  struct probe *p = take_probe(&run.probe, &run.alive, on_bomb);
  unsigned wakes = p ? p->wakes : 0;
  size_t total = offer(bufs, nbufs, room);
  if (run.accepted.len + total > OFFERED) return;
  ssize_t n = aw_poll_write(run.top, waker_of(p), bufs, nbufs);
  if (run.shutting) CHECK(n == UV_EPIPE); /* S6 */
  else if (n < 0) check_failure(n, p, wakes);
  else CHECK((size_t)n <= total && !has_passed()); /* P1 */
  if (total == 0) CHECK(n != AW_PENDING);          /* P5 */
  if (n > 0) append(&run.accepted, room, (size_t)n);
}

/* Everything that can still be reached has everything. */
static void check_delivered(void) {
  CHECK(aw_buffered(run.top) == 0);
  check_state();
}

static int flush(struct probe *p) {
  unsigned wakes = p ? p->wakes : 0;
  int rc = aw_poll_flush(run.top, waker_of(p));
  if (rc != 0) check_failure(rc, p, wakes);
  else check_delivered(); /* F1 */
  CHECK(rc != 0 || !has_passed());
  return rc;
}

static int shut_down(struct probe *p) {
  unsigned wakes = p ? p->wakes : 0;
  run.shutting = true;
  int rc = aw_poll_shutdown(run.top, waker_of(p));
  if (run.shut) CHECK(rc == 0); /* S4 */
  else if (rc != 0) check_failure(rc, p, wakes);
  if (rc != 0) return rc;
  run.shut = true;
  check_delivered(); /* S1 */
  for (unsigned i = 0; i < run.depth; i++)
    if (run.layers[i].kind == PROGRESS) CHECK(run.layers[i].ended == 1 && run.layers[i].told == passed(i));
  return 0;
}

/* A pipe gives all it has, up to what is asked for: what was put in, in that order, and the end only after it (S8). */
static void read_peer(struct leaf *f, unsigned i, size_t len) {
  char buf[256];
  if (f->reader == NULL) return;
  struct probe *p = take_probe(&run.read_probe, &f->reader_alive, on_peer_bomb);
  unsigned wakes = p ? p->wakes : 0;
  bool open = run.top && f->w, counted = open || f->final != SIZE_MAX;
  size_t put = open ? given(i) : f->final;
  bool ended = !open || aw_is_shutdown(f->w);
  run.giving_back = true;
  ssize_t n = aw_poll_read(f->reader, waker_of(p), buf, len);
  run.giving_back = false;
  if (n > 0) append(&f->got, buf, (size_t)n);
  if (len == 0) CHECK(n == 0);
  else if (n == AW_PENDING) {
    CHECK(open && !ended && put == f->got.len);
    if (f->reader) check_parked(p, wakes);
  } else if (counted) {
    size_t left = put - (f->got.len - (size_t)n);
    CHECK(n >= 0 && (size_t)n == (left < len ? left : len) && (n > 0 || ended));
  }
  check_prefix(&f->got, &run.accepted);
}

/* The outermost comes off, and what it held is handed out: it was the last that was accepted (B5). */
static void take_off(void) {
  size_t len = 0;
  if (run.depth == 0) return;
  struct layer *l = &run.layers[run.depth - 1];
  const char *held = aw_held(run.top, &len);
  CHECK(held != NULL && len == run.top->buffered);
  CHECK(memcmp(held, run.accepted.data + run.accepted.len - len, len) == 0);
  aw_writer *inner = run.top->inner;
  if (run.shut) CHECK(aw_is_shutdown(inner)); /* S2 */
  run.top->inner = NULL;
  aw_writer_free(run.top);
  check_released(l);
  run.accepted.len -= len;
  run.depth--, run.top = inner, run.shutting = aw_is_shutdown(inner);
}

/* The outermost deadline has passed or was moved: who waits has been told. */
static void check_told(void) {
  if (run.top && run.waits && is_deadline()) CHECK(run.probe->wakes > run.wakes);
}

static void move_deadline(unsigned byte) {
  aw_deadline *deadline = aw_deadline_find(&(aw_stream){.w = run.top});
  if (deadline == NULL) return;
  struct layer *l = &run.layers[run.depth - 1];
  while (l->kind != DEADLINE) l--;
  l->number = byte % 4 == 0 ? AW_NEVER : aw_reactor_now(the_reactor()) + byte / 4 * MS;
  aw_deadline_set(deadline, l->number); /* who waits may free it all */
  check_told();
}

/* A tee comes apart: each branch goes on alone, less what it has not taken yet. */
static void take_apart(void) {
  aw_writer *branches[LEAVES], *tee = run.tee;
  size_t len = 0, most = 0;
  if (run.depth > 0 || tee == NULL) return;
  CHECK(aw_held(tee, &len) != NULL);
  for (unsigned i = 0; i < run.leaf_count; i++) {
    aw_tee_branch look = aw_tee_look(tee, i);
    branches[i] = look.w;
    if (look.w && look.len > most) most = look.len;
  }
  CHECK(len == most);
  note_finals();
  run.top = run.tee = NULL;
  aw_tee_release(tee);
  for (unsigned i = 0; i < run.leaf_count; i++) aw_writer_free(branches[i]);
  run.alive = false;
}

/* What nothing was written to stays silent (W4); texts end where they must. */
static void look_around(size_t size) {
  char text[64], byte;
  memset(text, 'x', sizeof text);
  aw_describe(run.top, text, size);
  CHECK(size == 0 ? text[0] == 'x' : memchr(text, 0, size) != NULL);
  for (unsigned i = 0; i < run.leaf_count; i++)
    if (run.leaves[i].kind == DUPLEX) CHECK(aw_poll_read(run.leaves[i].back_r, NULL, &byte, 1) == AW_PENDING);
}

static void jump(void) {
  aw_reactor_jump(the_reactor());
  if (has_passed()) check_told();
}

static void wake_scripts(void) {
  for (unsigned i = 0; run.top && i < run.leaf_count; i++)
    if (run.leaves[i].kind == SCRIPT && run.leaves[i].w) aw_slot_wake(&((struct script *)run.leaves[i].w)->slot);
}

static void read_neighbour(size_t len) {
  char buf[256];
  run.giving_back = true;
  ssize_t n = aw_poll_read(run.neighbour.r, NULL, buf, len);
  run.giving_back = false;
  size_t all = run.neighbour_holds < len ? run.neighbour_holds : len;
  CHECK(n == (all || len == 0 ? (ssize_t)all : AW_PENDING));
  run.neighbour_holds -= all;
}

/* Takes room from the stack, or gives some back, which wakes who waits there. */
static void operate_on_neighbour(unsigned arg) {
  char buf[256] = {0};
  unsigned len = next();
  if (run.group == NULL) return;
  run.giving_back = true;
  if (arg == 15) aw_budget_set_limit(run.group, len % 4 ? 1 + len / 4 : AW_UNLIMITED);
  run.giving_back = false;
  if (arg < 12) {
    ssize_t n = aw_poll_write(run.neighbour.w, NULL, &(uv_buf_t){.base = buf, .len = len}, 1);
    CHECK(n >= 0 || n == AW_PENDING || (n == UV_ENOMEM && memory.failures > run.failures));
    if (n > 0) run.neighbour_holds += (size_t)n;
  } else if (arg < 15) read_neighbour(len);
}

/* To the end of what there is. */
static void drain(struct leaf *f, unsigned i) {
  for (size_t before = SIZE_MAX; f->reader && f->got.len != before;) {
    before = f->got.len;
    read_peer(f, i, 64);
  }
}

static void drain_peers(void) {
  for (unsigned i = 0; i < run.leaf_count; i++) drain(&run.leaves[i], i);
}

/* Operations on the chain itself. Rare ones have one value of arg, so that most of a sequence comes before them. */
static void operate_on_chain(unsigned op, unsigned arg) {
  run.polling = op <= 7;
  if (op != 8) run.waits = false;
  if (op <= 5) write_some(arg % (BUFS + 1));
  else if (op == 6) flush(take_probe(&run.probe, &run.alive, on_bomb));
  else if (op == 7 && arg == 1) shut_down(take_probe(&run.probe, &run.alive, on_bomb));
  else if (op == 8) move_deadline(next());
  else if (op == 9 && arg == 1) take_off();
  else if (op == 9 && arg == 2) take_apart();
  else if (op == 9 && arg == 3) free_chain();
  else if (op == 9) look_around(arg * 4);
  run.polling = false;
}

static void operate(void) {
  unsigned byte = next(), op = byte % 16, arg = byte / 16;
  run.failures = memory.failures;
  if (op == 15) memory.fuse = 1 + arg % 3, byte = next(), op = byte % 16, arg = byte / 16;
  if (op <= 9 && run.top) operate_on_chain(op, arg);
  else if (op == 10 || op == 11) read_peer(&run.leaves[arg % run.leaf_count], arg % run.leaf_count, next() % 256);
  else if (op == 12 && arg < run.leaf_count) free_peer(&run.leaves[arg]);
  else if (op == 13) jump();
  else if (op == 14 && arg < 8) wake_scripts();
  else if (op == 14) operate_on_neighbour(arg);
  memory.fuse = 0;
  if (memory.failures > run.failures) run.starved = true;
  check_state();
}

/* Will no patience help? */
static bool is_final(int rc) {
  if (rc == AW_EWRITEZERO) return has(LIMIT) || has_leaf(CURSOR);
  return rc == UV_EPIPE || rc == UV_ENOBUFS || rc == UV_ETIMEDOUT;
}

/* Whoever makes one wait goes on from here: the scripts are ready, the readers read, time passes. Then all goes
 * through, and who waits is told (W1). */
static void finish(void) {
  bool flushed = false;
  run.polling = true;
  run.failures = memory.failures;
  if (run.group) read_neighbour(256);
  for (unsigned round = 0; run.top && !run.shut; round++) {
    CHECK(round < ROUNDS);
    probe_drop(&run.probe);
    struct probe *p = run.probe = probe_new(&run.alive, NULL);
    int rc = flushed ? shut_down(p) : flush(p);
    if (rc == 0) flushed = true;
    check_state();
    if (is_final(rc)) break;
    if (rc != AW_PENDING) continue;
    drain_peers();
    wake_scripts();
    while (p->wakes == 0) CHECK(aw_reactor_jump(the_reactor()));
  }
  run.polling = false;
}

/* With everybody else gone nothing is charged any more, and nobody waits. */
static void free_budgets(void) {
  for (unsigned i = 0; i < LAYERS; i++) {
    struct layer *l = &run.layers[i];
    if (l->budget == NULL) continue;
    check_budget(l->budget, 0);
    CHECK(aw_budget_waiting(l->budget) == 0);
    aw_budget_unref(l->budget);
    l->budget = NULL;
  }
  if (run.group == NULL) return;
  check_budget(run.group, run.neighbour_holds);
  aw_stream_free(&run.neighbour);
  check_budget(run.group, 0);
  aw_budget_unref(run.group);
  run.group = NULL;
}

/* With the writers gone the readers get the rest and then the end. */
static void free_all(void) {
  if (run.top) free_chain();
  for (unsigned i = 0; i < run.leaf_count; i++) {
    struct leaf *f = &run.leaves[i];
    drain(f, i);
    free_peer(f);
    aw_reader_free(f->back_r);
    aw_writer_free(f->back_w);
  }
  free_budgets();
  probe_drop(&run.probe);
  probe_drop(&run.read_probe);
}

static void start(const uint8_t *data, size_t size) {
  input.at = data, input.left = size;
  memset(&memory, 0, sizeof memory);
  run.depth = run.leaf_count = run.tee_flags = 0;
  run.tee = run.top = NULL;
  log_clear(&run.accepted);
  run.offered = run.neighbour_holds = 0;
  run.shutting = run.shut = run.polling = run.closing = run.starved = run.giving_back = false;
  run.alive = true, run.waits = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  start(data, size);
  build();
  bool abrupt = next() % 4 == 1; /* freed as it is, with wakers parked and bytes held back */
  while (input.left > 0) operate();
  if (!abrupt) finish();
  free_all();
  CHECK(aw_reactor_waiting(the_reactor()) == 0);
  return 0;
}
