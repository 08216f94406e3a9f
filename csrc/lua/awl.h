/* SPDX-License-Identifier: MIT */
/* The Lua binding's own header. One awl_state per lua_State, one box type for all writers and readers. */
#ifndef AWL_H
#define AWL_H

#include "asyncwrite.h"
#include "lua/compat.h"

#include <lua.h>

enum { AWL_READ, AWL_WRITE };     /* directions, each with one slot (W3) */
enum { AWL_BUDGET = 128 };        /* ready polls until a task must let the loop turn (W12) */
enum { AWL_TURN_NS = 100000 };    /* nanoseconds in which the loop need not turn again for a task that is alone */
enum { AWL_SCRATCH = 64 * 1024 }; /* the shared read buffer: the most that one read returns */

struct awl_state;
struct awl_embed;

/* What can be woken: a task, or a function of Lua. Queued on the state's ready list, once. */
struct awl_wakeable {
  aw_waker waker;
  struct awl_state *st;
  struct awl_wakeable *next;
  bool queued;
  bool blank; /* queued, but what it was ready for is done */
  bool is_task;
  int ref;                 /* the task's table, or the function; LUA_NOREF when it is over */
  lua_State *co;           /* tasks: the coroutine */
  unsigned turn;           /* tasks: counts resumes, so that a wait of an earlier turn is known to be over */
  unsigned noted;          /* references that boxes hold: they are no waits */
  struct awl_trace *trace; /* of the stream it waits on, which is told of the wake; NULL mostly */
  const char *op;          /* tasks: what it waits in, while it does; below, on what: a place on its own stack */
  unsigned char on;
  bool steady;          /* tasks: the executor need not look at each of its steps */
  lua_Integer accepted; /* tasks: by the operation that waits; negative: it does not count */
};

/* The task that parked in one direction of a box, and in which of its turns. */
struct awl_parked {
  struct awl_wakeable *who;
  unsigned turn;
};

/* A context that overrides the task: with_waker, or a poll function of a custom writer. */
struct awl_box;

struct awl_frame {
  aw_waker *waker; /* NULL: a try, nothing is registered */
  bool touched;    /* the waker was taken or handed to an inner poll */
  struct awl_frame *up;
};

struct awl_state {
  aw_reactor *reactor; /* NULL until something needs the loop */
  pid_t pid;
  bool dead;         /* lua_close has come by */
  lua_State *thread; /* anchored, for releasing references outside any call */
  lua_State *poll_L; /* the coroutine whose poll is on the C stack; custom writers run on it */
  struct awl_wakeable *ready, **ready_tail;
  size_t nready, nfunctions;    /* queued in all; of them functions */
  struct awl_wakeable *current; /* the task resumed last: the common case of finding a context */
  unsigned budget;
  bool force_turn;         /* a task ran out of budget */
  bool crowded;            /* the host has let others go on that have not run yet */
  uint64_t turned;         /* when the loop turned last */
  bool stale;              /* a finished task may have left wakers in slots */
  bool hosted, pumping;    /* a host sleeps on backend_fd; it is at work just now */
  bool eager;              /* the host cannot know when a task waits: it is poked by tasks too */
  struct awl_embed *embed; /* the host is a C program's own loop */
  struct awl_frame *frame;
  int error_ref; /* what Lua raised below a poll; raised again at the box */
  int said_ref;  /* {message, code} of the last failure of a custom writer, with its number */
  ssize_t said_code;
  int methods_ref, tasks_ref, live_ref, sources_ref;
  int custom_ref, callback_ref, handler_ref;
  int customs_ref, dying_ref; /* custom -> methods: weakly; of the box that is being finalised */
  int meta_box_ref, meta_waker_ref, meta_timer_ref, meta_task_ref, meta_copy_ref, meta_resolve_ref, meta_bridge_ref,
      meta_process_ref, meta_signal_ref, meta_dice_ref, meta_budget_ref, meta_metadata_ref;
  int budget_ref; /* the global budget; 0: nobody has asked for it */
  char *scratch;
  struct awl_box *boxes;      /* all: what finalisers make during lua_close is never finalised itself */
  struct awl_handle *handles; /* likewise, of tasks */
};

/* The userdata by which Lua holds a task. */
struct awl_handle {
  struct awl_wakeable *who;
  struct awl_handle *prev, *next; /* in the state's list */
};
void awl_drop_handle(struct awl_handle *handle);

struct awl_deadline;
struct awl_trace;

/* What stats() tells. Times are nanoseconds. */
struct awl_stats {
  uint64_t bytes[2];                 /* read, accepted */
  uint64_t lost;                     /* accepted, and still held at close */
  uint64_t pendings, waits, stalled; /* of the write direction */
  uint64_t stalled_since;            /* 0: it is not */
};

