/* SPDX-License-Identifier: MIT */
/* What a leaf keeps, and who watches that. */
#include "core/hold.h"

void aw_holder_init(struct aw_holder *h, const aw_writer_type *type, struct aw_hold *hold) {
  aw_writer_init(&h->w, type, NULL);
  h->w.flags |= AW_FLAG_HOLDS;
  h->hold = hold;
}

void aw_hold_watch(struct aw_hold *hold, struct aw_hold_watch *watch) {
  watch->hold = hold;
  watch->round = hold->round;
  watch->next = hold->watches;
  hold->watches = watch;
}

void aw_hold_unwatch(struct aw_hold_watch *watch) {
  if (watch->hold == NULL) return;
  struct aw_hold_watch **at = &watch->hold->watches;
  while (*at != watch) at = &(*at)->next;
  *at = watch->next;
  watch->hold = NULL;
}

static struct aw_hold_watch *not_told(const struct aw_hold *hold) {
  struct aw_hold_watch *watch = hold->watches;
  while (watch && watch->round == hold->round) watch = watch->next;
  return watch;
}

/* The list may be another after each call: it is looked through again from its start. */
void aw_hold_tell(struct aw_hold *hold) {
  hold->round++;
  for (struct aw_hold_watch *watch; (watch = not_told(hold));) {
    watch->round = hold->round;
    watch->told(watch);
  }
}

void aw_hold_end(struct aw_hold *hold) {
  hold->bytes = 0, hold->closed = true;
  for (struct aw_hold_watch *watch; (watch = hold->watches);) {
    aw_hold_unwatch(watch);
    watch->told(watch);
  }
}

size_t aw_hold_sum(const aw_writer *w, struct aw_hold **hold) {
  size_t sum = 0;
  *hold = NULL;
  for (; w; w = w->inner) {
    if (w->flags & AW_FLAG_HOLDS) *hold = ((const struct aw_holder *)w)->hold;
    sum += w->flags & AW_FLAG_HOLDS ? (*hold)->bytes : w->buffered;
  }
  return sum;
}
