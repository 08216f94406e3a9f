/* SPDX-License-Identifier: MIT */
/* Running checksums: CRC-32 (as in zlib), CRC-32C (RFC 3720), Adler-32 (RFC 1950), SHA-256 (FIPS 180-4). */
#ifndef AW_DIGEST_H
#define AW_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AW_DIGEST_MAX = 32 };

struct aw_digest {
  const struct aw_digest_type *type;
  union {
    uint32_t crc;
    struct {
      uint32_t a, b;
    } adler;
    struct {
      uint32_t h[8];
      uint64_t total;
      uint8_t block[64];
    } sha;
  } u;
  uint32_t table[8][256]; /* of a CRC: computed, so that nothing is static */
};

bool aw_digest_init(struct aw_digest *d, const char *name); /* false: no such algorithm */
const char *aw_digest_name(const struct aw_digest *d);
void aw_digest_update(struct aw_digest *d, const char *base, size_t len);
/* What it comes to until now, big-endian; more may follow. Returns the number of bytes. */
size_t aw_digest_value(const struct aw_digest *d, uint8_t out[AW_DIGEST_MAX]);

#endif