struct awl_box {
  const void *magic;
  struct awl_state *st;
  struct awl_box *prev, *next; /* in the state's list */
  aw_writer *w;
  aw_reader *r;
  aw_listener *listener; /* instead of both; accepting is its read direction */
  bool closed, moved, close_later, anchored;
  union {
    struct {
      bool busy, traced; /* it is being polled; its polls are recorded */
    };
    uint16_t closely; /* one of them: the short path is not for it */
  };
  struct awl_parked parked[2];
  struct awl_deadline *deadline;
  struct awl_stats stats;
  struct awl_trace *trace;
  uintptr_t origin[2]; /* split: what unsplit compares, the reader and the writer as they were together */
  char where[40];      /* "script.lua:12", for the warning about lost bytes */
};

/* state.c */
extern const char awl_state_key;                                             /* its address is the registry key */
struct awl_state *awl_state_open(lua_State *L);                              /* creates it, leaves it on the stack */
struct awl_state *awl_state_of(lua_State *L);                                /* from upvalue 1 */
aw_reactor *awl_reactor(lua_State *L, struct awl_state *st, const char *op); /* raises when it cannot be had */
void awl_add_functions(lua_State *L, const luaL_Reg *functions);             /* into the table on top, state upvalue */
int awl_new_metatable(lua_State *L, const char *name, const luaL_Reg *methods); /* returns its reference */
void awl_set_metatable(lua_State *L, int ref);
void *awl_to_handle(lua_State *L, int index, int ref); /* the userdata at index, if that is its metatable; or NULL */
void *awl_check_handle(lua_State *L, int ref);         /* the userdata at 1, if that is its metatable */

/* errors.c */
_Noreturn int awl_raise(lua_State *L, const char *op, const char *fmt,
                        ...); /* positioned at the caller of the library */
_Noreturn int awl_arg_error(lua_State *L, const char *op, int arg, const char *name, const char *fmt, ...);
_Noreturn int awl_type_error(lua_State *L, const char *op, int index, int arg, const char *name, const char *expected);
int awl_fail(lua_State *L, ssize_t code); /* pushes nil, message, code */
int awl_status(lua_State *L, int rc);     /* true, false or the triple */
const char *awl_check_string(lua_State *L, const char *op, int index, int arg, const char *name, size_t *len);
size_t awl_check_size(lua_State *L, const char *op, int index, int arg, const char *name, size_t min, size_t max);
size_t awl_opt_size(lua_State *L, const char *op, int index, int arg, const char *name, size_t def, size_t min,
                    size_t max);
void awl_where(lua_State *L, char *text, size_t size);

/* task.c */
aw_waker *awl_context(lua_State *L, struct awl_state *st, const char *op); /* raises outside a task; may be NULL */
struct awl_wakeable *awl_current_task(lua_State *L, struct awl_state *st); /* NULL when L is no task */
void awl_note(struct awl_parked *at, struct awl_wakeable *who);            /* who may be NULL */
struct awl_wakeable *awl_next_ready(lua_State *L, struct awl_state *st);   /* to be resumed, with a fresh budget */
struct awl_wakeable *awl_check_task(lua_State *L);                         /* the handle at 1 */
bool awl_spend(struct awl_state *st);                         /* false: out of budget, the task is woken again */
void awl_drain_functions(lua_State *L, struct awl_state *st); /* calls woken functions; below a poll its end does */
void awl_poke_outside(lua_State *L, struct awl_state *st);    /* wakes the host, unless it or a task is running */
void awl_release(struct awl_wakeable *who);
/* Seen from one userdata that holds it: does anything else keep the waker, or is a wake on its way? */
bool awl_is_held(const aw_waker *waker);
extern const luaL_Reg awl_task_functions[], awl_task_methods[], awl_loop_functions[];

/* resume.c */
/* Why who, the task of L or NULL, cannot wait now; NULL: it can. */
const char *awl_cannot_park(lua_State *L, struct awl_state *st, const struct awl_wakeable *who);
void awl_leave_wait(struct awl_wakeable *who); /* its coroutine is about to go on */
extern const luaL_Reg awl_resume_functions[], awl_resume_methods[];

/* wait.c */
#ifndef AWL_LUA_YIELDS
int awl_wait(lua_State *L, const char *op, int on, lua_Integer accepted, lua_KContext context, lua_KFunction k);
#endif
extern const luaL_Reg awl_wait_functions[];

