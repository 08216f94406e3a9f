/* SPDX-License-Identifier: MIT */
/* Names and texts of result codes. */
#include "asyncwrite.h"

#include <errno.h>

static const struct own_code {
  int code;
  const char *name, *text;
} own_codes[] = {
    {AW_EWRITEZERO, "EWRITEZERO", "the writer accepted zero bytes"},
    {AW_ECONTRACT, "ECONTRACT", "a writer or reader broke the AsyncWrite contract"},
    {AW_ECUSTOM, "ECUSTOM", "a writer in Lua failed"},
    {AW_ELUA, "ELUA", "an error was raised in Lua"},
    {UV_EOF, "EOF", "unexpected end of file"},
    {-EDQUOT, "EDQUOT", "disk quota exceeded"}, /* libuv does not know these two */
    {-ESTALE, "ESTALE", "stale file handle"},
};

static const struct own_code *own(int code) {
  for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
    if (own_codes[i].code == code) return &own_codes[i];
  return NULL;
}

const char *aw_err_name(int code) {
  const struct own_code *known = own(code);
  if (known) return known->name;
  /* uv_err_name allocates for codes it does not know. */
  switch (code) {
#define CASE(name, text)                                                                                               \
  case UV_##name: return #name;
    UV_ERRNO_MAP(CASE)
#undef CASE
  default: return "UNKNOWN";
  }
}

const char *aw_strerror(int code) {
  const struct own_code *known = own(code);
  if (known) return known->text;
  switch (code) {
#define CASE(name, text)                                                                                               \
  case UV_##name: return text;
    UV_ERRNO_MAP(CASE)
#undef CASE
  default: return "unknown error";
  }
}
