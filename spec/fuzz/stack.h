/* SPDX-License-Identifier: MIT */
/* streams.c: the stack it works on, built from the input, and the model of it. The model is what writes have accepted:
 * at every layer, and at every end, a prefix of it whose length is what the layers above do not hold. */
#ifndef STACK_H
#define STACK_H

#include "fuzz.h"

enum { LAYERS = 4, LEAVES = 3, BUFS = 4, BUF_MAX = 32, OFFERED = ROOM, CAPACITY = 48, ROUNDS = 1 << 16 };

enum kind { BUF_WRITER, LINE_WRITER, LIMIT, INSPECT, CHECKSUM, THROTTLE, DEADLINE, PROGRESS, CHAOS, BUDGETED, KINDS };

struct layer {
  enum kind kind;
  aw_writer *w;
  uint64_t number; /* LIMIT: bytes; DEADLINE: when; THROTTLE: when it was made */
  double rate, burst;
  unsigned released, ended;
  uint64_t told;     /* PROGRESS: bytes, at the last report */
  aw_budget *budget; /* BUDGETED: its own, in the group; kept when the layer is gone */
  struct log seen;
};

enum leaf_kind { MEMORY, CURSOR, SIMPLEX, DUPLEX, SCRIPT, LEAF_KINDS };

struct leaf {
  enum leaf_kind kind;
  size_t capacity;
  aw_writer *w;      /* the end of the branch; NULL: gone */
  aw_reader *reader; /* of a pipe, on the other side; NULL: gone */
  bool reader_gone, reader_alive;
  struct log got;
  size_t final; /* what had been put in when w went */
  aw_writer *back_w;
  aw_reader *back_r; /* DUPLEX: the other direction, which nothing here may touch */
};

static struct {
  struct layer layers[LAYERS]; /* the innermost first */
  unsigned depth;
  struct leaf leaves[LEAVES];
  unsigned leaf_count, tee_flags;
  aw_writer *tee, *branches[LEAVES], *top;
  struct log accepted;
  size_t offered;
  bool shutting, shut;
  bool alive; /* the chain */
  bool polling, closing;
  bool giving_back; /* room is given back just now, to one budget after the other: who is woken may look */
  struct probe *probe, *read_probe;
  bool waits; /* the last poll of the chain was pending, and with this many wakes of its probe: */
  unsigned wakes;
  unsigned failures;   /* of memory, before this operation */
  bool starved;        /* memory ran out once: a tee may tell of it later */
  aw_budget *group;    /* above the budgets of all layers, and of the neighbour; NULL: there is no such layer */
  aw_stream neighbour; /* a pipe that takes room from the stack, and gives it back when it is read */
  size_t neighbour_holds;
} run;

/* ---- The stack ---- */
static void see(void *data, const char *base, size_t len) {
  CHECK(len >= 1);
  append(&((struct layer *)data)->seen, base, len);
}

static void on_release(void *data) { ((struct layer *)data)->released++; }

static void on_progress(void *data, const aw_progress *p) {
  struct layer *l = data;
  CHECK(p->bytes >= l->told && l->ended == 0 && p->rate >= 0);
  l->told = p->bytes, l->ended += p->ended;
}

static int wrap_chaos(aw_writer **out, aw_writer *inner, unsigned seed) {
  aw_dice *dice;
  int rc = dice_new(&dice, seed);
  if (rc < 0) return rc;
  rc = aw_chaos_new(out, inner, dice);
  aw_dice_unref(dice);
  return rc;
}

static int wrap_deadline(struct layer *l, aw_writer *inner, unsigned size) {
  aw_stream out = {0};
  l->number = size % 4 == 0 ? AW_NEVER : aw_reactor_now(the_reactor()) + size * MS;
  int rc = aw_deadline_new(&out, (aw_stream){.w = inner}, the_reactor(), l->number);
  if (rc == 0) l->w = out.w;
  return rc;
}

