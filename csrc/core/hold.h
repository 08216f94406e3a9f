/* SPDX-License-Identifier: MIT */
/* What a leaf has accepted and keeps until somebody else takes it: a reader, or the pool's thread. Who watches is told
 * when that becomes less, which no poll of the writer need have done. */
#ifndef AW_HOLD_H
#define AW_HOLD_H

#include "core/dispatch.h"

struct aw_hold {
  size_t bytes;
  bool closed; /* nobody will take anything any more */
  unsigned round;
  struct aw_hold_watch *watches;
};

struct aw_hold_watch {
  struct aw_hold *hold; /* NULL: it watches none, or that has ended */
  struct aw_hold_watch *next;
  unsigned round;
  void (*told)(struct aw_hold_watch *watch); /* may take the watch off and free it, and wake whom it likes */
};

/* A writer with a hold begins with this. */
struct aw_holder {
  aw_writer w;
  struct aw_hold *hold;
};
void aw_holder_init(struct aw_holder *h, const aw_writer_type *type, struct aw_hold *hold);

void aw_hold_watch(struct aw_hold *hold, struct aw_hold_watch *watch);
void aw_hold_unwatch(struct aw_hold_watch *watch); /* also of one that watches nothing */
void aw_hold_tell(struct aw_hold *hold);           /* hold must outlive the call */
void aw_hold_end(struct aw_hold *hold);            /* it is about to be freed: nothing is left, nobody watches */

/* The bytes in all of a chain. *hold: what its leaf has, or NULL. */
size_t aw_hold_sum(const aw_writer *w, struct aw_hold **hold);

#endif
