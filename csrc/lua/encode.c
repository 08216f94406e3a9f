/* SPDX-License-Identifier: MIT */
/* Integers and floats as bytes (A6). A format is "u8", "i32", "u64_le", "f64" ...; without "_le" it is big-endian. */
#include "lua/awl.h"

#include <stdlib.h>
#include <string.h>

struct format {
  char kind; /* 'u', 'i' or 'f' */
  bool little;
  unsigned bytes;
};

static struct format parse(const char *name) {
  char *end;
  unsigned long bits = strtoul(name + 1, &end, 10);
  return (struct format){.kind = name[0], .bytes = (unsigned)bits / 8, .little = strcmp(end, "_le") == 0};
}

/* value, least significant byte first, into out */
static void spread(char *out, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++, value >>= 8) out[i] = (char)(value & 0xff);
}

static uint64_t collect(const unsigned char *in, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = bytes; i-- > 0;) value = value << 8 | in[i];
  return value;
}

static void reverse(char *s, unsigned n) {
  for (unsigned i = 0; i < n / 2; i++) {
    char c = s[i];
    s[i] = s[n - 1 - i], s[n - 1 - i] = c;
  }
}

static uint64_t float_bits(double value, unsigned bytes) {
  uint64_t bits = 0;
  if (bytes == 8) {
    memcpy(&bits, &value, 8);
  } else {
    float f = (float)value;
    uint32_t half;
    memcpy(&half, &f, 4);
    bits = half;
  }
  return bits;
}

/* The integer at index as two's complement. 64-bit formats take every Lua integer, also u64: 0xffffffffffffffff is -1
 * in Lua 5.4. */
static uint64_t check_integer(lua_State *L, const char *op, int index, const char *name, struct format f) {
  if (lua_type(L, index) != LUA_TNUMBER) awl_type_error(L, op, index, index - 1, name, "number");
#if LUA_VERSION_NUM >= 503
  if (f.bytes >= 8 && lua_isinteger(L, index)) return (uint64_t)lua_tointeger(L, index);
#endif
  lua_Number n = lua_tonumber(L, index), span = 1;
  for (unsigned i = 0; i < f.bytes * 8; i++) span *= 2;
  lua_Number low = f.kind == 'i' ? -span / 2 : 0, high = f.kind == 'i' ? span / 2 : span;
  if (!(n >= low && n < high)) awl_arg_error(L, op, index - 1, name, "%s is out of range", lua_tostring(L, index));
  uint64_t bits = n < 0 ? (uint64_t)(int64_t)n : (uint64_t)n;
  if ((n < 0 ? (lua_Number)(int64_t)bits : (lua_Number)bits) != n)
    awl_arg_error(L, op, index - 1, name, "integer expected, got %s", lua_tostring(L, index));
  return bits;
}

/* A string of exactly the size is taken as it is, most significant byte first. */
static bool from_string(lua_State *L, const char *op, struct format f, char *out) {
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING || f.kind == 'f' || f.bytes < 8) return false;
  const char *s = lua_tolstring(L, 2, &len);
  if (len != f.bytes) awl_arg_error(L, op, 1, "value", "string of %d bytes expected, got %d", (int)f.bytes, (int)len);
  memcpy(out, s, len);
  reverse(out, f.bytes);
  return true;
}

/* core.encode(format, value [, low]): 128-bit values are two halves, high and low, or a string of 16 bytes. */
static int l_encode(lua_State *L) {
  const char *op = "write";
  struct format f = parse(lua_tostring(L, 1));
  char out[16];
  if (from_string(L, op, f, out)) {
  } else if (f.bytes == 16) {
    struct format half = {.kind = f.kind, .bytes = 8}, low = {.kind = 'u', .bytes = 8};
    spread(out + 8, check_integer(L, op, 2, "value", half), 8);
    spread(out, check_integer(L, op, 3, "low", low), 8);
  } else if (f.kind == 'f') {
    if (lua_type(L, 2) != LUA_TNUMBER) awl_type_error(L, op, 2, 1, "value", "number");
    spread(out, float_bits(lua_tonumber(L, 2), f.bytes), f.bytes);
  } else {
    spread(out, check_integer(L, op, 2, "value", f), f.bytes);
  }
  if (!f.little) reverse(out, f.bytes);
  lua_pushlstring(L, out, f.bytes);
  return 1;
}

static void push_integer(lua_State *L, uint64_t bits, struct format f) {
  unsigned unused = 64 - f.bytes * 8;
  if (f.kind == 'i') {
    int64_t value = (int64_t)(bits << unused) >> unused;
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, value);
#else
    lua_pushnumber(L, (lua_Number)value);
#endif
    return;
  }
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)bits);
#else
  lua_pushnumber(L, (lua_Number)bits);
#endif
}

/* core.decode(format, s): the value; for 128 bits high, low. */
static int l_decode(lua_State *L) {
  struct format f = parse(lua_tostring(L, 1));
  unsigned char in[16];
  size_t len;
  const char *s = luaL_checklstring(L, 2, &len);
  if (len != f.bytes || len > sizeof in) return luaL_argerror(L, 2, "wrong size");
  memcpy(in, s, len);
  if (!f.little) reverse((char *)in, f.bytes);
  if (f.kind == 'f' && f.bytes == 4) {
    uint32_t bits = (uint32_t)collect(in, 4);
    float value;
    memcpy(&value, &bits, 4);
    lua_pushnumber(L, (lua_Number)value);
  } else if (f.kind == 'f') {
    uint64_t bits = collect(in, 8);
    double value;
    memcpy(&value, &bits, 8);
    lua_pushnumber(L, (lua_Number)value);
  } else if (f.bytes == 16) {
    push_integer(L, collect(in + 8, 8), (struct format){.kind = f.kind, .bytes = 8});
    push_integer(L, collect(in, 8), (struct format){.kind = 'u', .bytes = 8});
    return 2;
  } else {
    push_integer(L, collect(in, f.bytes), f);
  }
  return 1;
}

const luaL_Reg awl_encode_functions[] = {{"encode", l_encode}, {"decode", l_decode}, {NULL, NULL}};
