/* SPDX-License-Identifier: MIT */
/* A growable run of bytes with a hard limit. */
#ifndef AW_BYTES_H
#define AW_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct aw_bytes {
  char *data;
  size_t len, size, limit;
};

/* Room for len bytes in all, at most limit; false: no memory, nothing changed. */
bool aw_bytes_reserve(struct aw_bytes *b, size_t len);
void aw_bytes_free(struct aw_bytes *b);

#endif
