/* SPDX-License-Identifier: MIT */
/* Running checksums. */
#include "core/digest.h"

#include <string.h>

struct aw_digest_type {
  const char *name;
  uint32_t polynomial; /* of a CRC, reflected */
  void (*init)(struct aw_digest *d);
  void (*update)(struct aw_digest *d, const uint8_t *base, size_t len);
  size_t (*value)(const struct aw_digest *d, uint8_t *out);
};

static size_t put_be32(uint8_t *out, uint32_t v) {
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(v >> (24 - 8 * i));
  return 4;
}

/* ---- CRC: eight tables, eight bytes a step ---- */
static void crc_init(struct aw_digest *d) {
  d->u.crc = UINT32_MAX;
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t v = i;
    for (int bit = 0; bit < 8; bit++) v = v & 1 ? v >> 1 ^ d->type->polynomial : v >> 1;
    d->table[0][i] = v;
  }
  for (int t = 1; t < 8; t++)
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t v = d->table[t - 1][i];
      d->table[t][i] = v >> 8 ^ d->table[0][v & 255];
    }
}

static void crc_update(struct aw_digest *d, const uint8_t *p, size_t len) {
  uint32_t c = d->u.crc;
  for (; len >= 8; p += 8, len -= 8) {
    c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    c = d->table[7][c & 255] ^ d->table[6][c >> 8 & 255] ^ d->table[5][c >> 16 & 255] ^ d->table[4][c >> 24] ^
        d->table[3][p[4]] ^ d->table[2][p[5]] ^ d->table[1][p[6]] ^ d->table[0][p[7]];
  }
  for (; len > 0; p++, len--) c = c >> 8 ^ d->table[0][(c ^ *p) & 255];
  d->u.crc = c;
}

static size_t crc_value(const struct aw_digest *d, uint8_t *out) { return put_be32(out, ~d->u.crc); }

/* ---- Adler-32 ---- */
enum { ADLER_BASE = 65521, ADLER_RUN = 5552 /* bytes until a sum of 32 bits could overflow */ };

static void adler_init(struct aw_digest *d) { d->u.adler.a = 1, d->u.adler.b = 0; }

static void adler_update(struct aw_digest *d, const uint8_t *p, size_t len) {
  uint32_t a = d->u.adler.a, b = d->u.adler.b;
  while (len > 0) {
    size_t run = len < ADLER_RUN ? len : ADLER_RUN;
    len -= run;
    for (; run > 0; run--) a += *p++, b += a;
    a %= ADLER_BASE, b %= ADLER_BASE;
  }
  d->u.adler.a = a, d->u.adler.b = b;
}

static size_t adler_value(const struct aw_digest *d, uint8_t *out) {
  return put_be32(out, d->u.adler.b << 16 | d->u.adler.a);
}

/* ---- SHA-256 ---- */
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t v, int n) { return v >> n | v << (32 - n); }

static void sha_init(struct aw_digest *d) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(d->u.sha.h, start, sizeof start);
  d->u.sha.total = 0;
}

static void sha_block(uint32_t *h, const uint8_t *p) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++, p += 4)
    w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  memcpy(s, h, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t s1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
    uint32_t t1 = s[7] + s1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
    uint32_t s0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
    uint32_t t2 = s0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

static void sha_update(struct aw_digest *d, const uint8_t *p, size_t len) {
  size_t have = d->u.sha.total % 64;
  d->u.sha.total += len;
  if (have > 0) {
    size_t part = len < 64 - have ? len : 64 - have;
    memcpy(d->u.sha.block + have, p, part);
    if (have + part < 64) return;
    sha_block(d->u.sha.h, d->u.sha.block);
    p += part, len -= part;
  }
  for (; len >= 64; p += 64, len -= 64) sha_block(d->u.sha.h, p);
  if (len > 0) memcpy(d->u.sha.block, p, len);
}

static size_t sha_value(const struct aw_digest *d, uint8_t *out) {
  uint32_t h[8];
  uint8_t end[128] = {0};
  size_t have = d->u.sha.total % 64, size = have < 56 ? 64 : 128;
  memcpy(h, d->u.sha.h, sizeof h);
  memcpy(end, d->u.sha.block, have);
  end[have] = 0x80;
  put_be32(end + size - 8, (uint32_t)(d->u.sha.total >> 29));
  put_be32(end + size - 4, (uint32_t)(d->u.sha.total << 3));
  for (size_t at = 0; at < size; at += 64) sha_block(h, end + at);
  for (int i = 0; i < 8; i++) put_be32(out + 4 * i, h[i]);
  return 32;
}

static const struct aw_digest_type types[] = {
    {.name = "crc32", .polynomial = 0xedb88320, .init = crc_init, .update = crc_update, .value = crc_value},
    {.name = "crc32c", .polynomial = 0x82f63b78, .init = crc_init, .update = crc_update, .value = crc_value},
    {.name = "adler32", .init = adler_init, .update = adler_update, .value = adler_value},
    {.name = "sha256", .init = sha_init, .update = sha_update, .value = sha_value},
};

bool aw_digest_init(struct aw_digest *d, const char *name) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strcmp(types[i].name, name) != 0) continue;
    d->type = &types[i];
    d->type->init(d);
    return true;
  }
  return false;
}

const char *aw_digest_name(const struct aw_digest *d) { return d->type->name; }

void aw_digest_update(struct aw_digest *d, const char *base, size_t len) {
  d->type->update(d, (const uint8_t *)base, len);
}

size_t aw_digest_value(const struct aw_digest *d, uint8_t out[AW_DIGEST_MAX]) { return d->type->value(d, out); }
