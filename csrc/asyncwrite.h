/* SPDX-License-Identifier: MIT */
/* asyncwrite: tokio's AsyncWrite contract in C on libuv.
 *
 * This header is all a C program needs to use the writers below, or to implement its own and stack them.
 *
 * Results of every poll:
 *   n >= 0       Ready. poll_write: n bytes were written now. poll_read: n bytes were read, 0 is end of file.
 *                poll_flush, poll_shutdown: 0.
 *   AW_PENDING   NotReady. Nothing was taken; the waker fires when it is worth polling again (clause P2).
 *   other n < 0  An error: a libuv code (UV_EPIPE ...) or one of the AW_E codes. Nothing was taken (P3).
 *
 * A poll never blocks. One thread only: an object is used on the thread of its reactor's loop. */
#ifndef ASYNCWRITE_H
#define ASYNCWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AW_API __attribute__((visibility("default")))
#else
#define AW_API
#endif

#define AW_PENDING UV_EAGAIN

enum {
  AW_EWRITEZERO = -5001, /* the writer accepted 0 bytes of a non-empty buffer (P4) */
  AW_ECONTRACT = -5002,  /* a writer or reader broke its contract, such as returning more than it was given (P1) */
  AW_ECUSTOM = -5004,    /* a failure of a writer in Lua whose code is none of libuv's */
  AW_ELUA = -5003        /* an error was raised by Lua below this call; the binding raises it again */
};

/* The text of a code: "EPIPE" and "broken pipe". Never NULL. */
AW_API const char *aw_err_name(int code);
AW_API const char *aw_strerror(int code);

/* ---- Wakers ------------------------------------------------------------------------------------------------
 * A waker is embedded first in a struct of its user. wake() may come spuriously, early or more than once (W5, W6). It
 * should only enqueue (W14): the object that wakes may still be on the stack. free(): the last reference is gone. */
typedef struct aw_waker aw_waker;
typedef struct aw_waker_type {
  void (*wake)(aw_waker *waker);
  void (*free)(aw_waker *waker);
} aw_waker_type;
struct aw_waker {
  const aw_waker_type *type;
  unsigned refs;
  bool dead; /* nobody waits any more: wakes are dropped, parked slots may be swept */
};

AW_API void aw_waker_init(aw_waker *waker, const aw_waker_type *type); /* one reference, the caller's */
AW_API void aw_waker_ref(aw_waker *waker);
AW_API void aw_waker_unref(aw_waker *waker);

/* A slot holds the waker of the latest poll in one direction (W2, W3). Parking a NULL waker does nothing: that is
 * how try_write registers nothing. Waking empties the slot first; touch nothing of yours after it (W7). */
AW_API void aw_slot_park(aw_waker **slot, aw_waker *waker);
AW_API void aw_slot_wake(aw_waker **slot);
AW_API void aw_slot_clear(aw_waker **slot);

/* ---- Writers -----------------------------------------------------------------------------------------------
 * Embed struct aw_writer first, fill a const aw_writer_type (every slot is mandatory), call aw_writer_init.
 * Callers never use the slots: they call aw_poll_write and so on, which hold the contract once, for all. */
typedef struct aw_writer aw_writer;

enum aw_vectored { AW_VECTORED_NO, AW_VECTORED_YES, AW_VECTORED_AS_INNER };

typedef struct aw_writer_type {
  const char *name;
  enum aw_vectored vectored; /* NO: the dispatcher hands over the first non-empty buffer only (V2) */
  ssize_t (*poll_write)(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs); /* nbufs >= 1 */
  int (*poll_flush)(aw_writer *w, aw_waker *waker);
  int (*poll_shutdown)(aw_writer *w, aw_waker *waker);
  void (*describe)(const aw_writer *w, char *text, size_t size); /* "buf_writer(8192)"; at most size, NUL included */
  /* The bytes a wrapper holds back, in front of inner (B5). The only slot that may be NULL: a leaf, or what cannot be
   * taken off again. */
  const char *(*held)(const aw_writer *w, size_t *len);
  void (*destroy)(aw_writer *w); /* frees w, now or from a libuv callback; wakes its peer; never touches inner */
} aw_writer_type;