static int wrap_budgeted(struct layer *l, aw_writer *inner, unsigned size) {
  aw_budget *budget;
  int rc = aw_budget_new(&budget, size % 4 ? 1 + size / 4 : AW_UNLIMITED, run.group);
  if (rc < 0) return rc;
  rc = aw_budgeted_new(&l->w, inner, budget);
  if (rc < 0) aw_budget_unref(budget);
  else l->budget = budget;
  return rc;
}

static void open_group(void) {
  unsigned size = next();
  if (run.group) return;
  CHECK(aw_budget_new(&run.group, size % 4 ? 1 + size / 4 : AW_UNLIMITED, NULL) == 0);
  CHECK(aw_simplex_new(&run.neighbour, 1 + size) == 0);
  CHECK(aw_budgeted_new(&run.neighbour.w, run.neighbour.w, run.group) == 0);
}

static int wrap(struct layer *l, aw_writer *inner, unsigned size) {
  aw_progress_listener listener = {.fn = on_progress, .release = on_release, .data = l};
  switch (l->kind) {
  case BUF_WRITER: return aw_buf_writer_new(&l->w, inner, size % 80);
  case LINE_WRITER: return aw_line_writer_new(&l->w, inner, size % 80);
  case LIMIT: l->number = size * 2; return aw_limit_new(&l->w, inner, l->number);
  case INSPECT: return aw_inspect_new(&l->w, inner, (aw_inspector){.fn = see, .release = on_release, .data = l});
  case CHECKSUM: return aw_checksum_new(&l->w, inner, "crc32");
  case THROTTLE:
    l->number = aw_reactor_now(the_reactor()), l->rate = 1000 + size * 50, l->burst = 1 + size % 100;
    return aw_throttle_new(&l->w, inner, the_reactor(), l->rate, l->burst);
  case DEADLINE: return wrap_deadline(l, inner, size);
  case PROGRESS: return aw_progress_new(&l->w, inner, the_reactor(), listener, size, size % 3 * MS);
  case BUDGETED: return wrap_budgeted(l, inner, size);
  default: return wrap_chaos(&l->w, inner, size);
  }
}

/* A constructor that runs out of memory takes nothing over, and then it works. */
static void add_layer(void) {
  unsigned byte = next(), size = next();
  struct layer *l = &run.layers[run.depth];
  l->kind = byte % KINDS, l->w = NULL, l->released = l->ended = 0, l->told = 0, l->budget = NULL;
  if (l->kind == BUDGETED) open_group();
  log_clear(&l->seen);
  memory.fuse = byte / KINDS % 4;
  int rc = wrap(l, run.top, size);
  if (rc == UV_ENOMEM) CHECK(l->w == NULL && memory.failures > 0);
  memory.fuse = 0;
  if (rc == UV_ENOMEM) rc = wrap(l, run.top, size);
  CHECK(rc == 0);
  run.top = l->w, run.depth++;
}

static int open_leaf(struct leaf *f) {
  aw_stream a = {0}, b = {0};
  int rc = 0;
  switch (f->kind) {
  case MEMORY: return aw_memory_new(&f->w, f->capacity);
  case CURSOR: rc = aw_cursor_new(&a, NULL, 0, f->capacity), f->back_r = a.r; break;
  case SIMPLEX: rc = aw_simplex_new(&a, f->capacity), f->reader = a.r; break;
  case DUPLEX:
    rc = aw_duplex_new(&a, &b, f->capacity);
    f->reader = b.r, f->back_w = b.w, f->back_r = a.r;
    break;
  default: a.w = &script_new(&f->got, f->capacity % 2)->w;
  }
  f->w = a.w;
  return rc;
}

/* Pipes are small, so that they fill up, or so large that their ring has to grow. */
static size_t capacity_of(enum leaf_kind kind, unsigned size) {
  if (kind < SIMPLEX) return 1 + size * 40;
  return size < 40 ? 1 + size : (size - 38) * 100;
}

