---@meta asyncwrite
-- SPDX-License-Identifier: MIT
-- What `require "asyncwrite"` gives, for the Lua language server; never loaded at run time. The internal module
-- asyncwrite.core stands at the end. spec/unit/meta_spec.lua holds this file against the real module, both ways.
--
-- Results. Ready is a truthy value, NotReady is false, Err is nil, message, code: `nil, "EPIPE: broken pipe", "EPIPE"`.
-- A poll never suspends; a function marked async suspends the calling task (never the process) and so never returns
-- false. The end of file is nil alone. Misuse (wrong types, ranges, a closed or moved stream, no task) raises an error.
-- Codes are libuv's names (EPIPE, ECONNRESET, ETIMEDOUT ...) and EWRITEZERO (the writer took 0 bytes, P4), ECONTRACT
-- (a writer broke the contract, P1), ECUSTOM (a writer in Lua failed without a code), EOF.
--
-- Units: sizes are bytes, times are seconds (floats). Ids such as P2 or A3 are clauses of the contract: P poll_write,
-- F flush, S shutdown, V vectored, A operations, W wakers and tasks, B buf_writer, M memory kinds.

---@class asyncwrite
---@field _VERSION string
---@field CANCELLED table what a cancelled task is unwound with where Lua has no coroutine.close; never swallow it
---@field tcp asyncwrite.tcp
---@field trace asyncwrite.trace
---@field unix asyncwrite.unix
---@field pipe asyncwrite.pipe
---@field file asyncwrite.file
---@field process asyncwrite.process
local aw = {}

-- ---- Tasks ----

--- Runs f(...) as the main task and turns the loop until every task has ended.
--- Raises f's error; the error of a task that nobody joined; or, when tasks remain and nothing can wake any of them, a
--- message with the name, operation, writer and source line of each.
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return any ... what f returns
function aw.run(f, ...) end

--- Starts f(...) as a task; it first runs when the caller waits. `spawn("name", f, ...)` names it for reports. Outside
--- a task it is queued until `run`.
---@param name string what reports call the task; may be left out
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return asyncwrite.Task task
---@overload fun(f: async fun(...: any), ...: any): asyncwrite.Task
function aw.spawn(name, f, ...) end

--- Waits; 0 is a yield.
---@async
---@param seconds number 0 to 1e9
function aw.sleep(seconds) end

--- Lets the other ready tasks and the loop run (W12).
---@async
function aw.yield() end

--- Runs f(...) under a deadline (A10). f is polled first: what is ready beats a deadline that has passed. When time is
--- up f is dropped as by Task:cancel. accepted is what the operation that was cut had accepted; of a read, what it had
--- taken; 0 if f waits in first or all.
---@async
---@param seconds number 0 to 1e9
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return any ... f's results; or nil, message, "ETIMEDOUT", accepted
function aw.timeout(seconds, f, ...) end

--- Runs all functions until the first ends, and drops the others. An error of the first to end is raised.
---@async
---@param ... async fun(): ...
---@return integer number which one ended
---@return any ... its results
function aw.first(...) end

--- Runs all functions to their end. An error in one drops the others and is raised.
---@async
---@param ... async fun(): any
---@return any ... the first result of each, in order
function aw.all(...) end

--- Suspends the calling task until something wakes it: the building block of your own operations. A wake is a hint
--- (W5): poll again afterwards, and park again while the poll says false.
---@async
---@param op string names the wait in reports
---@param on? any what is waited on, for reports
---@param accepted? integer bytes accepted so far, which a timeout tells
function aw.park(op, on, accepted) end

--- Makes a waker of a function. It is called, with no arguments, when a poll made under it is worth repeating: soon
--- after the wake and never below a poll, possibly spuriously or once for several wakes (W5, W6, W14). An error in f is
--- warned of. The waker keeps f: an f that itself reaches the waker keeps both for ever, so let it reach it through a table
--- that is emptied, or with weak values.
---@param f fun()
---@return asyncwrite.Waker waker
function aw.waker(f) end

--- Calls f(...) so that polls inside it register waker, in a task or out of one. f runs to its end: waiting inside it
--- raises. An error in f is raised.
---@param waker asyncwrite.Waker
---@param f fun(...: any): ...
---@param ... any arguments of f
---@return any ... what f returns
function aw.with_waker(waker, f, ...) end

--- The waker of the innermost context: a writer in Lua takes it before it returns false (W1). Raises outside a task,
--- with_waker and custom functions.
---@return asyncwrite.Waker waker
function aw.current_waker() end

--- The clock of all timers: monotonic, from an arbitrary start.
---@return number seconds
function aw.now() end

--- When tasks wait and nothing but the caller can wake any of them: the message that run raises then, which names each
--- with its operation, its stream and the line. Else nil. For hosts that cannot know whether more is to come: Neovim,
--- a C program's loop; in nginx the error log is told too.
---@return string? report
function aw.stuck() end

--- A fair lock, for sharing a writer between tasks.
---@return asyncwrite.Mutex mutex
function aw.mutex() end

--- One task tells another that something happened, without a value; as tokio's Notify.
---@return asyncwrite.Notify notify
function aw.notify() end

--- A queue of values between tasks, with any number of senders and receivers.
---@param capacity integer at least 1; sending waits while so many are queued
---@return asyncwrite.Channel channel
function aw.channel(capacity) end

-- ---- Writers and readers in memory ----

--- Accepts everything, keeps nothing (M6).
---@return asyncwrite.Writer writer
function aw.sink() end

--- Accepts everything, keeps nothing, and has nothing to read: the end of file at once (M6).
---@return asyncwrite.Duplex stream
function aw.empty() end

--- Collects what is written (M5). Past the limit writes fail with ENOBUFS.
---@param limit? integer bytes, 1 to 2^31-1; default 2^30
---@return asyncwrite.Memory writer
function aw.memory(limit) end

--- Bytes with one position: writes go over them from there, reads take from there, as std's Cursor (M5). It is also the
--- buffer of write_buf and write_all_buf. At the limit a write accepts what fits, and then 0.
---@param initial? string
---@param limit? integer bytes, #initial (at least 1) to 2^31-1; default 2^30
---@return asyncwrite.Cursor cursor
function aw.cursor(initial, limit) end

--- Two ends in memory; what one writes the other reads (M1-M4). A write accepts what fits; the peer's close gives EPIPE.
---@param capacity integer bytes held in each direction, 1 to 2^31-1
---@return asyncwrite.Duplex near
---@return asyncwrite.Duplex far
function aw.duplex(capacity) end

--- A one-way pipe in memory.
---@param capacity integer bytes held, 1 to 2^31-1
---@return asyncwrite.Reader reader
---@return asyncwrite.Writer writer
function aw.simplex(capacity) end

-- ---- Wrappers: what they wrap is moved into them, and raises "moved into a wrapper" from then on ----

--- Collects small writes (B1-B7). A write that does not fit flushes what is held first; one of at least capacity goes
--- straight through. Nothing reaches w before that, a flush or a shutdown. A read half of w comes along.
---@param w asyncwrite.Writer moved into the result
---@param capacity? integer bytes, 0 to 2^31-1; default 8192
---@return asyncwrite.BufWriter writer
function aw.buf_writer(w, capacity) end

--- Hands whole lines on at once and holds back the last, unfinished one; as std's LineWriter (B8-B10). What it hands on
--- is written to w, not flushed (B9). A line longer than the capacity goes in pieces. A read half of w comes along.
---@param w asyncwrite.Writer moved into the result
---@param capacity? integer bytes, 0 to 2^31-1; default 1024
---@return asyncwrite.BufWriter writer
function aw.line_writer(w, capacity) end

--- Reads ahead. read_until, read_line, lines and fill_buf put one of 8192 bytes around a reader that has none. The
--- buffer is allocated only while it has bytes. A write half of r comes along.
---@param r asyncwrite.Reader moved into the result
---@param capacity? integer bytes, 1 to 2^31-1; default 8192
---@return asyncwrite.BufReader reader
function aw.buf_reader(r, capacity) end

---@class asyncwrite.ThrottleOptions
---@field burst? number bytes that may be saved up while nothing goes through, at least 1; default a tenth of rate

