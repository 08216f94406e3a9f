/* SPDX-License-Identifier: MIT */
/* Budgets under wakers that free things at once: run by spec/unit/budget_spec.lua. */
#include "asyncwrite.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(truth) ((truth) ? (void)0 : failed(__LINE__, #truth))

enum { WAITERS = 4 };

static void failed(int line, const char *truth) {
  fprintf(stderr, "budget.c:%d: not so: %s\n", line, truth);
  exit(1);
}

/* What a waker frees when it is woken first. */
static struct {
  aw_writer *w[WAITERS + 1];
  aw_reader *r[WAITERS + 1];
  aw_budget *budget;
  unsigned woken;
} all;

static void free_all(void) {
  for (int i = 0; i <= WAITERS; i++) {
    aw_writer *w = all.w[i];
    aw_reader *r = all.r[i];
    all.w[i] = NULL, all.r[i] = NULL;
    aw_writer_free(w);
    aw_reader_free(r);
  }
  aw_budget *budget = all.budget;
  all.budget = NULL;
  aw_budget_unref(budget);
}

static void count(aw_waker *waker) {
  (void)waker;
  all.woken++;
}

static void count_and_free(aw_waker *waker) {
  count(waker);
  free_all();
}

static void no_free(aw_waker *waker) { (void)waker; }

static const aw_waker_type counting = {.wake = count, .free = no_free};
static const aw_waker_type freeing = {.wake = count_and_free, .free = no_free};

static ssize_t put(aw_writer *w, aw_waker *waker, size_t n) {
  static char bytes[100];
  return aw_poll_write(w, waker, &(uv_buf_t){.base = bytes, .len = n}, 1);
}

/* A pipe that is full, as far as the budget goes or by itself, and waiters of which number `which` frees everything;
 * the last is the pipe's own writer. */
static void make(int which, bool full_pipe) {
  static aw_waker wakers[WAITERS + 1];
  aw_budget *parent;
  size_t limit = full_pipe ? 9 : 8;
  all.woken = 0;
  CHECK(aw_budget_new(&parent, limit, NULL) == 0);
  CHECK(aw_budget_new(&all.budget, which % 2 ? limit : 100, parent) == 0);
  aw_budget_unref(parent);
  for (int i = 0; i <= WAITERS; i++) {
    aw_stream s;
    CHECK(aw_simplex_new(&s, full_pipe ? 8 : 50) == 0);
    CHECK(aw_budgeted_new(&all.w[i], s.w, all.budget) == 0);
    all.r[i] = s.r;
  }
  CHECK(put(all.w[WAITERS], NULL, 20) == 8);
  for (int i = 0; i <= WAITERS; i++) aw_waker_init(&wakers[i], i == which ? &freeing : &counting);
  if (full_pipe) {
    CHECK(put(all.w[WAITERS], &wakers[WAITERS], 1) == AW_PENDING);
    CHECK(put(all.w[0], NULL, 2) == 1);
  }
  for (int i = 0; i < WAITERS + !full_pipe; i++) {
    CHECK(put(all.w[i], &wakers[i], 1) == AW_PENDING);
  }
}

static void by_read(void) {
  char base[3];
  CHECK(aw_poll_read(all.r[WAITERS], NULL, base, sizeof base) == 3);
}

static void by_reader(void) {
  aw_reader *r = all.r[WAITERS];
  all.r[WAITERS] = NULL;
  aw_reader_free(r);
}

/* The charge of a writer that is gone is given back by a read. */
static void by_read_after_close(void) {
  aw_writer *w = all.w[WAITERS];
  all.w[WAITERS] = NULL;
  aw_writer_free(w);
  CHECK(aw_budget_used(all.budget) >= 8);
  by_read();
}

static void by_taking_off(void) {
  aw_writer *w = all.w[WAITERS];
  aw_writer *inner = w->inner;
  all.w[WAITERS] = inner;
  w->inner = NULL;
  aw_writer_free(w);
}

/* Nobody is woken after it was freed, and nobody is left out. */
static void try(void (*way)(void), bool keeps_own, int which, bool full_pipe) {
  make(which, full_pipe);
  way();
  int waiters = WAITERS + keeps_own;
  CHECK(all.woken == (unsigned)(which < waiters ? which + 1 : waiters));
  if (which >= waiters) free_all();
  CHECK(all.budget == NULL);
}

int main(void) {
  void (*const ways[])(void) = {by_read, by_reader, by_read_after_close, by_taking_off};
  for (int i = 0; i < 4; i++)
    for (int which = 0; which <= WAITERS + 1; which++)
      try(ways[i], i < 2, which, false), try(ways[i], i < 2, which, true);
  puts("ok");
  return 0;
}
