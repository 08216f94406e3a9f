/* SPDX-License-Identifier: MIT */
/* Preloaded into a child: makes allocations of the asyncwrite module and of libuv fail, so that every error path is
 * walked, and counts what they hold. The interpreter's own allocations never fail. A script steers it by os.getenv:
 *   ASYNCWRITE_FAIL_AT_n     from now on count, and let the nth allocation fail (0: none)
 *   ASYNCWRITE_FAIL_FROM_n   the same for the nth and all later ones
 *   ASYNCWRITE_FAIL_STOP     no more failures; gives how many were counted
 *   ASYNCWRITE_LIVE          gives how many allocations have not been freed yet */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

enum { TABLE = 1 << 16 };

static long fail_at, counted;
static bool fail_after, counting;
static void *live[TABLE]; /* open addressing; TOMB where one was freed */
static long nlive;
static char tomb;
#define TOMB ((void *)&tomb)

static size_t slot_of(const void *p) { return ((uintptr_t)p >> 4) * 2654435761u % TABLE; }

static void add(void *p) {
  size_t i = slot_of(p);
  while (live[i] && live[i] != TOMB) i = (i + 1) % TABLE;
  live[i] = p;
  nlive++;
}

static bool take(const void *p) {
  for (size_t i = slot_of(p); live[i]; i = (i + 1) % TABLE) {
    if (live[i] != p) continue;
    live[i] = TOMB;
    nlive--;
    return true;
  }
  return false;
}

/* Is the caller of malloc in the module, or in libuv as well? */
static bool ours(void *caller, bool or_libuv) {
  static __thread bool inside; /* dladdr may allocate */
  Dl_info info;
  if (inside) return false;
  inside = true;
  bool yes = dladdr(caller, &info) && info.dli_fname &&
             (strstr(info.dli_fname, "asyncwrite/core.so") || (or_libuv && strstr(info.dli_fname, "libuv")));
  inside = false;
  return yes;
}

static bool refused(void) {
  if (!counting) return false;
  counted++;
  if (counted != fail_at && !(fail_after && fail_at > 0 && counted > fail_at)) return false;
  errno = ENOMEM;
  return true;
}

static void *kept(void *p) {
  if (p) add(p);
  return p;
}

void *malloc(size_t size) {
  if (!ours(__builtin_return_address(0), true)) return __libc_malloc(size);
  return refused() ? NULL : kept(__libc_malloc(size));
}

void *calloc(size_t n, size_t size) {
  if (!ours(__builtin_return_address(0), true)) return __libc_calloc(n, size);
  return refused() ? NULL : kept(__libc_calloc(n, size));
}

/* libuv aborts where its table of watchers cannot grow (uv__io_start): its reallocs are spared. */
void *realloc(void *p, size_t size) {
  if (!ours(__builtin_return_address(0), false)) return __libc_realloc(p, size);
  if (refused()) return NULL;
  if (p) take(p);
  return kept(__libc_realloc(p, size));
}

void free(void *p) {
  if (p) take(p);
  __libc_free(p);
}

static char *copy_of(const char *s, size_t len, bool counts) {
  if (counts && refused()) return NULL;
  char *copy = __libc_malloc(len + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, s, len);
  copy[len] = '\0';
  return counts ? kept(copy) : copy;
}

char *strndup(const char *s, size_t n) { return copy_of(s, strnlen(s, n), ours(__builtin_return_address(0), true)); }

char *strdup(const char *s) { return copy_of(s, strlen(s), ours(__builtin_return_address(0), true)); }

static bool number_after(const char *name, const char *prefix) {
  size_t len = strlen(prefix);
  if (strncmp(name, prefix, len) != 0) return false;
  fail_at = atol(name + len);
  counted = 0;
  counting = true;
  return true;
}

char *getenv(const char *name) {
  static char answer[24];
  char *(*next)(const char *);
  if (number_after(name, "ASYNCWRITE_FAIL_AT_")) fail_after = false;
  else if (number_after(name, "ASYNCWRITE_FAIL_FROM_")) fail_after = true;
  else if (strcmp(name, "ASYNCWRITE_FAIL_STOP") == 0) counting = false;
  if (strncmp(name, "ASYNCWRITE_", 11) == 0) {
    snprintf(answer, sizeof answer, "%ld", strcmp(name, "ASYNCWRITE_LIVE") == 0 ? nlive : counted);
    return answer;
  }
  *(void **)&next = dlsym(RTLD_NEXT, "getenv");
  return next(name);
}
