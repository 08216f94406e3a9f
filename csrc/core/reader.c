/* SPDX-License-Identifier: MIT */
/* The dispatcher of readers. */
#include "asyncwrite.h"

#include <stdio.h>
#include <string.h>

void aw_reader_init(aw_reader *r, const aw_reader_type *type, aw_reader *inner) {
  *r = (aw_reader){.type = type, .inner = inner};
}

void aw_reader_free(aw_reader *r) {
  while (r) {
    aw_reader *inner = r->inner;
    r->type->destroy(r);
    r = inner;
  }
}

ssize_t aw_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len) {
  if (len == 0) return 0;
  if (len > SSIZE_MAX) len = SSIZE_MAX;
  ssize_t n = r->type->poll_read(r, waker, base, len);
  return n > (ssize_t)len ? AW_ECONTRACT : n;
}

void aw_reader_describe(const aw_reader *r, char *text, size_t size) {
  if (size == 0) return;
  *text = '\0';
  for (; r; r = r->inner) {
    r->type->describe(r, text, size);
    size_t used = strlen(text);
    text += used, size -= used;
    if (r->inner == NULL || size <= 4) return;
    memcpy(text, " > ", 4);
    text += 3, size -= 3;
  }
}

void aw_reader_describe_name(const aw_reader *r, char *text, size_t size) { snprintf(text, size, "%s", r->type->name); }