--- At most rate bytes per second go on to w, by a token bucket that is full at first. A write takes what is allowed now, in
--- pieces of a hundredth of a second's worth; it waits while that is less.
---@param w asyncwrite.Writer moved into the result
---@param rate number bytes per second, 0.001 to 1e15
---@param options? asyncwrite.ThrottleOptions
---@return asyncwrite.Throttled writer
function aw.throttle(w, rate, options) end

--- At most rate bytes per second are read from r.
---@param r asyncwrite.Reader moved into the result
---@param rate number bytes per second, 0.001 to 1e15
---@param options? asyncwrite.ThrottleOptions
---@return asyncwrite.Throttled reader
function aw.throttle_reader(r, rate, options) end

--- One deadline for both halves of a stream, which stays with it in other wrappers: once it has passed every write, flush,
--- shutdown and read that gets there fails with ETIMEDOUT, and whoever waits is told. set_deadline, also through wrappers
--- around it, sets another or none.
---@param stream asyncwrite.Stream a writer, a reader or both, moved into the result
---@param seconds? number from now, 0 to 1e9; nil: none yet
---@return asyncwrite.Wrapper stream
function aw.deadline(stream, seconds) end

--- So many bytes that writers may hold together, all that go through aw.budgeted with it or with a budget below it.
---@param bytes number 1 to 2^53-1; math.huge: no limit of its own
---@param parent? asyncwrite.Budget default: the global budget
---@return asyncwrite.Budget budget
function aw.budget(bytes, parent) end

--- The budget above all others of this Lua state. It has no limit until you set one.
---@return asyncwrite.Budget budget
function aw.global_budget() end

--- Charges what w has accepted and still holds to a budget and to all above it: bytes that wrappers hold back, bytes unread
--- in a duplex or simplex, bytes not yet written to a file. A write takes what there is room for in all of them; without
--- room it flushes w, if w holds something, and is NotReady until there is room; once also while others, who were woken for
--- that room, have not come yet. What is left unread when the writer is closed stays charged until it is read. A memory or
--- cursor is where bytes go and holds nothing; of a tee only the first branch is charged beyond its wrappers, so put a
--- budgeted around each branch. A byte in a buffer in front of a tee counts once, and may go beyond the limit when branches
--- hold it several times later. Around what is budgeted already, the outer one alone charges a budget that both have, or that
--- is above both.
---@param w asyncwrite.Writer moved into the result
---@param budget? asyncwrite.Budget default: the global budget
---@return asyncwrite.Wrapper writer
function aw.budgeted(w, budget) end

--- What progress tells. total: as it was given. rate: bytes per second, smoothed; in the end that of the whole. left:
--- seconds, where total and the rate are known. seconds: since the start. ended: shutdown was Ready.
---@class asyncwrite.Progress
---@field bytes integer bytes accepted so far
---@field total? integer
---@field rate number
---@field left? number
---@field seconds number
---@field ended boolean

---@class asyncwrite.ProgressOptions
---@field total? number bytes expected
---@field interval? number seconds between two calls at least, 0 to 1e9; default 0.2

--- Calls f when w has accepted bytes, at most once per interval, and once when its shutdown is Ready. f may not wait.
---@param w asyncwrite.Writer moved into the result
---@param f fun(p: asyncwrite.Progress)
---@param options? asyncwrite.ProgressOptions
---@return asyncwrite.Wrapper writer
function aw.progress(w, f, options) end

--- A function for progress that shows a bar on standard error, and nothing where that is no terminal.
---@param columns? integer the width; default: what the terminal says
---@return fun(p: asyncwrite.Progress) f
function aw.progress_bar(columns) end

---@class asyncwrite.TeeOptions
---@field capacity? integer bytes that a branch may be behind the first, 1 to 2^31-1; default 65536
---@field on_error? string "fail" (default): the first error of a branch is the operation's, and a retry goes on where each branch is; "drop": the branch is closed, the others go on as long as there is one
---@field on_slow? string "wait" (default) for the slowest; "drop": no branch leads, and one that is capacity bytes behind another is closed (ENOBUFS)

--- Writes everything to every branch, each byte once and in order. The first branch leads: what it takes is accepted, what it
--- refuses is refused. What the others have not taken yet is held back, up to the capacity; flush and shutdown are Ready
--- when all have everything. An error of another branch, when bytes were accepted already, is that of the next operation.
--- Methods that reach down a chain reach the first branch, whose read half comes along; those of the others are closed.
---@param branches asyncwrite.Writer[] 1 to 255, moved into the result
---@param options? asyncwrite.TeeOptions
---@return asyncwrite.Tee writer
function aw.tee(branches, options) end

--- Calls f with every string that w has accepted: exactly those bytes, in order, at most once per string given (M9). f
--- may not wait; in it polls register nothing. An error in f is raised by the operation that wrote; the bytes are accepted.
---@param w asyncwrite.Writer moved into the result
---@param f fun(s: string)
---@return asyncwrite.Wrapper writer
function aw.inspect(w, f) end

--- Calls f with every string that r gave, as inspect does.
---@param r asyncwrite.Reader moved into the result
---@param f fun(s: string)
---@return asyncwrite.Wrapper reader
function aw.inspect_reader(r, f) end

--- At most n bytes go on to w; then writes accept 0, which write_all and copy make EWRITEZERO (P4). Flush and shutdown
--- still go through.
---@param w asyncwrite.Writer moved into the result
---@param n integer bytes, 0 to 2^53-1
---@return asyncwrite.Limited writer
function aw.limit(w, n) end

--- At most n bytes of r; then the end of file, and r is not asked any more. As tokio's take.
---@param r asyncwrite.Reader moved into the result
---@param n integer bytes, 0 to 2^53-1
---@return asyncwrite.Limited reader
function aw.take(r, n) end

--- A digest of all that w has accepted; see Checksum:digest.
---@param w asyncwrite.Writer moved into the result
---@param algorithm string "crc32", "crc32c", "adler32" or "sha256"
---@return asyncwrite.Checksum writer
function aw.checksum(w, algorithm) end

--- A digest of all that r gave.
---@param r asyncwrite.Reader moved into the result
---@param algorithm string "crc32", "crc32c", "adler32" or "sha256"
---@return asyncwrite.Checksum reader
function aw.checksum_reader(r, algorithm) end

--- One stream of a reader and a writer (M7). Their other halves, if any, are closed.
---@param r asyncwrite.Reader moved into the result
---@param w asyncwrite.Writer moved into the result
---@return asyncwrite.Duplex stream
function aw.join(r, w) end

--- The two halves of a stream (M8), to be closed one by one: closing the write half of a socket sends FIN.
---@param stream asyncwrite.Duplex moved into the results
---@return asyncwrite.Reader reader
---@return asyncwrite.Writer writer
function aw.split(stream) end

--- Puts the halves of a split together again; raises for halves of different streams (M8).
---@param r asyncwrite.Reader moved into the result
---@param w asyncwrite.Writer moved into the result
---@return asyncwrite.Duplex stream
function aw.unsplit(r, w) end

--- Makes a writer and/or reader of a table of Lua functions. An error inside one is raised, with its traceback, by the
--- operation that polled.
---@param methods asyncwrite.Methods poll_write, poll_write_vectored or poll_read must be there
---@return asyncwrite.Duplex stream
function aw.custom(methods) end

--- Is value a writer, reader or listener of this library, open or not?
---@param value any
---@return boolean yes
function aw.is_stream(value) end

-- ---- Copying ----

--- Everything from r to w (A7); flushes when r has nothing to give now and at the end, does not shut w down.
---@async
---@param r asyncwrite.Reader
---@param w asyncwrite.Writer
---@param buffer? integer bytes, 1 to 2^31-1; default 8192; held only while it has bytes
---@return integer? total bytes; nil on failure
---@return string? message
---@return string? code
---@return integer? accepted bytes w took until then
function aw.copy(r, w, buffer) end