/* waker.c */
int awl_push_waker(lua_State *L, struct awl_state *st, aw_waker *waker);
extern const luaL_Reg awl_waker_functions[], awl_waker_methods[];

/* box.c */
struct awl_box *awl_push_box(lua_State *L); /* empty and closed: made before what goes in, which may fail */
struct awl_box *awl_new_box(lua_State *L, struct awl_state *st); /* the same for C functions that are not ours */
void awl_move_out(struct awl_box *b);                            /* its halves have gone elsewhere */
/* The anchor of a box: a table, custom -> its methods, for every custom writer or reader in its chain. */
void awl_set_anchor(lua_State *L, int index);      /* pops it */
void awl_take_anchor(lua_State *L, int from);      /* into the box on top, from one that moves into it */
void awl_fill_box(struct awl_box *b, aw_stream s); /* opens it */
extern const char awl_box_magic;
/* NULL: not a box. The size tells a userdata that is large enough to hold the magic from a light or foreign one. */
static inline struct awl_box *awl_to_box(lua_State *L, int index) {
  struct awl_box *b = lua_touserdata(L, index);
  return b && lua_rawlen(L, index) == sizeof *b && b->magic == &awl_box_magic ? b : NULL;
}
struct awl_box *awl_check_box(lua_State *L, const char *op, int index, int arg, const char *name); /* open, not moved */
struct awl_box *awl_check_writer(lua_State *L, const char *op, int index, int arg, const char *name);
struct awl_box *awl_check_reader(lua_State *L, const char *op, int index, int arg, const char *name);
void awl_check_idle(lua_State *L, struct awl_box *b, const char *op, int arg, const char *name);
void awl_close_box(struct awl_box *b);      /* a busy one: later */
void awl_close_if_asked(struct awl_box *b); /* while it was busy, which it is no more */
extern const luaL_Reg awl_box_methods[], awl_box_meta[];

/* wrap.c: what every constructor of a wrapper does. The box at 1 is the wrapped one. */
struct awl_box *awl_check_wrapped(lua_State *L, const char *op); /* a writer on which nobody waits */
struct awl_box *awl_check_wrapped_reader(lua_State *L, const char *op);
struct awl_box *awl_push_wrapper(lua_State *L); /* an empty box, which keeps alive what the one at 1 does */
/* Raises rc, or moves the box at 1 into made: the halves that are not in s come along as they are. Returns 1. */
int awl_finish_wrapper(lua_State *L, const char *op, struct awl_box *made, int rc, aw_stream s);

/* tee.c: into_parts of a box that is a tee; pushes each branch that is left, and the bytes it lacks */
int awl_split_tee(lua_State *L, struct awl_box *b);

/* callback.c: functions of Lua that a writer in C calls while it is polled. Errors in one are kept, and raised at the
 * box that was polled. In one nothing can wait, and polls register nothing. */
struct awl_callback;
struct awl_callback *awl_callback_new(lua_State *L, const char *op,
                                      int f); /* for the box on top, which keeps f; raises */
void awl_callback_free(void *callback);
/* push(L, data) pushes the arguments, at most 8, and returns their number; it may raise. */
void awl_callback_run(struct awl_callback *self, int (*push)(lua_State *L, const void *data), const void *data);
int awl_callback_body(lua_State *L);

/* poll.c: every poll of a box goes between begin and end */
struct awl_poll {
  struct awl_box *box;
  int dir;
  aw_waker *waker;
  struct awl_wakeable *task; /* the task to note as parked, or NULL */
  lua_State *outer_L;
  const char *op;
  uint64_t started; /* of a traced box: when, and 1; else 0 */
  int early;        /* AW_PENDING when the budget is spent: the poll is skipped; else 0 */
  bool other;       /* NotReady is for something else than the box */
};
aw_waker *awl_check_pollable(lua_State *L, struct awl_box *b, int dir, const char *op); /* what begin raises */
void awl_begin(lua_State *L, struct awl_poll *p, struct awl_box *b, int dir, const char *op, bool trying);
ssize_t awl_leave(struct awl_poll *p, ssize_t result);
void awl_unpark(struct awl_box *b, int dir);         /* the calling task has its answer */
void awl_settle(lua_State *L, struct awl_state *st); /* raises what Lua raised below; runs woken functions */
ssize_t awl_end(lua_State *L, struct awl_poll *p, ssize_t result); /* leave and settle */

/* The common case, a task polling a box that nobody else polls or waits on, costs no calls: it runs for every 64 bytes
 * written. Returns the task, or NULL when begin has to look closer. After it: awl_end_plain, or awl_end_other on its
 * failure. */
