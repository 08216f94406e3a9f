/* SPDX-License-Identifier: MIT */
/* asyncwrite: wrappers that look at, count, limit, pace or multiply what goes through. Part of asyncwrite.h, which
 * includes it. All own what they wrap, as there; a constructor that fails takes nothing over. */
#ifndef ASYNCWRITE_WRAPPERS_H
#define ASYNCWRITE_WRAPPERS_H

#include "asyncwrite.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Shows every byte that inner accepted, or gave, slice by slice, right after it did (M9). fn may not free the wrapper.
 */
typedef struct aw_inspector {
  void (*fn)(void *data, const char *base, size_t len); /* len >= 1 */
  void (*release)(void *data);                          /* called once, with the wrapper's destroy; may be NULL */
  void *data;
} aw_inspector;
AW_API int aw_inspect_new(aw_writer **out, aw_writer *inner, aw_inspector see);
AW_API int aw_inspect_reader_new(aw_reader **out, aw_reader *inner, aw_inspector see);

/* At most n bytes; then writes return 0 (P4), reads the end of file. */
AW_API int aw_limit_new(aw_writer **out, aw_writer *inner, uint64_t n);
AW_API int aw_take_new(aw_reader **out, aw_reader *inner, uint64_t n);
AW_API uint64_t *aw_limit_left(const aw_writer *w); /* of the outermost limit in a chain, to be read or set; or NULL */
AW_API uint64_t *aw_take_left(const aw_reader *r);

/* Writes everything to all of n writers, which it owns. The fastest may be capacity bytes ahead of the slowest. Flush
 * and shutdown go to all. The first error of a branch is the caller's, or with DROP_FAILED the branch goes and the rest
 * goes on, as long as there is a rest; DROP_SLOW: so goes who is capacity bytes behind, instead of making all wait. */
enum { AW_TEE_MAX = 255, AW_TEE_DROP_FAILED = 1, AW_TEE_DROP_SLOW = 2 };
typedef struct aw_tee_branch {
  aw_writer *w; /* NULL: it was dropped; then failed is why, and name what it was */
  int failed;
  int error; /* of its latest poll, when that failed */
  const char *name;
  const char *behind; /* the bytes it has not taken yet */
  size_t len;
} aw_tee_branch;
AW_API int aw_tee_new(aw_writer **out, aw_writer *const *branches, unsigned n, size_t capacity, unsigned flags);
AW_API aw_writer *aw_tee_find(const aw_writer *w); /* the outermost tee in a chain, or NULL */
AW_API unsigned aw_tee_count(const aw_writer *w);  /* the n it was made with; 0: no tee */
AW_API aw_tee_branch aw_tee_look(const aw_writer *w, unsigned i);
AW_API void aw_tee_release(aw_writer *w); /* frees the tee alone: the branches are the caller's again */

/* A digest of what inner accepted, or gave: "crc32", "crc32c", "adler32", "sha256"; others are UV_EINVAL. value: that
 * of the outermost one in a chain, big-endian; more may follow. Returns its length, 0 when there is none. */
enum { AW_CHECKSUM_MAX = 32 };
AW_API int aw_checksum_new(aw_writer **out, aw_writer *inner, const char *algorithm);
AW_API int aw_checksum_reader_new(aw_reader **out, aw_reader *inner, const char *algorithm);
AW_API size_t aw_checksum_value(const aw_writer *w, uint8_t out[AW_CHECKSUM_MAX]);
AW_API size_t aw_checksum_reader_value(const aw_reader *r, uint8_t out[AW_CHECKSUM_MAX]);

/* So many bytes that writers may hold together. A budget has a parent, or NULL, whose room it shares with others; what
 * is charged to it is charged to all above it. new: one reference is the caller's; it holds one of parent. set_limit:
 * less than is used stops new bytes until that fell; who waits is woken when there is room, and may free what it likes
 * but the budget. waiting: writers that found no room in this one. */
#define AW_UNLIMITED SIZE_MAX
typedef struct aw_budget aw_budget;
AW_API int aw_budget_new(aw_budget **out, size_t limit, aw_budget *parent);
AW_API void aw_budget_ref(aw_budget *budget);
AW_API void aw_budget_unref(aw_budget *budget);
AW_API size_t aw_budget_limit(const aw_budget *budget);
AW_API void aw_budget_set_limit(aw_budget *budget, size_t limit);
AW_API size_t aw_budget_used(const aw_budget *budget);
AW_API size_t aw_budget_waiting(const aw_budget *budget);
/* Charges what inner has accepted and still holds: in wrappers, unread in a pipe in memory, not yet written to a file.
 * That stays charged after the wrapper is freed, until it is read or written. Holds a reference of the budget. Where
 * one is below another, a budget of both is charged by the outer one alone. */
AW_API int aw_budgeted_new(aw_writer **out, aw_writer *inner, aw_budget *budget);

/* ---- Wrappers that need the clock ------------------------------------------------------------------------------
 * rate bytes per second (> 0), of which burst (>= 1) may be saved up; each half has its own. */
AW_API int aw_throttle_new(aw_writer **out, aw_writer *inner, aw_reactor *reactor, double rate, double burst);
AW_API int aw_throttle_reader_new(aw_reader **out, aw_reader *inner, aw_reactor *reactor, double rate, double burst);
/* Of the outermost throttle in the chains of a stream, of the write side if that has one; false: there is none. set:
 * from now on; what was saved up stays, up to burst. Wakes who waits, to wait anew. */
AW_API bool aw_throttle_rate(const aw_stream *s, double *rate, double *burst);
AW_API bool aw_throttle_set_rate(const aw_stream *s, double rate, double burst);

/* One deadline for the halves of inner, either of which may be NULL: once it has passed all polls are UV_ETIMEDOUT. due
 * is by aw_reactor_now, or AW_NEVER. find: the outermost in the chains of a stream, or NULL. set: wakes who waits. */
#define AW_NEVER UINT64_MAX
typedef struct aw_deadline aw_deadline;
AW_API int aw_deadline_new(aw_stream *out, aw_stream inner, aw_reactor *reactor, uint64_t due);
AW_API aw_deadline *aw_deadline_find(const aw_stream *s);
AW_API void aw_deadline_set(aw_deadline *deadline, uint64_t due);

/* fn hears of the bytes accepted, at most once per interval (nanoseconds), and when shutdown is Ready. */
typedef struct aw_progress {
  uint64_t bytes, total; /* total 0: nobody knows */
  double rate;           /* bytes per second, smoothed; in the end, on the whole */
  double left;           /* seconds; negative: nobody knows */
  double seconds;        /* since the start */
  bool ended;
} aw_progress;
typedef struct aw_progress_listener {
  void (*fn)(void *data, const aw_progress *p); /* may not free the wrapper */
  void (*release)(void *data);                  /* called once, with the wrapper's destroy; may be NULL */
  void *data;
} aw_progress_listener;
AW_API int aw_progress_new(aw_writer **out, aw_writer *inner, aw_reactor *reactor, aw_progress_listener listener,
                           uint64_t total, uint64_t interval);

#ifdef __cplusplus
}
#endif
#endif