--- Both ways at once until both have ended; one side's end of file shuts down the other's writing (A9). The first error
--- ends it.
---@async
---@param a asyncwrite.Duplex
---@param b asyncwrite.Duplex
---@param buffer? integer bytes per direction, 1 to 2^31-1; default 8192
---@return integer? a_to_b bytes; nil on failure
---@return integer|string b_to_a bytes; the message on failure
---@return string? code
---@return integer? accepted_a_to_b
---@return integer? accepted_b_to_a
function aw.copy_bidirectional(a, b, buffer) end

---@class asyncwrite.trace
local trace = {}

--- What a traced stream has recorded, a line for each event: seconds since the first, how long it took, poll and result.
---@param stream asyncwrite.Stream
---@return string text
function trace.text(stream) end

--- What traced streams have recorded, in the Trace Event Format of chrome://tracing and Perfetto, a row for each stream.
---@param ... asyncwrite.Stream
---@return string json
function trace.chrome(...) end

-- ---- Network ----

---@class asyncwrite.tcp
local tcp = {}

---@class asyncwrite.ConnectOptions
---@field bind? string the local address to connect from

---@class asyncwrite.ListenOptions
---@field backlog? integer connections the kernel queues before they are accepted; default 1024
---@field reuseport? boolean SO_REUSEPORT, tcp only; default false

--- A stream to host:port. Every address of the name is tried in turn; the failure of the last is returned. The time it
--- takes is bounded by aw.timeout.
---@async
---@param host string a name or a numeric address
---@param port integer|string 0 to 65535
---@param options? asyncwrite.ConnectOptions
---@return asyncwrite.Socket? stream
---@return string? message
---@return string? code ECONNREFUSED, EHOSTUNREACH, EAI_NONAME ...
function tcp.connect(host, port, options) end

--- A listener, with SO_REUSEADDR. Suspends only to look up a name: with a numeric address it works outside a task.
---@async
---@param host string a name or a numeric address; "::" takes IPv6 only
---@param port integer|string 0 to 65535; 0: the system chooses, see local_addr
---@param options? asyncwrite.ListenOptions
---@return asyncwrite.Listener? listener
---@return string? message
---@return string? code EADDRINUSE, EACCES ...
function tcp.listen(host, port, options) end

--- A stream over a connected TCP socket that another library made. The caller keeps its own: this is another descriptor
--- of the same socket.
---@param fd integer
---@return asyncwrite.Socket? stream
---@return string? message
---@return string? code EBADF, ENOTSOCK, ENOTCONN; EINVAL when it is no TCP socket
function tcp.open(fd) end

---@class asyncwrite.unix
local unix = {}

--- A stream to a Unix socket.
---@async
---@param path string a leading "\0" names an abstract one (Linux)
---@return asyncwrite.Socket? stream
---@return string? message
---@return string? code ENOENT, ECONNREFUSED; EAGAIN when the listener's backlog is full
function unix.connect(path) end

--- A listener at path. Close unlinks the file, if it is still the one made here.
---@param path string a leading "\0" makes an abstract one (Linux)
---@param options? asyncwrite.ListenOptions
---@return asyncwrite.Listener? listener
---@return string? message
---@return string? code EADDRINUSE, ENAMETOOLONG ...
function unix.listen(path, options) end

--- Two streams connected to each other (socketpair).
---@return asyncwrite.Socket? near
---@return asyncwrite.Socket|string far the message on failure
---@return string? code
function unix.pair() end

---@class asyncwrite.pipe
local pipe = {}

--- A pipe of the operating system.
---@return asyncwrite.Pipe? reader
---@return asyncwrite.Pipe|string writer the message on failure
---@return string? code
function pipe.pair() end

--- A stream over a descriptor that can be polled: pipe, terminal, socket, character device. The caller keeps its own:
--- this is another one. What the descriptor's access mode lacks, the stream lacks.
---@param fd integer
---@return asyncwrite.Pipe? stream
---@return string? message
---@return string? code EBADF; EPERM for a regular file or a folder
function pipe.open(fd) end

-- ---- Files and standard streams ----

---@class asyncwrite.file
local file = {}

--- tokio's OpenOptions. One of read, write and append must be set.
---@class asyncwrite.OpenOptions
---@field read? boolean
---@field write? boolean
---@field append? boolean every write goes to the end
---@field truncate? boolean empties it; needs write
---@field create? boolean makes it where it is missing; needs write or append
---@field create_new? boolean makes it, and fails with EEXIST where it is there
---@field max_buf_size? integer bytes, 1 to 2^31-1; see File:set_max_buf_size

--- Opens a file, on the thread pool. What turns out to be a pipe, a terminal or a device becomes a stream that is polled,
--- as of aw.pipe.open.
---@async
---@param path string
---@param mode? string|asyncwrite.OpenOptions as of io.open: "r" (default), "w", "a", "r+", "w+", "a+", and "wx", "w+x" for a new file only
---@param perm? integer permissions of a new file, less the umask; default octal 666
---@return asyncwrite.File? file
---@return string? message
---@return string? code ENOENT, EACCES, EEXIST ...
function file.open(path, mode, perm) end

--- open(path, "w", perm)
---@async
---@param path string
---@param perm? integer
---@return asyncwrite.File? file
---@return string? message
---@return string? code
function file.create(path, perm) end

--- A file over a descriptor that came from elsewhere. The caller keeps its own: this is another one of the same open file,
--- so they share its position.
---@param fd integer
---@return asyncwrite.File? file
---@return string? message
---@return string? code EBADF
function file.from_fd(fd) end

--- type: "file", "directory", "fifo", "socket", "char", "block" or "unknown". mode: the permission bits. mtime: seconds since
--- 1970. Two names are one file where dev and ino are equal.
---@class asyncwrite.Metadata
---@field type string
---@field size integer bytes
---@field mode integer
---@field mtime number
---@field dev integer
---@field ino integer

--- What the system knows of a file, asked on the thread pool; links are followed.
---@async
---@param path string
---@return asyncwrite.Metadata? metadata
---@return string? message
---@return string? code ENOENT, EACCES ...
function file.metadata(path) end

--- Standard input, whatever it is: terminal, pipe, socket, file, device. No flag of what the process was given changes.
--- Each call gives a stream of its own.
---@return asyncwrite.File|asyncwrite.Pipe|nil reader
---@return string? message
---@return string? code EBADF
function aw.stdin() end

--- Standard output. At a terminal it is a line_writer: flush it before the end. Its shutdown flushes; the process's own
--- descriptor stays open.
---@return asyncwrite.File|asyncwrite.Pipe|nil writer
---@return string? message
---@return string? code EBADF
function aw.stdout() end

--- Standard error, without a buffer.
---@return asyncwrite.File|asyncwrite.Pipe|nil writer
---@return string? message
---@return string? code EBADF
function aw.stderr() end

-- ---- Processes and signals ----

---@class asyncwrite.process
local process = {}

--- The program (a path, or a name to look for in PATH) and its arguments are the list part. There is no shell.
---@class asyncwrite.SpawnOptions
---@field [integer] string|number
---@field env? table<string, string|number|false> to set, or with false to remove, in the environment of this process
---@field env_clear? boolean start from an empty environment; default false
---@field cwd? string
---@field stdin? "inherit"|"pipe"|"null"|integer|asyncwrite.Reader default "inherit"
---@field stdout? "inherit"|"pipe"|"null"|integer|asyncwrite.Writer default "inherit"
---@field stderr? "inherit"|"pipe"|"null"|integer|asyncwrite.Writer default "inherit"
---@field kill_on_drop? boolean SIGKILL when the child is collected or closed; default false: it runs on. Either way it is reaped
---@field detached? boolean the leader of a session, and so of a process group, of its own; default false

--- Starts a program. Where it cannot be run that is the failure here. Descriptors and streams stay the caller's: close a
--- stream that only the child should hold. Raises inside nginx, which reaps every child itself.
---@param options asyncwrite.SpawnOptions
---@return asyncwrite.Child? child
---@return string? message
---@return string? code ENOENT, EACCES ...; of the program or of cwd
function process.spawn(options) end

--- Listens to a signal, as tokio's signal::unix. While one listens the process does nothing else with that signal. Raises
--- inside nginx, and for signals that cannot be caught or are faults.
---@param signal string|integer "SIGINT", or its number
---@return asyncwrite.Signal? listener
---@return string? message
---@return string? code
function aw.signal(signal) end