static inline struct awl_wakeable *awl_begin_plain(lua_State *L, struct awl_box *b, int dir) {
  struct awl_state *st = b->st;
  struct awl_wakeable *me = st->current, *waits = b->parked[dir].who;
  if (!me || me->co != L || st->budget == 0 || st->poll_L || st->frame || b->closely || (waits && waits != me))
    return NULL;
  st->budget--;
  st->poll_L = L;
  b->busy = true;
  return me;
}

static inline bool awl_end_plain(struct awl_box *b, int dir, ssize_t result) {
  struct awl_state *st = b->st;
  if (result < 0 || b->close_later || st->error_ref != LUA_NOREF || st->nfunctions > 0) return false;
  st->poll_L = NULL;
  b->busy = false;
  b->stats.bytes[dir] += (size_t)result;
  if (b->parked[dir].who) awl_unpark(b, dir);
  return true;
}

/* The other common case: a read has to wait. */
static inline bool awl_pend_plain(struct awl_box *b, int dir, struct awl_wakeable *me) {
  struct awl_state *st = b->st;
  if (dir != AWL_READ || b->deadline || b->close_later || st->error_ref != LUA_NOREF || st->nfunctions > 0)
    return false;
  st->poll_L = NULL;
  st->budget++; /* only progress is counted (W12) */
  b->busy = false;
  awl_note(&b->parked[dir], me);
  return true;
}

static inline ssize_t awl_end_other(lua_State *L, struct awl_box *b, int dir, struct awl_wakeable *me, ssize_t result) {
  struct awl_poll p = {.box = b, .dir = dir, .waker = &me->waker, .task = me};
  return awl_end(L, &p, result);
}

/* The box was closed while the calling task waited on it: the poll is to return ECANCELED. */
bool awl_canceled(lua_State *L, int index, int dir);

extern const luaL_Reg awl_write_methods[], awl_read_methods[], awl_memory_functions[], awl_memory_methods[],
    awl_wrap_functions[], awl_wrap_methods[], awl_net_functions[], awl_net_methods[], awl_socket_methods[],
    awl_resolve_functions[], awl_resolve_methods[], awl_copy_functions[], awl_copy_methods[], awl_timer_functions[],
    awl_timer_methods[], awl_encode_functions[], awl_custom_functions[], awl_deadline_methods[], awl_bridge_functions[],
    awl_bridge_methods[], awl_testing_functions[];
extern const luaL_Reg awl_wrapper_functions[], awl_wrapper_methods[], awl_tee_functions[], awl_tee_methods[],
    awl_pace_functions[], awl_pace_methods[];
extern const luaL_Reg awl_chaos_functions[], awl_dice_methods[], awl_budget_functions[], awl_budget_methods[];
extern const luaL_Reg awl_metadata_functions[], awl_metadata_methods[];
extern const luaL_Reg awl_file_functions[], awl_file_methods[], awl_process_functions[], awl_process_methods[],
    awl_signal_methods[];

int awl_custom_call(lua_State *L);                      /* the protected body of a custom poll */
void awl_ask_buffered(lua_State *L, struct awl_box *b); /* brings aw_buffered up to date; may raise, and close b */
int awl_error_handler(lua_State *L);

/* api.c: asyncwrite_lua.h */
void awl_publish_api(lua_State *L);

/* embed.c: the loop of a C program; see lua_set_loop in asyncwrite_lua.h */
int awl_embed(lua_State *L, struct awl_state *st, uv_loop_t *loop);
void awl_embed_poke(struct awl_embed *self); /* something is ready */
void awl_embed_free(struct awl_embed *self); /* its handles go in later callbacks of the loop */

/* resolve.c: the address that number 'at' of a look-up gave */
const struct sockaddr *awl_check_address(lua_State *L, const char *op, int index, int at);

/* stats.c */
uint64_t awl_now(const struct awl_state *st);    /* nanoseconds of the clock that the timers use */
void awl_stall(struct awl_box *b, bool of_task); /* a poll of the write direction was NotReady */
void awl_stall_ends(struct awl_box *b);
extern const luaL_Reg awl_stats_methods[];

/* trace.c */
void awl_trace_poll(const struct awl_poll *p, ssize_t result);
void awl_trace_wake(struct awl_wakeable *who); /* and forgets its trace */
void awl_trace_unref(struct awl_trace *trace); /* NULL is allowed */
extern const luaL_Reg awl_trace_methods[];

/* deadline.c */
lua_Number awl_check_seconds(lua_State *L, const char *op, int index, int arg, const char *name);
bool awl_deadline_passed(const struct awl_box *b);
void awl_deadline_free(struct awl_box *b);

#endif