struct aw_writer {
  const aw_writer_type *type;
  aw_writer *inner; /* owned: aw_writer_free frees the whole chain. NULL in a leaf */
  size_t buffered;  /* bytes accepted that have not gone further down yet; kept by the writer */
  unsigned flags;   /* the dispatcher's */
};

/* inner may be NULL. After this the writer owns inner. */
AW_API void aw_writer_init(aw_writer *w, const aw_writer_type *type, aw_writer *inner);
AW_API void aw_writer_free(aw_writer *w); /* abrupt: w and everything it wraps; NULL is allowed */

/* Writes from nbufs buffers as from their concatenation (P1-P11, V1-V7). A short count is normal. */
AW_API ssize_t aw_poll_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
AW_API int aw_poll_flush(aw_writer *w, aw_waker *waker);              /* F1-F7 */
AW_API int aw_poll_shutdown(aw_writer *w, aw_waker *waker);           /* S1-S11; repeated calls after Ready are Ready */
AW_API bool aw_is_write_vectored(const aw_writer *w);                 /* V3 */
AW_API bool aw_is_shutdown(const aw_writer *w);                       /* from the first aw_poll_shutdown on */
AW_API size_t aw_buffered(const aw_writer *w);                        /* bytes held anywhere in the chain */
AW_API void aw_describe(const aw_writer *w, char *text, size_t size); /* "buf_writer(8192) > tcp 127.0.0.1:80" */

/* What the outermost wrapper holds back; NULL: it is none, or cannot be taken off. To take it off: keep a copy of these
 * bytes and w->inner, set w->inner to NULL, free w. */
AW_API const char *aw_held(const aw_writer *w, size_t *len);

/* Slots for writers with nothing to add: forward to inner, or succeed at once in a leaf. */
AW_API ssize_t aw_pass_write(aw_writer *w, aw_waker *waker, const uv_buf_t *bufs, unsigned nbufs);
AW_API int aw_pass_flush(aw_writer *w, aw_waker *waker);
AW_API int aw_pass_shutdown(aw_writer *w, aw_waker *waker);
AW_API int aw_ready(aw_writer *w, aw_waker *waker);
AW_API void aw_describe_name(const aw_writer *w, char *text, size_t size);
AW_API const char *aw_hold_nothing(const aw_writer *w, size_t *len);

/* ---- Readers ------------------------------------------------------------------------------------------------ */
typedef struct aw_reader aw_reader;
typedef struct aw_reader_type {
  const char *name;
  ssize_t (*poll_read)(aw_reader *r, aw_waker *waker, char *base, size_t len); /* len >= 1 */
  void (*describe)(const aw_reader *r, char *text, size_t size);
  const char *(*held)(const aw_reader *r, size_t *len); /* a wrapper: the bytes it has read ahead; or NULL, as above */
  void (*destroy)(aw_reader *r);
} aw_reader_type;
struct aw_reader {
  const aw_reader_type *type;
  aw_reader *inner;
};

AW_API void aw_reader_init(aw_reader *r, const aw_reader_type *type, aw_reader *inner);
AW_API void aw_reader_free(aw_reader *r);
AW_API ssize_t aw_poll_read(aw_reader *r, aw_waker *waker, char *base, size_t len);
AW_API void aw_reader_describe(const aw_reader *r, char *text, size_t size);
AW_API const char *aw_reader_held(const aw_reader *r, size_t *len);
AW_API void aw_reader_describe_name(const aw_reader *r, char *text, size_t size);
AW_API const char *aw_reader_hold_nothing(const aw_reader *r, size_t *len);

/* The two halves of one thing, as constructors of duplex objects hand them out; either may be NULL. Each half is
 * freed on its own (a socket sends FIN when only its writer goes); aw_stream_free frees both, reader first. */
typedef struct aw_stream {
  aw_writer *w;
  aw_reader *r;
} aw_stream;
AW_API void aw_stream_free(aw_stream *s);