-- ---- Streams ----

--- What all writers, readers and listeners have. tostring(stream) shows the chain: "buf_writer(8192) > tcp 127.0.0.1:80".
--- As a to-be-closed variable (Lua 5.4) a stream is closed at the end of its block, unless it was moved. What is
--- collected or closed that way is never flushed: bytes that are lost are warned of on stderr (S11).
---@class asyncwrite.Stream
local Stream = {}

--- Closes both directions at once, without flush or shutdown, down to the last writer. A task that waits on the stream
--- gets ECANCELED, the peer sees the end. Closing again does nothing.
function Stream:close() end

--- Closed, or moved into a wrapper.
---@return boolean closed
function Stream:is_closed() end

---@class asyncwrite.Stats
---@field read integer bytes that reads have given
---@field accepted integer bytes that writes have accepted
---@field queued integer accepted bytes that the chain still holds
---@field lost integer accepted bytes that the chain held when it was closed without shutdown
---@field written integer accepted bytes that left the chain: accepted - queued - lost
---@field pendings integer polls of the write direction that were NotReady
---@field waits integer how many times a task had to wait to write, flush or shut down
---@field stalled number seconds that these waits took, the present one included

--- What went through this stream since it was made; what it was before it moved into a wrapper is not counted. Works on
--- closed and moved streams too. Always on.
---@return asyncwrite.Stats stats a new table
function Stream:stats() end

--- Records the polls of this stream, and the wakes of the tasks that wait on it, from now on and anew. A stream that is
--- not traced pays nothing.
---@param events? integer|false how many of the last events are kept, 1 to 2^20, default 1024; false ends it
function Stream:trace(events) end

---@class asyncwrite.TraceEvent
---@field op string "poll_write", "poll_read" ...; "wake"
---@field time number seconds, as aw.now()
---@field seconds? number how long the poll took; nil: a wake
---@field result? integer|string|false bytes (0 for flush and shutdown, and at end of file), the code of an error, or NotReady

--- What the trace has, the oldest first; nil when the stream is not traced. See aw.trace.
---@return asyncwrite.TraceEvent[]? events
---@return integer? dropped how many older events are gone
function Stream:trace_events() end

--- The name of the outermost writer, or of the reader where there is none: "tcp", "buf_writer", "listener" ...
---@return string name
function Stream:kind() end

---@return boolean yes it has a write half
function Stream:is_writer() end

---@return boolean yes it has a read half
function Stream:is_reader() end

--- Takes the outermost wrapper off again: of the write side if that has one, else of the read side (B5). One that
--- wraps both sides goes from both. Nothing accepted is lost: what the wrapper holds back is the second result. Raises
--- where there is no wrapper, or one that cannot be taken off.
---@return asyncwrite.Duplex inner
---@return string held bytes it had accepted and not yet written to inner; of a reader, what it had read ahead
function Stream:into_parts() end

--- When this time has passed, every wait on the stream, in either direction, ends with ETIMEDOUT, until another deadline
--- is set; what needs no waiting still succeeds. Wrapping the stream takes the deadline off. On a stream with a deadline
--- wrapper in its chain this sets that one instead, which is stricter and stays.
---@param seconds? number from now, 0 to 1e9; nil: none
function Stream:set_deadline(seconds) end

--- Methods of streams with a descriptor. They reach through wrappers to the end of the chain, and raise where there is none.
---@class asyncwrite.Descriptor: asyncwrite.Stream
local Descriptor = {}

--- The descriptor, to look at; it stays the stream's.
---@return integer fd
function Descriptor:fd() end

--- Our own address; for Unix sockets the path alone, "" without a name.
---@return string? host
---@return integer|string|nil port the message on failure
---@return string? code
function Descriptor:local_addr() end

--- The address of the other side; for Unix sockets the path alone, "" without a name.
---@return string? host
---@return integer|string|nil port the message on failure
---@return string? code ENOTCONN for a listener
function Descriptor:peer_addr() end

--- The process at the other end of a Unix socket.
---@return { pid?: integer, uid: integer, gid: integer }? cred
---@return string? message
---@return string? code
function Descriptor:peer_cred() end

--- TCP_NODELAY: small segments are sent at once.
---@param on boolean
---@return true? ok
---@return string? message
---@return string? code
function Descriptor:set_nodelay(on) end

---@return boolean? on
---@return string? message
---@return string? code
function Descriptor:nodelay() end

--- SO_KEEPALIVE. What is left out stays as the system has it.
---@param on boolean
---@param idle? integer seconds before the first probe, 1 to 32767
---@param interval? integer seconds between probes, 1 to 32767
---@param count? integer probes before the connection is dropped, 1 to 32767
---@return true? ok
---@return string? message
---@return string? code
function Descriptor:set_keepalive(on, idle, interval, count) end

---@return boolean? on
---@return string? message
---@return string? code
function Descriptor:keepalive() end

--- SO_LINGER. 0: close resets the connection and drops what was not sent.
---@param seconds? integer 0 to 65535; nil: off
---@return true? ok
---@return string? message
---@return string? code
function Descriptor:set_linger(seconds) end

---@return integer? seconds nil alone: off
---@return string? message
---@return string? code
function Descriptor:linger() end

--- SO_SNDBUF; the system may round it.
---@param size integer bytes
---@return true? ok
---@return string? message
---@return string? code
function Descriptor:set_send_buffer_size(size) end

--- SO_RCVBUF; the system may round it.
---@param size integer bytes
---@return true? ok
---@return string? message
---@return string? code
function Descriptor:set_recv_buffer_size(size) end

-- ---- Writers ----

---@class asyncwrite.Writer: asyncwrite.Stream
local Writer = {}

--- One attempt, at most (P1-P11). false: nothing was taken, the context is woken when there is room or the stream ended.
---@param s string|number
---@param i? integer first byte, 1 to #s+1; negative counts from the end; default 1
---@param j? integer last byte, i-1 to #s; negative counts from the end; default #s
---@return integer|false|nil n bytes accepted; fewer than given is normal
---@return string? message
---@return string? code EPIPE after shutdown or when the peer has gone (S6)
function Writer:poll_write(s, i, j) end

--- One attempt from several strings, as from their concatenation (V1-V7). At most 1024 are looked at.
---@param list (string|number)[]
---@param skip? integer bytes of the list accepted already; default 0
---@return integer|false|nil n
---@return string? message
---@return string? code
function Writer:poll_write_vectored(list, skip) end

--- One attempt with what the cursor has left, which is advanced by what was accepted; 0 without a poll when it is empty (A5).
---@param cursor asyncwrite.Cursor
---@return integer|false|nil n
---@return string? message
---@return string? code
function Writer:poll_write_buf(cursor) end

--- true: everything accepted has reached the destination, through every wrapper (F1-F7).
---@return boolean? ok
---@return string? message
---@return string? code
function Writer:poll_flush() end

--- true: everything accepted was written, then the write direction ended, down to the last writer (S1-S11). Poll again
--- after false. From the first call on writes give EPIPE; reads and flushes go on. After true it stays true.
---@return boolean? ok
---@return string? message
---@return string? code
function Writer:poll_shutdown() end

--- Does one write take several strings (V3)? Constant.
---@return boolean yes
function Writer:is_write_vectored() end

--- A write that registers nothing and never suspends: usable anywhere.
---@param s string|number
---@param i? integer as in poll_write
---@param j? integer as in poll_write
---@return integer? n bytes accepted
---@return string? message
---@return string? code EAGAIN when there is no room
function Writer:try_write(s, i, j) end

--- Bytes accepted and still held in the chain.
---@return integer n
function Writer:buffered() end

--- The bytes that the outermost wrapper has accepted and not yet written to what it wraps.
---@return string bytes
function Writer:buffer() end

--- One write, when there is room. Cancel-safe: cancelled, it has accepted nothing (A3).
---@async
---@param s string|number
---@param i? integer as in poll_write
---@param j? integer as in poll_write
---@return integer? n bytes accepted
---@return string? message
---@return string? code
---@return integer? accepted 0
function Writer:write(s, i, j) end

