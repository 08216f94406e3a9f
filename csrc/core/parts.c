/* SPDX-License-Identifier: MIT */
/* Taking wrappers off again: what they hold back is handed out, so that nothing accepted is lost (B5). */
#include "asyncwrite.h"

const char *aw_held(const aw_writer *w, size_t *len) {
  return w->inner && w->type->held ? w->type->held(w, len) : NULL;
}

const char *aw_reader_held(const aw_reader *r, size_t *len) {
  return r->inner && r->type->held ? r->type->held(r, len) : NULL;
}

const char *aw_hold_nothing(const aw_writer *w, size_t *len) {
  (void)w;
  *len = 0;
  return "";
}

const char *aw_reader_hold_nothing(const aw_reader *r, size_t *len) {
  (void)r;
  *len = 0;
  return "";
}