/* ---- Constructors ---------------------------------------------------------------------------------------------
 * Each returns 0 or a negative code; on failure nothing is taken over and *out is untouched. */
AW_API int aw_sink_new(aw_writer **out);
AW_API int aw_empty_new(aw_stream *out); /* a sink whose read half is at its end */

/* Collects up to limit bytes; past it writes fail with UV_ENOBUFS. */
AW_API int aw_memory_new(aw_writer **out, size_t limit);
AW_API const char *aw_memory_data(const aw_writer *w, size_t *len);
AW_API void aw_memory_clear(aw_writer *w);

/* Bytes with a position, written over and read from there. Starts with len bytes of init; grows up to limit, where a
 * write returns what fits and then 0 (M5). As a buffer for write_buf: chunk is what is left, advance moves on. */
AW_API int aw_cursor_new(aw_stream *out, const char *init, size_t len, size_t limit);
AW_API uv_buf_t aw_cursor_chunk(const aw_writer *w);
AW_API void aw_cursor_advance(aw_writer *w, size_t n);
AW_API const char *aw_cursor_data(const aw_writer *w, size_t *len);
AW_API size_t aw_cursor_position(const aw_writer *w);
AW_API void aw_cursor_set_position(aw_writer *w, size_t position);

/* In-memory pipes (M1-M4). duplex: two ends; simplex: out->w writes what out->r reads. capacity >= 1. */
AW_API int aw_duplex_new(aw_stream *a, aw_stream *b, size_t capacity);
AW_API int aw_simplex_new(aw_stream *out, size_t capacity);

AW_API int aw_buf_writer_new(aw_writer **out, aw_writer *inner, size_t capacity);  /* B1-B7 */
AW_API int aw_line_writer_new(aw_writer **out, aw_writer *inner, size_t capacity); /* B8-B10 */

AW_API int aw_buf_reader_new(aw_reader **out, aw_reader *inner, size_t capacity);
/* Ready(n): *data holds n buffered bytes (0 is end of file) until the next call; consume takes them. */
AW_API ssize_t aw_buf_reader_poll_fill(aw_reader *r, aw_waker *waker, const char **data);
AW_API void aw_buf_reader_consume(aw_reader *r, size_t n);
/* Ready(n): the first n buffered bytes end with the delimiter. At end of file: all that is left (0: nothing).
 * UV_EMSGSIZE when max bytes hold no delimiter. Nothing is consumed, so it can be cancelled at any time. */
AW_API ssize_t aw_buf_reader_poll_until(aw_reader *r, aw_waker *waker, const char *delim, size_t dlen, size_t max,
                                        const char **data);
AW_API const char *aw_buf_reader_data(const aw_reader *r, size_t *len); /* what is buffered now */
AW_API bool aw_is_buf_reader(const aw_reader *r);

/* ---- Reactor -------------------------------------------------------------------------------------------------
 * The loop behind sockets and timers: a private one (loop NULL), or the host's own, which the host then runs. */
typedef struct aw_reactor aw_reactor;
AW_API int aw_reactor_new(aw_reactor **out, uv_loop_t *loop);
AW_API void aw_reactor_free(aw_reactor *reactor); /* frees it and its timers; objects on it must be gone already */
AW_API int aw_reactor_turn(aw_reactor *reactor, bool wait); /* UV_EBUSY inside itself, UV_EPERM in a forked child */
/* For hosts that turn the loop themselves: readable when a turn is due. From the first call on, sleep on it (and for no
 * longer than backend_timeout), then turn. poke makes it readable, from any thread. */
AW_API int aw_reactor_backend_fd(aw_reactor *reactor);
AW_API void aw_reactor_poke(aw_reactor *reactor);
AW_API int aw_reactor_backend_timeout(const aw_reactor *reactor); /* milliseconds, -1 is forever */
/* Its loop, for handles of your own, to be closed before the reactor is freed: a private loop waits for their end. */
AW_API uv_loop_t *aw_reactor_loop(aw_reactor *reactor);
AW_API size_t aw_reactor_waiting(const aw_reactor *reactor); /* parked directions, timers, requests */
AW_API void aw_reactor_sweep(aw_reactor *reactor); /* lets go of dead wakers, so that waiting counts live ones only */
AW_API uint64_t aw_reactor_now(const aw_reactor *reactor); /* nanoseconds, monotonic */