--- One write from several strings. Cancel-safe (A3).
---@async
---@param list (string|number)[]
---@return integer? n bytes accepted
---@return string? message
---@return string? code
---@return integer? accepted 0
function Writer:write_vectored(list) end

--- One write from a cursor, which is advanced by what was accepted. Cancel-safe (A3, A5).
---@async
---@param cursor asyncwrite.Cursor
---@return integer? n bytes accepted
---@return string? message
---@return string? code
---@return integer? accepted 0
function Writer:write_buf(cursor) end

--- Writes all strings, one after the other (A1, A2). Cancelled, it may have written a part: aw.timeout and set_deadline
--- tell how much.
---@async
---@param ... string|number
---@return true? ok
---@return string? message
---@return string? code EWRITEZERO when the writer takes no more
---@return integer? accepted bytes, of all strings together
function Writer:write_all(...) end

--- Writes all strings of a list (V5). As write_all when cancelled.
---@async
---@param list (string|number)[]
---@return true? ok
---@return string? message
---@return string? code
---@return integer? accepted bytes
function Writer:write_all_vectored(list) end

--- Writes what the cursor has left. It is advanced by exactly what was accepted, also when this fails or is cancelled (A4).
---@async
---@param cursor asyncwrite.Cursor
---@return true? ok
---@return string? message
---@return string? code
---@return integer? accepted bytes
function Writer:write_all_buf(cursor) end

--- write_all(string.format(format, ...)).
---@async
---@param format string
---@param ... any
---@return true? ok
---@return string? message
---@return string? code
---@return integer? accepted bytes
function Writer:writef(format, ...) end

--- Waits until everything accepted has reached the destination (F1). Cancel-safe: call it again (F2).
---@async
---@return true? ok
---@return string? message
---@return string? code
function Writer:flush() end

--- Flushes, then ends the write direction down to the last writer (S1-S3). Reading goes on. Cancelled, it can be called
--- again, but not undone.
---@async
---@return true? ok
---@return string? message
---@return string? code
function Writer:shutdown() end

-- Numbers (A6): big-endian, or little-endian with _le. Writing one is a write_all of its bytes; a value out of range raises.

--- Writes an unsigned integer of 1 byte.
---@async
---@param value integer 0 to 255
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u8(value) end

--- Writes a signed integer of 1 byte.
---@async
---@param value integer -128 to 127
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i8(value) end

--- Writes an unsigned integer of 2 bytes, big-endian.
---@async
---@param value integer 0 to 65535
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u16(value) end

--- Writes an unsigned integer of 2 bytes, little-endian.
---@async
---@param value integer 0 to 65535
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u16_le(value) end

--- Writes a signed integer of 2 bytes, big-endian.
---@async
---@param value integer -32768 to 32767
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i16(value) end

--- Writes a signed integer of 2 bytes, little-endian.
---@async
---@param value integer -32768 to 32767
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i16_le(value) end

--- Writes an unsigned integer of 4 bytes, big-endian.
---@async
---@param value integer 0 to 2^32-1
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u32(value) end

--- Writes an unsigned integer of 4 bytes, little-endian.
---@async
---@param value integer 0 to 2^32-1
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u32_le(value) end

--- Writes a signed integer of 4 bytes, big-endian.
---@async
---@param value integer -2^31 to 2^31-1
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i32(value) end

--- Writes a signed integer of 4 bytes, little-endian.
---@async
---@param value integer -2^31 to 2^31-1
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i32_le(value) end

--- Writes an unsigned integer of 8 bytes, big-endian.
---@async
---@param value integer|string 64 bits: a negative integer is written as it is, or 8 bytes, most significant first
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u64(value) end

--- Writes an unsigned integer of 8 bytes, little-endian.
---@async
---@param value integer|string 64 bits: a negative integer is written as it is, or 8 bytes, most significant first
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u64_le(value) end

--- Writes a signed integer of 8 bytes, big-endian.
---@async
---@param value integer|string -2^63 to 2^63-1, or 8 bytes, most significant first
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i64(value) end

--- Writes a signed integer of 8 bytes, little-endian.
---@async
---@param value integer|string -2^63 to 2^63-1, or 8 bytes, most significant first
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i64_le(value) end

--- Writes an unsigned integer of 16 bytes, big-endian.
---@async
---@param value integer|string the high 64 bits, or 16 bytes, most significant first
---@param low? integer the low 64 bits; only with an integer
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u128(value, low) end

--- Writes an unsigned integer of 16 bytes, little-endian.
---@async
---@param value integer|string the high 64 bits, or 16 bytes, most significant first
---@param low? integer the low 64 bits; only with an integer
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_u128_le(value, low) end

--- Writes a signed integer of 16 bytes, big-endian.
---@async
---@param value integer|string the high 64 bits, or 16 bytes, most significant first
---@param low? integer the low 64 bits; only with an integer
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i128(value, low) end

--- Writes a signed integer of 16 bytes, little-endian.
---@async
---@param value integer|string the high 64 bits, or 16 bytes, most significant first
---@param low? integer the low 64 bits; only with an integer
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_i128_le(value, low) end

--- Writes an IEEE 754 float of 4 bytes, big-endian.
---@async
---@param value number
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_f32(value) end

--- Writes an IEEE 754 float of 4 bytes, little-endian.
---@async
---@param value number
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_f32_le(value) end

--- Writes an IEEE 754 float of 8 bytes, big-endian.
---@async
---@param value number
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_f64(value) end

--- Writes an IEEE 754 float of 8 bytes, little-endian.
---@async
---@param value number
---@return true? ok, string? message, string? code, integer? accepted bytes
function Writer:write_f64_le(value) end

-- ---- Readers ----

---@class asyncwrite.Reader: asyncwrite.Stream
local Reader = {}

--- One attempt. false: there is nothing now, the context is woken when there is.
---@param max? integer bytes; default and at most 65536
---@return string|false|nil s nil alone: the end of file
---@return string? message
---@return string? code
function Reader:poll_read(max) end

--- A read that registers nothing and never suspends: usable anywhere.
---@param max? integer as in poll_read
---@return string? s nil alone: the end of file
---@return string? message
---@return string? code EAGAIN when there is nothing now
function Reader:try_read(max) end

--- One attempt of read_until; with line, of read_line.
---@param delimiter string not empty
---@param max? integer bytes with the delimiter; default 2^20
---@param line? boolean leave the delimiter and a "\r" before it away
---@return string|false|nil s
---@return string? message
---@return string? code EMSGSIZE
function Reader:poll_read_until(delimiter, max, line) end

--- One attempt of fill_buf.
---@return string|false|nil s
---@return string? message
---@return string? code
function Reader:poll_fill_buf() end

--- The bytes read ahead, "" without a buf_reader.
---@return string bytes
function Reader:read_buffer() end

--- Takes n bytes of what fill_buf gave.
---@param n integer 0 to what is buffered
function Reader:consume(n) end

--- What there is, as soon as there is any. Cancel-safe.
---@async
---@param max? integer bytes; default and at most 65536
---@return string? s nil alone: the end of file
---@return string? message
---@return string? code
function Reader:read(max) end

--- Exactly n bytes. On failure what was read until then is the fourth result; cancelled by a task or aw.timeout it is lost.
---@async
---@param n integer at least 0; there is no other limit
---@return string? s
---@return string? message
---@return string? code EOF when the end came first
---@return string? part
function Reader:read_exact(n) end

--- Up to and with the delimiter; at the end of file what is left, then nil. Cancel-safe: what has come stays buffered.
---@async
---@param delimiter string of one byte or more
---@param max? integer bytes with the delimiter; default 2^20
---@return string? s nil alone: the end of file
---@return string? message
---@return string? code EMSGSIZE when max bytes hold no delimiter; they stay buffered
function Reader:read_until(delimiter, max) end

--- A line without its "\n" or "\r\n"; otherwise as read_until.
---@async
---@param max? integer bytes with the line's end; default 2^20
---@return string? line nil alone: the end of file
---@return string? message
---@return string? code
function Reader:read_line(max) end

--- `for line in r:lines() do ... end`, as read_line. A failure is raised, as its message.
---@param max? integer as in read_line
---@return async fun(): string?
function Reader:lines(max) end

