/* SPDX-License-Identifier: MIT */
/* A growable run of bytes with a hard limit. */
#include "core/bytes.h"

#include <stdlib.h>

bool aw_bytes_reserve(struct aw_bytes *b, size_t len) {
  if (len <= b->size) return true;
  if (len > b->limit) return false;
  size_t size = b->size ? b->size : 64;
  while (size < len) size = size > b->limit / 2 ? b->limit : size * 2;
  char *data = realloc(b->data, size);
  if (data == NULL) return false;
  b->data = data, b->size = size;
  return true;
}

void aw_bytes_free(struct aw_bytes *b) {
  free(b->data);
  b->data = NULL;
  b->len = b->size = 0;
}