/* A clock for tests. While it is paused time stands still, and a turn of a private loop that would wait for nothing but
 * timers goes to the first of them at once. A turn that waits for a descriptor or a look-up too takes its real time.
 * jump: to the first timer, whatever else is waited for; false: not paused, or no timer. resume: on from there at the
 * real pace. set_clock: it is now ns; real_time: the clock is as it was at first. With both every timer keeps the time
 * it has left. */
AW_API void aw_reactor_pause(aw_reactor *reactor);
AW_API void aw_reactor_resume(aw_reactor *reactor);
AW_API bool aw_reactor_is_paused(const aw_reactor *reactor);
AW_API bool aw_reactor_jump(aw_reactor *reactor);
AW_API void aw_reactor_set_clock(aw_reactor *reactor, uint64_t ns);
AW_API void aw_reactor_real_time(aw_reactor *reactor);

/* A timer that wakes once. */
typedef struct aw_timer aw_timer;
AW_API int aw_timer_new(aw_timer **out, aw_reactor *reactor, uint64_t due);
AW_API int aw_poll_timer(aw_timer *timer, aw_waker *waker); /* 0 once due has come */
AW_API void aw_timer_fire(aw_timer *timer);                 /* now, before its time; wakes */
AW_API void aw_timer_free(aw_timer *timer);

/* Name look-up by uv_getaddrinfo; numeric addresses need no thread. */
typedef struct aw_resolve aw_resolve;
AW_API int aw_resolve_new(aw_resolve **out, aw_reactor *reactor, const char *host, const char *service, bool passive);
AW_API int aw_poll_resolve(aw_resolve *resolve, aw_waker *waker, const struct addrinfo **list);
AW_API void aw_resolve_free(aw_resolve *resolve);

/* ---- Sockets and pipes ----------------------------------------------------------------------------------------
 * connect starts at once; the stream may be polled when aw_poll_connect is Ready. */
typedef struct aw_listener aw_listener;
AW_API int aw_tcp_connect(aw_stream *out, aw_reactor *reactor, const struct sockaddr *to, const struct sockaddr *from);
/* A connected socket of somebody else's. fd is dup'd, its flags are left alone. UV_ENOTCONN, UV_EINVAL: not tcp. */
AW_API int aw_tcp_open(aw_stream *out, aw_reactor *reactor, int fd);
AW_API int aw_tcp_listen(aw_listener **out, aw_reactor *reactor, const struct sockaddr *at, int backlog,
                         bool reuseport);
AW_API int aw_unix_connect(aw_stream *out, aw_reactor *reactor, const char *path, size_t len);
AW_API int aw_unix_listen(aw_listener **out, aw_reactor *reactor, const char *path, size_t len, int backlog);
AW_API int aw_unix_pair(aw_stream *a, aw_stream *b, aw_reactor *reactor);
AW_API int aw_poll_connect(aw_writer *w, aw_waker *waker);
AW_API int aw_poll_accept(aw_listener *listener, aw_waker *waker, aw_stream *out);
AW_API int aw_listener_fd(const aw_listener *listener);
AW_API void aw_listener_free(aw_listener *listener);

AW_API int aw_pipe_pair(aw_stream *out, aw_reactor *reactor); /* out->r reads what out->w writes */
/* A pipe of which *other, a blocking descriptor, is the caller's to hand on: its reading end if out is to be written.
 */
AW_API int aw_pipe_half(aw_stream *out, aw_reactor *reactor, bool writing, int *other);
/* Any descriptor that can be polled (not a regular file: UV_EPERM). fd is dup'd, the caller keeps its own; the half
 * that its access mode lacks stays NULL. */
AW_API int aw_pipe_open(aw_stream *out, aw_reactor *reactor, int fd);