--- Everything to the end of file. On failure what was read until then is the fourth result.
---@async
---@param max? integer bytes; default 2^26
---@return string? s
---@return string? message
---@return string? code EMSGSIZE when there is more than max
---@return string? part
function Reader:read_to_end(max) end

--- What is buffered; where that is nothing, after one read. Take it with consume. Cancel-safe.
---@async
---@return string? s nil alone: the end of file
---@return string? message
---@return string? code
function Reader:fill_buf() end

-- Numbers (A6): big-endian, or little-endian with _le. Reading one is a read_exact: the fourth result of a failure is what
-- was read until then.

--- Reads an unsigned integer of 1 byte.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_u8() end

--- Reads a signed integer of 1 byte.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i8() end

--- Reads an unsigned integer of 2 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_u16() end

--- Reads an unsigned integer of 2 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_u16_le() end

--- Reads a signed integer of 2 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i16() end

--- Reads a signed integer of 2 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i16_le() end

--- Reads an unsigned integer of 4 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_u32() end

--- Reads an unsigned integer of 4 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_u32_le() end

--- Reads a signed integer of 4 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i32() end

--- Reads a signed integer of 4 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i32_le() end

--- Reads an unsigned integer of 8 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part # from 2^63 on value is negative, as Lua's integers wrap
function Reader:read_u64() end

--- Reads an unsigned integer of 8 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part # from 2^63 on value is negative, as Lua's integers wrap
function Reader:read_u64_le() end

--- Reads a signed integer of 8 bytes, big-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i64() end

--- Reads a signed integer of 8 bytes, little-endian.
---@async
---@return integer? value, string? message, string? code, string? part
function Reader:read_i64_le() end

--- Reads an unsigned integer of 16 bytes, big-endian.
---@async
---@return integer? high the high 64 bits; nil on failure
---@return integer|string low the low 64 bits, as an integer of Lua; the message on failure
---@return string? code, string? part
function Reader:read_u128() end

--- Reads an unsigned integer of 16 bytes, little-endian.
---@async
---@return integer? high the high 64 bits; nil on failure
---@return integer|string low the low 64 bits, as an integer of Lua; the message on failure
---@return string? code, string? part
function Reader:read_u128_le() end

--- Reads a signed integer of 16 bytes, big-endian.
---@async
---@return integer? high the high 64 bits; nil on failure
---@return integer|string low the low 64 bits, as an integer of Lua; the message on failure
---@return string? code, string? part
function Reader:read_i128() end

--- Reads a signed integer of 16 bytes, little-endian.
---@async
---@return integer? high the high 64 bits; nil on failure
---@return integer|string low the low 64 bits, as an integer of Lua; the message on failure
---@return string? code, string? part
function Reader:read_i128_le() end

--- Reads an IEEE 754 float of 4 bytes, big-endian.
---@async
---@return number? value, string? message, string? code, string? part
function Reader:read_f32() end

--- Reads an IEEE 754 float of 4 bytes, little-endian.
---@async
---@return number? value, string? message, string? code, string? part
function Reader:read_f32_le() end

--- Reads an IEEE 754 float of 8 bytes, big-endian.
---@async
---@return number? value, string? message, string? code, string? part
function Reader:read_f64() end

--- Reads an IEEE 754 float of 8 bytes, little-endian.
---@async
---@return number? value, string? message, string? code, string? part
function Reader:read_f64_le() end

-- ---- Kinds ----

--- Writes and reads.
---@class asyncwrite.Duplex: asyncwrite.Writer, asyncwrite.Reader
local Duplex = {}

--- A TCP or Unix socket. Flush sends nothing: bytes are handed to the kernel by the write itself.
---@class asyncwrite.Socket: asyncwrite.Duplex, asyncwrite.Descriptor
local Socket = {}

--- One attempt to finish connecting. connect has done it for you.
---@return boolean? ok
---@return string? message
---@return string? code
function Socket:poll_connect() end

--- A pipe or another descriptor. Shutdown of a lone writer closes it, which is what tells the reader (S10).
---@class asyncwrite.Pipe: asyncwrite.Duplex, asyncwrite.Descriptor
local Pipe = {}

--- A file. A write is accepted into a buffer of its own and written behind by the thread pool; the next one waits until
--- that is done (D1). If it fails, the next write, flush, shutdown or sync tells, once (D2); what was not written is kept,
--- and the call after that tries again (F7). Flush waits for the kernel, not for the disk: that is sync_all (F6). Close
--- leaves a write under way to the pool, and bytes that are lost there are warned of. Reading and writing share one
--- position; what was read ahead is stepped back over before a write (D3). These methods reach through wrappers, which are
--- flushed first.
---@class asyncwrite.File: asyncwrite.Duplex, asyncwrite.Descriptor
local File = {}

--- Moves the position, as file:seek of Lua; with what is under way done before (D5). What a buf_reader had read ahead is
--- dropped.
---@async
---@param whence? "set"|"cur"|"end" default "cur"
---@param offset? integer default 0
---@return integer? position from the start of the file
---@return string? message
---@return string? code EINVAL before the start; ESPIPE
function File:seek(whence, offset) end

--- Cuts the file, or extends it with zeros. The position stays.
---@async
---@param size integer bytes
---@return true? ok
---@return string? message
---@return string? code
function File:set_len(size) end

--- Writes what was accepted and waits until it is on the disk, with what describes it (fsync). After a failure of the
--- disk the kernel may have dropped the bytes: a later sync that succeeds does not bring them back.
---@async
---@return true? ok
---@return string? message
---@return string? code
function File:sync_all() end

--- As sync_all, but without what is not needed to read the bytes again, such as times (fdatasync).
---@async
---@return true? ok
---@return string? message
---@return string? code
function File:sync_data() end

--- As aw.file.metadata of the open file. What was accepted is written first, so that it counts.
---@async
---@return asyncwrite.Metadata? metadata
---@return string? message
---@return string? code of the write that failed
function File:metadata() end

--- The most that one write accepts and the file holds (D6); and the most that one read fetches. 2 MiB until then.
---@param n integer bytes, 1 to 2^31-1
function File:set_max_buf_size(n) end

--- Closes the file and gives back what it accepted and did not write, after a full disk, say (F7). No warning follows;
--- stats() counts the bytes as lost. Raises where a wrapper is around the file: into_parts first.
---@return string? bytes "" when all is written; nil, message, "EBUSY" while a call for the file is under way: flush first
---@return integer|string|nil at where in the file they belong; nil: at its end, or that cannot be known
---@return string? message of a failure that nothing has told yet
---@return string? code
function File:into_unwritten() end

---@class asyncwrite.Memory: asyncwrite.Writer
local Memory = {}

--- All bytes of the memory or cursor at the end of the chain.
---@return string bytes
function Memory:contents() end

--- The bytes of the memory at the end of the chain, which it then no longer holds.
---@return string bytes
function Memory:take() end

---@class asyncwrite.Cursor: asyncwrite.Duplex
local Cursor = {}

--- All bytes, also those before the position.
---@return string bytes
function Cursor:contents() end

---@return integer position bytes before it; 0 at the start
function Cursor:position() end

--- Beyond the end is allowed: the next write fills the gap with zeros (M5).
---@param position integer 0 to 2^31-1
function Cursor:set_position(position) end

---@return integer n bytes from the position to the end
function Cursor:remaining() end

---@return string bytes from the position to the end
function Cursor:chunk() end

--- Moves the position on.
---@param n integer 0 to remaining()
function Cursor:advance(n) end

--- Methods of what it wraps show through: the other half, the descriptor, the contents of a memory.
---@class asyncwrite.Wrapper: asyncwrite.Duplex, asyncwrite.Descriptor, asyncwrite.Memory

---@class asyncwrite.BufWriter: asyncwrite.Wrapper

---@class asyncwrite.BufReader: asyncwrite.Wrapper

--- Has a tee in its chain. into_parts of the tee itself gives every branch that is left, each followed by the bytes that it
--- has not taken yet.
---@class asyncwrite.Tee: asyncwrite.Wrapper
local Tee = {}

