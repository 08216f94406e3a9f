/* SPDX-License-Identifier: MIT */
/* Accounts on budgets: what budgeted writers are made of. */
#ifndef AW_BUDGET_H
#define AW_BUDGET_H

#include "asyncwrite.h"

struct aw_link {
  struct aw_link *prev, *next;
};

/* What one writer has charged to a budget and to all above it, and its place among those that wait for room. */
struct aw_account {
  struct aw_link link; /* in a list of one of them; alone: it does not wait */
  aw_budget *full;     /* that one */
  aw_budget *budget;   /* a reference */
  aw_budget *stop;     /* from this one on upwards another account is charged with the same bytes; NULL: none is */
  size_t charge;
  uint64_t ticket; /* since when it waits; kept until it got room, so that nobody is overtaken for ever. 0: none */
  aw_waker *slot;
};

void aw_account_open(struct aw_account *a, aw_budget *budget);
/* The room that is left in all of the budgets. *least: the one that has the least. */
size_t aw_account_room(const struct aw_account *a, aw_budget **least);
/* Is it to pend once, although there is room? So it is while others were woken for that room who have not come yet. */
bool aw_account_gives_way(struct aw_account *a);
void aw_account_park(struct aw_account *a, aw_budget *full, aw_waker *waker);
aw_waker *aw_account_unpark(struct aw_account *a); /* with its reference; NULL: it did not wait */

bool aw_budget_is_below(const aw_budget *b, const aw_budget *above); /* or that one itself */
/* The first of an account's budgets, upwards, that is one of another's; NULL: they share none. */
aw_budget *aw_account_shared(const struct aw_account *a, const struct aw_account *other);
/* Nobody who waits is told: what this account gives up another is charged with, or the other way round. */
void aw_account_stop_at(struct aw_account *a, aw_budget *stop);

/* These wake who waits where there is room again, as the last thing they do: that may free the account. */
void aw_account_set(struct aw_account *a, size_t charge);
void aw_account_set_and_tell(struct aw_account *a, size_t charge); /* and wakes this one, if it waits */
void aw_account_close(struct aw_account a);                        /* a copy of one that does not wait */

#endif