/* ---- Files -----------------------------------------------------------------------------------------------------
 * A file on a disk. A write is accepted into a buffer and goes on behind; its failure is told by the next write, flush,
 * shutdown or sync, once, and what could not be written is kept: the call after that tries again (D1-D6, F7). */

/* Opens on the thread pool. flags and mode as of open(2). The stream may be polled at once; a failure is the result of
 * every poll. aw_poll_open: 0 when it is open, 1 when it is a pipe, terminal or device rather than a file. */
AW_API int aw_file_open(aw_stream *out, aw_reactor *reactor, const char *path, int flags, int mode);
AW_API int aw_poll_open(const aw_stream *s, aw_waker *waker);
AW_API int aw_file_from_fd(aw_stream *out, aw_reactor *reactor, int fd); /* dup'd: the position is shared */
AW_API bool aw_is_file(const aw_stream *s);                              /* at the end of its chain; so below */
AW_API int aw_file_fd(const aw_stream *s);                               /* -1: not open, or no file */
AW_API void aw_file_set_max_buf_size(const aw_stream *s, size_t n);      /* the most that one write accepts: 2 MiB */

/* What was accepted and not written, until the next call for this file; *at: where in the file it belongs, -1: at its
 * end, or that cannot be known. *failure: of a write, if nobody was told yet, else 0; now it counts as told, and
 * freeing the writer warns of nothing. UV_EBUSY: the pool has the bytes. */
AW_API int aw_file_unwritten(const aw_stream *s, uv_buf_t *bytes, int64_t *at, int *failure);

/* Calls for files. Polled with the same op until it is Ready; id is 0 in the first poll. Syncs write first what was
 * accepted; seek and set_len wait for a write under way. Ready: for seek the position from the start of the file. */
enum aw_file_op_kind { AW_FILE_SEEK, AW_FILE_SET_LEN, AW_FILE_SYNC_ALL, AW_FILE_SYNC_DATA };
typedef struct aw_file_op {
  enum aw_file_op_kind kind;
  int whence; /* seek: SEEK_SET ... */
  int64_t offset;
  uint64_t id;
} aw_file_op;
AW_API int64_t aw_poll_file_op(const aw_stream *s, aw_waker *waker, aw_file_op *op);

/* What the system knows of the file of that path, or of fd where path is NULL; asked on the thread pool. *st is good
 * until free. */
typedef struct aw_metadata aw_metadata;
AW_API int aw_metadata_new(aw_metadata **out, aw_reactor *reactor, const char *path, int fd);
AW_API int aw_poll_metadata(aw_metadata *metadata, aw_waker *waker, const struct stat **st);
AW_API void aw_metadata_free(aw_metadata *metadata);

/* Standard input (0), output (1) or error (2): one half. No flag of what the process was given is ever changed; its
 * shutdown leaves the process's own descriptor open. UV_EPERM: use aw_file_from_fd, it is a file, or a terminal or pipe
 * that this user may not open again. */
AW_API int aw_stdio_open(aw_stream *out, aw_reactor *reactor, int fd);

/* ---- Processes and signals -------------------------------------------------------------------------------------
 * By libuv, which takes SIGCHLD and whatever is listened to for itself: not beside another reaper of children. */
typedef struct aw_process aw_process;
typedef struct aw_process_options {
  const char *const *args; /* the program, looked for in PATH, and its arguments; ends with NULL. No shell */
  const char *const *env;  /* "NAME=value" ..., ends with NULL; NULL: that of this process */
  const char *cwd;         /* NULL: that of this process */
  int stdio[3];            /* descriptors that it gets, blocking; -1: /dev/null. They stay the caller's */
  bool kill_on_drop;       /* free kills it, by SIGKILL; else it runs on. Either way it is reaped */
  bool detached;           /* the leader of a session, and so of a process group, of its own */
} aw_process_options;
AW_API int aw_process_new(aw_process **out, aw_reactor *reactor, const aw_process_options *options);
AW_API int aw_poll_process(aw_process *process, aw_waker *waker, int *status, int *signal); /* its end */
AW_API int aw_process_kill(aw_process *process, int signal);       /* UV_ESRCH once its end was seen */
AW_API int aw_process_kill_group(aw_process *process, int signal); /* likewise; UV_EINVAL where it is not detached */
AW_API int aw_process_pid(const aw_process *process);
AW_API void aw_process_free(aw_process *process);