--- What became of the branches of the outermost tee, in their order. behind: bytes accepted that it has not taken yet;
--- failed: the code it was dropped with; error: the code it failed with last, if nothing went well there since, so that who
--- gets an error learns whose it is.
---@return { name: string, behind: integer, failed?: string, error?: string }[] branches
function Tee:branches() end

--- Has limit or take in its chain. Where it has both, these are about limit.
---@class asyncwrite.Limited: asyncwrite.Wrapper
local Limited = {}

---@return integer n bytes that may still go through the outermost limit
function Limited:limit() end

--- From now on.
---@param n integer bytes, 0 to 2^53-1
function Limited:set_limit(n) end

--- Has throttle or throttle_reader in its chain. Where it has both, these are about throttle.
---@class asyncwrite.Throttled: asyncwrite.Wrapper
local Throttled = {}

---@return number rate bytes per second of the outermost throttle
---@return number burst bytes
function Throttled:rate() end

--- From now on, also for who waits already. What was saved up stays, up to burst.
---@param rate number bytes per second, 0.001 to 1e15
---@param burst? number bytes that may be saved up, 1 to 1e15; default a tenth of rate
function Throttled:set_rate(rate, burst) end

--- Has checksum or checksum_reader in its chain. Where it has both, this is about checksum.
---@class asyncwrite.Checksum: asyncwrite.Wrapper
local Checksum = {}

--- The digest of the bytes until now, by the outermost checksum; more may follow.
---@param raw? boolean as bytes, big-endian; default: in hexadecimal
---@return string digest
function Checksum:digest(raw) end

---@class asyncwrite.Listener: asyncwrite.Descriptor
local Listener = {}

--- One attempt to accept.
---@return asyncwrite.Socket|false|nil stream
---@return string? message
---@return string? code
function Listener:poll_accept() end

--- Waits for a connection. Cancel-safe.
---@async
---@return asyncwrite.Socket? stream
---@return string? message
---@return string? code EMFILE ...; ECANCELED when the listener is closed meanwhile
function Listener:accept() end

---@class asyncwrite.ServeOptions
---@field max? integer tasks at once; accepting waits while so many run; default 4096
---@field on_error? fun(message: string, code: string) called for each accept that failed

--- Accepts until the listener is closed, each connection in a task of its own, and closes the stream when f ends. When
--- descriptors or memory run out it pauses for 50 ms and goes on.
---@async
---@param f async fun(stream: asyncwrite.Socket)
---@param options? asyncwrite.ServeOptions
---@return true? closed the listener was closed
---@return string? message
---@return string? code
function Listener:serve(f, options) end

--- A writer and/or reader in Lua: the argument of aw.custom. Each function returns as the poll of the same name does:
--- Ready, false, or nil, message, code. Before false it must have taken aw.current_waker() or polled another stream
--- that gave false (W1); it may not wait.
---@class asyncwrite.Methods
---@field name? string shown by tostring; default "custom"
---@field poll_write? fun(self: table, s: string): integer|false|nil, string?, string?
---@field poll_write_vectored? fun(self: table, list: string[]): integer|false|nil, string?, string? instead of poll_write
---@field poll_flush? fun(self: table): boolean?, string?, string? default: true at once
---@field poll_shutdown? fun(self: table): boolean?, string?, string? default: true at once
---@field poll_read? fun(self: table, max: integer): string|false|nil, string?, string? nil alone: the end of file
---@field buffered? fun(self: table): integer the bytes it has accepted and still holds; asked after each poll, by w:buffered() and w:stats(). Closing goes by the latest answer
---@field close? fun(self: table) called once, when the stream is closed or collected

-- ---- Tasks and what they share ----

---@class asyncwrite.Task
local Task = {}

--- Waits for the end of the task. Its error is raised here, with its traceback.
---@async
---@return any ... its results; nil, message, "ECANCELED" if it was cancelled
function Task:join() end

--- Like dropping a future (W13): the task never runs again, its to-be-closed variables run, what it waited on is left
--- as the operation's promise says. A running task is dropped at its next wait.
function Task:cancel() end

---@return boolean done it has ended, failed or been cancelled
function Task:is_done() end

--- The name given to spawn, else where its function was defined: "script.lua:12".
---@return string name
function Task:name() end

---@class asyncwrite.Waker
local Waker = {}

--- Makes the task ready, or has the function called; never resumes from inside (W14).
function Waker:wake() end

--- Do both wake the same task or function?
---@param other asyncwrite.Waker
---@return boolean same
function Waker:will_wake(other) end

--- Does anything besides this handle keep the waker, or is a wake on its way? Where a poll was NotReady and this is
--- false, nobody will ever wake it (W1).
---@return boolean yes
function Waker:is_held() end

--- What budget and global_budget return. It lives as long as writers use it.
---@class asyncwrite.Budget
local Budget = {}

---@return number bytes math.huge: none
function Budget:limit() end

--- From now on. Less than is used: no new bytes until that fell.
---@param n number bytes, 0 to 2^53-1, or math.huge: none
function Budget:set_limit(n) end

---@return integer bytes that are charged to it and to those below it
function Budget:used() end

---@return integer n writers that wait for room in this one
function Budget:waiting() end

---@class asyncwrite.Mutex
local Mutex = {}

--- Waits for the lock, first come first served. Cancel-safe.
---@async
---@return asyncwrite.Guard guard
function Mutex:lock() end

---@return asyncwrite.Guard? guard nil when it is locked
function Mutex:try_lock() end

---@return boolean locked
function Mutex:is_locked() end

--- f(...) with the lock held. It is released however f ends: return, error or cancel.
---@async
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return any ... what f returns
function Mutex:with(f, ...) end

--- What lock returns; a to-be-closed variable in Lua 5.4.
---@class asyncwrite.Guard
local Guard = {}

--- Gives the lock to the next in line. Unlocking again does nothing.
function Guard:unlock() end

---@class asyncwrite.Notify
local Notify = {}

--- Wakes one waiter; without one the next notified() returns at once.
function Notify:notify_one() end

--- Wakes all that wait now; leaves no permit.
function Notify:notify_waiters() end

--- Waits until notified. Cancel-safe: a notification that had come is passed on.
---@async
function Notify:notified() end

---@class asyncwrite.Channel
local Channel = {}

--- Waits for room, then queues value. Cancel-safe: cancelled, nothing was sent.
---@async
---@param value any not nil
---@return true? ok
---@return string? message
---@return string? code EPIPE once the channel is closed
function Channel:send(value) end

---@param value any not nil
---@return true? ok
---@return string? message
---@return string? code EAGAIN when it is full, EPIPE once it is closed
function Channel:try_send(value) end

--- Waits for a value. Cancel-safe.
---@async
---@return any value nil once the channel is closed and drained
function Channel:recv() end

---@return any value
---@return string? message
---@return string? code EAGAIN when it is empty; nil alone once it is closed and drained
function Channel:try_recv() end

--- `for value in channel:values() do ... end`, until it is closed and drained.
---@return async fun(): any
function Channel:values() end

--- No more sends; what is queued can still be received. Wakes everybody who waits.
function Channel:close() end

--- A child process. In Lua 5.4 a to-be-closed variable.
---@class asyncwrite.Child
---@field stdin? asyncwrite.Pipe with stdin = "pipe": its shutdown is the end of file for the child
---@field stdout? asyncwrite.Pipe with stdout = "pipe"
---@field stderr? asyncwrite.Pipe with stderr = "pipe"
local Child = {}

--- Waits for its end; may be called again. Its pipes may still hold what it wrote. One task at a time.
---@async
---@return integer? status what it exited with; 128 + the number of the signal that ended it
---@return string? signal "SIGKILL" ...; nil when it exited by itself; the message on failure
---@return string? code
function Child:wait() end

---@return integer|false|nil status as wait; false while it runs
---@return string? signal
---@return string? code
function Child:try_wait() end

---@param signal? string|integer default "SIGTERM"
---@return true? ok
---@return string? message
---@return string? code ESRCH once its end was seen
function Child:kill(signal) end

--- Sends the signal to a detached child and to what it has started, so far as that stayed in its process group.
---@param signal? string|integer default "SIGTERM"
---@return true? ok
---@return string? message
---@return string? code ESRCH once its end was seen
function Child:kill_group(signal) end