static void add_leaf(void) {
  unsigned byte = next();
  struct leaf *f = &run.leaves[run.leaf_count];
  f->kind = byte % LEAF_KINDS, f->w = f->back_w = NULL, f->reader = f->back_r = NULL;
  f->capacity = capacity_of(f->kind, byte / LEAF_KINDS);
  f->reader_gone = false, f->reader_alive = true, f->final = 0;
  log_clear(&f->got);
  memory.fuse = byte / LEAF_KINDS % 4;
  int rc = open_leaf(f);
  if (rc == UV_ENOMEM) CHECK(f->w == NULL && f->reader == NULL && f->back_r == NULL);
  memory.fuse = 0;
  if (rc == UV_ENOMEM) rc = open_leaf(f);
  CHECK(rc == 0);
  run.branches[run.leaf_count++] = f->w;
}

static void build(void) {
  unsigned shape = next(), leaves = shape % 4 ? 1 : 1 + shape / 4 % LEAVES;
  for (unsigned i = 0; i < leaves; i++) add_leaf();
  run.top = run.branches[0];
  if (shape % 4 == 0) {
    unsigned byte = next();
    for (unsigned i = 0; i < leaves; i++)
      if (byte >> i & 1) CHECK(aw_buf_writer_new(&run.branches[i], run.branches[i], byte / 8) == 0);
    run.tee_flags = shape / 16 % 4;
    CHECK(aw_tee_new(&run.tee, run.branches, leaves, 1 + next() % CAPACITY, run.tee_flags) == 0);
    run.top = run.tee;
  }
  for (unsigned i = shape / 64 + next() % 2; i > 0 && run.depth < LAYERS; i--) add_layer();
}

/* ---- The model: what was accepted less what is held above ---- */
static bool has(enum kind kind) {
  for (unsigned i = 0; i < run.depth; i++)
    if (run.layers[i].kind == kind) return true;
  return false;
}

static bool has_leaf(enum leaf_kind kind) {
  for (unsigned i = 0; i < run.leaf_count; i++)
    if (run.leaves[i].kind == kind) return true;
  return false;
}

static bool lost_reader(void) {
  for (unsigned i = 0; i < run.leaf_count; i++)
    if (run.leaves[i].reader_gone) return true;
  return false;
}

static bool is_deadline(void) { return run.top && run.depth > 0 && run.layers[run.depth - 1].kind == DEADLINE; }

/* Of the outermost. */
static bool has_passed(void) {
  return is_deadline() && run.layers[run.depth - 1].number <= aw_reactor_now(the_reactor());
}

static bool timed_out(void) {
  for (unsigned i = 0; i < run.depth; i++)
    if (run.layers[i].kind == DEADLINE && run.layers[i].number <= aw_reactor_now(the_reactor())) return true;
  return false;
}

/* What has gone through layer i, and so into what is below. */
static size_t passed(unsigned i) {
  size_t held = 0;
  for (unsigned k = i; k < run.depth; k++) held += run.layers[k].w->buffered;
  return run.accepted.len - held;
}

/* What was given to a leaf: of a branch of a tee, what the tee has let it have. */
static size_t given(unsigned i) {
  size_t n = passed(0);
  if (run.tee == NULL) return n;
  aw_tee_branch look = aw_tee_look(run.tee, i);
  size_t lack = look.len + aw_buffered(look.w);
  CHECK(lack <= n && memcmp(look.behind, run.accepted.data + n - look.len, look.len) == 0);
  return n - lack;
}