/* Ready when the signal has come since the last Ready: several may count as one. While one exists the signal does
 * nothing else; free puts back what it did before. */
typedef struct aw_signal aw_signal;
AW_API int aw_signal_new(aw_signal **out, aw_reactor *reactor, int number);
AW_API int aw_poll_signal(aw_signal *signal, aw_waker *waker);
AW_API void aw_signal_free(aw_signal *signal);

/* The descriptor under a chain, or -1. */
AW_API int aw_writer_fd(const aw_writer *w);
AW_API int aw_reader_fd(const aw_reader *r);

/* ---- Chaos ---------------------------------------------------------------------------------------------------------
 * For tests: trouble by dice, within the contract. A dice decides what each poll of all streams that share it does, and
 * records it; the same seed, or a record that is replayed, decides the same again. */
typedef struct aw_dice aw_dice;
enum aw_chaos_verb {
  AW_CHAOS_OK,       /* nothing */
  AW_CHAOS_SHORT,    /* arg bytes at most */
  AW_CHAOS_EARLY,    /* NotReady, woken before it returns */
  AW_CHAOS_LATE,     /* NotReady, woken in arg milliseconds */
  AW_CHAOS_SPURIOUS, /* LATE, and woken for nothing at once */
  AW_CHAOS_ZERO,     /* 0 of some bytes; the next write may take some (P4) */
  AW_CHAOS_ERROR,    /* the code arg; the next poll goes on (P3) */
  AW_CHAOS_FATAL,    /* the code arg, from now on (S9) */
  AW_CHAOS_CANCEL,   /* LATE, and aw_poll_cancel is Ready: whoever waits is to be cancelled */
  AW_CHAOS_VERBS
};
typedef struct aw_chaos_step {
  uint16_t verb;
  int32_t arg;
} aw_chaos_step;
typedef struct aw_chaos_profile {
  uint8_t percent[AW_CHAOS_VERBS]; /* of the polls; the rest is OK */
  unsigned max_late;               /* milliseconds */
  int error, fatal;                /* codes */
} aw_chaos_profile;
AW_API int aw_dice_new(aw_dice **out, aw_reactor *reactor, uint32_t seed, const aw_chaos_profile *profile);
AW_API int aw_dice_replay(aw_dice *dice, const aw_chaos_step *steps, size_t n); /* these, and then OK */
AW_API const aw_chaos_step *aw_dice_steps(const aw_dice *dice, size_t *n);      /* those taken; the first 2^20 */
AW_API int aw_poll_cancel(aw_dice *dice, aw_waker *waker);
AW_API void aw_dice_ref(aw_dice *dice);
AW_API void aw_dice_unref(aw_dice *dice);
AW_API int aw_chaos_new(aw_writer **out, aw_writer *inner, aw_dice *dice); /* holds a reference of the dice */
AW_API int aw_chaos_reader_new(aw_reader **out, aw_reader *inner, aw_dice *dice);

/* ---- Copy ------------------------------------------------------------------------------------------------------
 * Moves everything from r to w (A7-A9): flushes when the reader stalls and at its end; with shut_down it then shuts w
 * down. Borrow r and w: neither is owned. Ready: the total in *total. The buffer is held only while it has bytes. */
typedef struct aw_copy aw_copy;
AW_API int aw_copy_new(aw_copy **out, size_t buffer, bool shut_down);
AW_API int aw_poll_copy(aw_copy *copy, aw_reader *r, aw_writer *w, aw_waker *waker);
AW_API uint64_t aw_copy_total(const aw_copy *copy);  /* bytes w has accepted so far */
AW_API bool aw_copy_is_writing(const aw_copy *copy); /* NotReady was for w: there is something to write or to flush */
AW_API void aw_copy_free(aw_copy *copy);

#ifdef __cplusplus
}
#endif

#include "asyncwrite_wrappers.h"

#endif
