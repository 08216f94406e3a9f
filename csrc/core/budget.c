/* SPDX-License-Identifier: MIT */
/* Budgets: so many bytes that many writers may hold together, in groups within groups. */
#include "core/budget.h"
#include "core/dispatch.h"

#include <stdlib.h>

struct aw_budget {
  unsigned refs;
  size_t limit, used;
  aw_budget *parent; /* a reference; NULL: the outermost */
  uint64_t tickets;  /* handed out; the outermost has them for all */
  struct aw_link waiters;
  struct aw_link called; /* woken since there was room, and not heard of since */
};

/* ---- Lists: a link that is alone points at itself ---- */

static void link_init(struct aw_link *link) { link->prev = link->next = link; }

/* Not inlined: gcc would warn of lists that live on the stack, though all have left them by the end of a call. */
AW_RARE static void link_before(struct aw_link *link, struct aw_link *at) {
  link->prev = at->prev, link->next = at;
  at->prev->next = link;
  at->prev = link;
}

static void link_remove(struct aw_link *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  link_init(link);
}

static struct aw_account *of_link(struct aw_link *link) { return (struct aw_account *)link; }

/* ---- Waking ---- */

static size_t room(const aw_budget *b) { return b->used < b->limit ? b->limit - b->used : 0; }

/* Moves everybody who waits for room, if there is some, to the end of a list. */
static void collect(aw_budget *b, struct aw_link *list) {
  while (room(b) > 0 && b->waiters.next != &b->waiters) {
    struct aw_link *link = b->waiters.next;
    link_remove(link);
    link_before(link, list);
  }
}

/* A waker may free any account, also one in the list, which then leaves it. */
static void wake_all(struct aw_link *list) {
  while (list->next != list) {
    struct aw_account *a = of_link(list->next);
    link_remove(&a->link);
    if (!a->slot->dead) link_before(&a->link, &a->full->called);
    aw_slot_wake(&a->slot);
  }
}

/* ---- Accounts ---- */

void aw_account_open(struct aw_account *a, aw_budget *budget) {
  *a = (struct aw_account){.budget = budget};
  link_init(&a->link);
  aw_budget_ref(budget);
}

size_t aw_account_room(const struct aw_account *a, aw_budget **least) {
  size_t least_room = SIZE_MAX;
  *least = a->budget;
  for (aw_budget *b = a->budget; b != a->stop; b = b->parent)
    if (room(b) < least_room) least_room = room(b), *least = b;
  return least_room;
}

static void take_ticket(struct aw_account *a) {
  aw_budget *outermost = a->budget;
  while (outermost->parent) outermost = outermost->parent;
  if (a->ticket == 0) a->ticket = ++outermost->tickets;
}

/* Those who were called before this one and have not come since: they had their turn. */
static void forget_called(aw_budget *b, uint64_t ticket) {
  for (struct aw_link *link = b->called.next, *next; link != &b->called; link = next) {
    next = link->next;
    if (of_link(link)->ticket < ticket) link_remove(link);
  }
}

bool aw_account_gives_way(struct aw_account *a) {
  bool called = false;
  for (aw_budget *b = a->budget; b != a->stop; b = b->parent) {
    if (a->ticket) forget_called(b, a->ticket);
    else called = called || b->called.next != &b->called;
  }
  if (called) take_ticket(a);
  return called;
}

/* Behind all who wait for longer. */
void aw_account_park(struct aw_account *a, aw_budget *full, aw_waker *waker) {
  if (waker == NULL) return;
  take_ticket(a);
  a->full = full;
  link_remove(&a->link);
  struct aw_link *at = &full->waiters;
  while (at->prev != &full->waiters && of_link(at->prev)->ticket > a->ticket) at = at->prev;
  link_before(&a->link, at);
  aw_slot_park(&a->slot, waker);
}

aw_waker *aw_account_unpark(struct aw_account *a) {
  aw_waker *waker = a->slot;
  a->slot = NULL;
  link_remove(&a->link);
  return waker;
}

bool aw_budget_is_below(const aw_budget *b, const aw_budget *above) {
  while (b && b != above) b = b->parent;
  return b != NULL;
}

aw_budget *aw_account_shared(const struct aw_account *a, const struct aw_account *other) {
  aw_budget *b = a->budget;
  while (b && !aw_budget_is_below(other->budget, b)) b = b->parent;
  return b;
}

void aw_account_stop_at(struct aw_account *a, aw_budget *stop) {
  for (aw_budget *b = a->budget; b != a->stop; b = b->parent) b->used -= a->charge;
  a->stop = stop;
  for (aw_budget *b = a->budget; b != stop; b = b->parent) b->used += a->charge;
}

static void change(struct aw_account *a, size_t charge, struct aw_link *list) {
  link_init(list);
  for (aw_budget *b = a->budget; b != a->stop; b = b->parent) {
    b->used = b->used - a->charge + charge;
    collect(b, list);
  }
  a->charge = charge;
}

void aw_account_set(struct aw_account *a, size_t charge) {
  struct aw_link list;
  if (charge == a->charge) return;
  change(a, charge, &list);
  wake_all(&list);
}

void aw_account_set_and_tell(struct aw_account *a, size_t charge) {
  struct aw_link list;
  change(a, charge, &list);
  if (a->slot) link_remove(&a->link), link_before(&a->link, &list);
  wake_all(&list);
}

void aw_account_close(struct aw_account a) {
  struct aw_link list;
  change(&a, 0, &list);
  wake_all(&list);
  aw_budget_unref(a.budget);
}

/* ---- Budgets ---- */

int aw_budget_new(aw_budget **out, size_t limit, aw_budget *parent) {
  aw_budget *b = calloc(1, sizeof *b);
  if (b == NULL) return UV_ENOMEM;
  b->refs = 1, b->limit = limit, b->parent = parent;
  link_init(&b->waiters);
  link_init(&b->called);
  if (parent) aw_budget_ref(parent);
  *out = b;
  return 0;
}

void aw_budget_ref(aw_budget *b) { b->refs++; }

void aw_budget_unref(aw_budget *b) {
  while (b && --b->refs == 0) {
    aw_budget *parent = b->parent;
    free(b);
    b = parent;
  }
}

size_t aw_budget_limit(const aw_budget *b) { return b->limit; }

size_t aw_budget_used(const aw_budget *b) { return b->used; }

size_t aw_budget_waiting(const aw_budget *b) {
  size_t n = 0;
  for (struct aw_link *link = b->waiters.next; link != &b->waiters; link = link->next)
    n += of_link(link)->slot->dead ? 0 : 1;
  return n;
}

void aw_budget_set_limit(aw_budget *b, size_t limit) {
  struct aw_link list;
  link_init(&list);
  b->limit = limit;
  collect(b, &list);
  wake_all(&list);
}