static void check_leaf(unsigned i) {
  struct leaf *f = &run.leaves[i];
  size_t put = given(i), len = 0;
  const char *data;
  switch (f->kind) {
  case MEMORY:
  case CURSOR:
    data = f->kind == MEMORY ? aw_memory_data(f->w, &len) : aw_cursor_data(f->w, &len);
    CHECK(len == put);
    append(&f->got, data + f->got.len, len - f->got.len);
    break;
  case SCRIPT: CHECK(f->got.len == put); break;
  default: CHECK(f->got.len <= put && put - f->got.len <= f->capacity);
  }
  check_prefix(&f->got, &run.accepted);
}

/* What waits in front of a leaf, and unread in it, below w. */
static size_t held_from(const aw_writer *w) {
  size_t sum = 0;
  for (; w; w = w->inner) {
    sum += w->buffered;
    for (unsigned i = 0; i < run.leaf_count; i++) {
      const struct leaf *f = &run.leaves[i];
      if (f->w == w && f->reader) sum += given(i) - f->got.len;
    }
  }
  return sum;
}

/* Nobody waits for room where there is some. */
static void check_budget(const aw_budget *b, size_t used) {
  if (run.giving_back) return;
  CHECK(aw_budget_used(b) == used);
  CHECK(used >= aw_budget_limit(b) || aw_budget_waiting(b) == 0);
}

/* What the layers share is charged to the group once. */
static void check_group(void) {
  size_t used = run.neighbour_holds;
  for (unsigned i = run.depth; i-- > 0;) {
    const struct layer *l = &run.layers[i];
    if (l->kind != BUDGETED) continue;
    used += held_from(l->w->inner);
    break;
  }
  if (run.group) check_budget(run.group, used);
}

static void check_layer(unsigned i) {
  struct layer *l = &run.layers[i];
  size_t n = passed(i);
  uint8_t digest[AW_CHECKSUM_MAX];
  switch (l->kind) {
  case LIMIT: CHECK(n <= l->number && l->number - *aw_limit_left(l->w) == n); break;
  case INSPECT:
    CHECK(l->seen.len == n);
    check_prefix(&l->seen, &run.accepted);
    break;
  case CHECKSUM:
    if (run.closing) CHECK(aw_checksum_value(l->w, digest) == 4 && is_crc32_of(digest, run.accepted.data, n));
    break;
  case THROTTLE: {
    double seconds = (double)(aw_reactor_now(the_reactor()) - l->number) / 1e9;
    CHECK((double)n <= l->burst + seconds * l->rate + 0.01);
    break;
  }
  case PROGRESS: CHECK(l->told <= n && l->ended <= (run.shutting ? 1 : 0)); break;
  case BUDGETED:
    check_budget(l->budget, held_from(l->w->inner));
    if (run.tee == NULL) CHECK(aw_budget_used(l->budget) <= aw_budget_limit(l->budget));
    break;
  default: break;
  }
}

/* A branch that was dropped is gone; why was said. */
static void look_for_dropped(void) {
  for (unsigned i = 0; run.tee && i < run.leaf_count; i++) {
    aw_tee_branch look = aw_tee_look(run.tee, i);
    if (look.w == NULL) CHECK(look.failed < 0 && run.tee_flags != 0 && look.name != NULL);
    if (look.w == NULL && run.leaves[i].w) {
      run.leaves[i].w = NULL;
      run.leaves[i].final = SIZE_MAX; /* nobody counted */
    }
  }
}

static void check_state(void) {
  size_t buffered;
  if (run.top == NULL) return;
  look_for_dropped();
  buffered = aw_buffered(run.top);
  CHECK(aw_is_shutdown(run.top) == run.shutting);
  for (unsigned i = 0; i < run.depth; i++) check_layer(i);
  check_group();
  for (unsigned i = 0; i < run.leaf_count; i++) {
    if (run.leaves[i].w == NULL) continue;
    check_leaf(i);
    if (run.tee == NULL) CHECK(given(i) == run.accepted.len - buffered);
    if (buffered == 0) CHECK(given(i) == run.accepted.len); /* nothing is held: everybody has everything */
  }
}

#endif