--- The id it has, or had.
---@return integer pid
function Child:pid() end

--- Drops it: its three streams are closed; with kill_on_drop it is killed, else it runs on.
function Child:close() end

--- In Lua 5.4 a to-be-closed variable.
---@class asyncwrite.Signal
local Signal = {}

--- Waits until the signal has come since the last recv; several may count as one. Cancel-safe. One task at a time.
---@async
---@return true? ok
---@return string? message
---@return string? code ECANCELED: it was closed
function Signal:recv() end

--- Stops listening: the signal does again what it did before.
function Signal:close() end

-- ---- Internal ----

--- The module asyncwrite.core: what the library's own Lua files are made of. No promises: it changes without notice.
--- Besides this it holds those functions documented above that are written in C. `require "asyncwrite"` is the interface.
---@class asyncwrite.core
---@field methods table<string, function> the methods of all streams; the suspending ones are put in by io.lua and net.lua
---@field library fun() the calling chunk belongs to the library: errors of misuse point past it
---@field is_library fun(source: string): boolean? does a chunk, as debug.getinfo names its source?
---@field raise fun(op: string, message: string) an error of misuse, at the line that called the library
---@field arg_error fun(op: string, number: integer, name: string, message: string) the same for an argument; 0 is self
---@field check_stream fun(op: string, number: integer, name: string, value: any, what: string) what: "r", "w", "rw"; else raises
---@field fail fun(code: string): nil, string, string the triple of a code
---@field dice fun(seed: integer, profile: table<string, integer>): asyncwrite.core.Dice what chaos streams throw; see testing.chaos
---@field chaos fun(stream: asyncwrite.Stream, dice: asyncwrite.core.Dice): asyncwrite.Duplex
---@field chaos_code fun(name: string): integer? the number of an error code of libuv
---@field chaos_code_name fun(number: integer): string
---@field is_box fun(value: any): boolean is_stream
---@field task fun(co: thread, task: table): asyncwrite.core.Handle makes a task of a coroutine
---@field run_ready fun(n: integer): integer?, table?, boolean|string?, any lets ready tasks go on, n steps at most, until the executor has to look; see resume.c
---@field next_ready fun(): table? the next task to resume, with a fresh budget
---@field coop fun(): boolean? false: the budget is spent, the task is woken again and must park (W12); nil outside a task
---@field park fun(op: string, on?: any, accepted?: integer): string|boolean|nil waits; a string: why it cannot; false: the caller is to yield the three
---@field waiting (fun(op: string, poll: function, most: integer, counts?: boolean): function)|false the method that waits for what a poll returns; false on LuaJIT
---@field run_copy (fun(pump: asyncwrite.core.Pump, r: asyncwrite.Reader, w: asyncwrite.Writer): true?, string?, string?)|false waits for the end of a copy; false on LuaJIT
---@field run_copies (fun(there: asyncwrite.core.Pump, back: asyncwrite.core.Pump, a: asyncwrite.Stream, b: asyncwrite.Stream): true?, string?, string?)|false the same of both ways
---@field to_park fun(anyone?: boolean): table|true?, string? the task of the calling coroutine, or nil and why it cannot wait
---@field crowded fun(on: boolean) while on, the running task is not alone even if none is ready
---@field turn fun(wait: boolean) lets the loop run its callbacks; with wait it waits for the first
---@field pending fun(): integer, integer, boolean ready tasks; waits the loop can end; is a turn wanted first?
---@field backend_fd fun(): integer readable when the loop has something to do, for hosts
---@field bridge fun(...): userdata? the helper thread that wakes an nginx worker; nil, message, code elsewhere
---@field pumping fun(on: boolean) while on, the host looks after every wake itself and is not poked
---@field poke fun() makes backend_fd readable
---@field backend_timeout fun(): integer milliseconds until the loop wants a turn; -1: never
---@field timer fun(seconds: number): asyncwrite.core.Timer
---@field clock_pause fun() the clock stands still; see aw_reactor_pause
---@field clock_resume fun() it goes on at the real pace
---@field clock_set fun(seconds?: number) it is so late now; nil: the real time; timers keep what they have left
---@field clock_jump fun(): boolean to the next timer; false: there is none, or the clock runs
---@field clock_is_paused fun(): boolean
---@field take_wake fun(handle: asyncwrite.core.Handle): boolean was the task woken? Takes it off the ready list
---@field leave fun() no task runs: after one that was resumed by hand outside of all others
---@field encode fun(format: string, value: any, low?: integer): string "u16_le" and so on (A6)
---@field decode fun(format: string, s: string): any, integer?
---@field copy fun(r: asyncwrite.Reader, w: asyncwrite.Writer, buffer: integer?, shut_down: boolean): asyncwrite.core.Pump
---@field resolve fun(host: string?, port: string, passive: boolean): asyncwrite.core.Lookup?, string?, string?
---@field tcp_connect function (lookup, i [, from]): a stream under way to address i, or the triple
---@field tcp_listen function (lookup, i [, backlog [, reuseport]]): a listener at address i, or the triple
---@field tcp_open fun(fd: integer): asyncwrite.Socket?, string?, string?
---@field unix_connect fun(path: string): asyncwrite.Socket?, string?, string?
---@field unix_listen fun(path: string, backlog?: integer): asyncwrite.Listener?, string?, string?
---@field unix_pair fun(): asyncwrite.Socket?, asyncwrite.Socket|string, string?
---@field pipe_pair fun(): asyncwrite.Pipe?, asyncwrite.Pipe|string, string?
---@field pipe_open fun(fd: integer): asyncwrite.Pipe?, string?, string?
---@field file_open function (path, options, perm): a file under way, or the triple
---@field file_from_fd fun(fd: integer): asyncwrite.File?, string?, string?
---@field file_poll_open function (file): true and whether it is no file; false; or the triple
---@field file_poll function (file, kind, id [, offset [, whence]]): the result; false and the id for the next poll; or the triple
---@field metadata function (path or file): an object to poll, or the triple
---@field check_file fun(op: string, value: any) raises unless it is a stream with a file at the end of its chain
---@field stdio_open fun(fd: integer): asyncwrite.Pipe?, string?, string? EPERM: it must be had as a file
---@field is_terminal fun(fd: integer): boolean
---@field process_spawn function (args, env, cwd, stdin, stdout, stderr, kill_on_drop, detached): the handle and three pipes or nil, or the triple
---@field environ fun(): string[] "NAME=value" ... of this process
---@field signal fun(signal: string|integer): userdata?, string?, string?

--- A task as C sees it.
---@class asyncwrite.core.Handle
---@field wake fun(self) makes it ready
---@field unready fun(self) it has gone on by the host's own doing
---@field forget fun(self) its coroutine is the host's again
---@field bind fun(self, co: thread) polls in that coroutine are the task's
---@field refill fun(self) it goes on after a wait that the host ended, with a fresh budget
---@field enter fun(self) it runs from here on, on the budget of the task that runs now
---@field resume fun(self, ...): boolean?, any one step: nothing when it waits now, else as coroutine.resume
---@field steady fun(self, on: boolean) while on, the executor need not look at each of its steps
---@field waits fun(self): string?, any, integer? while it waits: the operation, on what, how many bytes that has accepted
---@field finish fun(self) it never runs again

---@class asyncwrite.core.Timer
---@field poll fun(self): boolean has the time come?
---@field free fun(self)

---@class asyncwrite.core.Dice
---@field replay fun(self, steps: integer[]) verbs and their arguments in turn; after them all goes well
---@field steps fun(self): integer[] what was thrown until now, in the same form
---@field poll_cancel fun(self): boolean true once for every cancel that was thrown

---@class asyncwrite.core.Lookup
---@field poll fun(self): boolean?, string?, string?
---@field count fun(self): integer addresses it gave
---@field address fun(self, i: integer): string, integer
---@field free fun(self)

---@class asyncwrite.core.Pump
---@field poll fun(self, r: asyncwrite.Reader, w: asyncwrite.Writer): boolean?, string?, string?
---@field total fun(self): integer bytes the writer took until now

return aw
