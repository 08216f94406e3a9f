-- SPDX-License-Identifier: MIT
-- Every kind of writer, as the conformance tests see it: a name, its traits, and how one is made.
--
-- Traits, all of them false by default:
--   full      it has room for so much and is NotReady then        late      the kernel may make room by itself (TCP's
--   peer      somebody reads it, and may go away                            window), so NotReady may end unasked
--   eof       the peer sees end of file after shutdown            half      it is a reader too: t.r reads what t.back sends
--   fd        wakes come from the loop                            random    a double below pends and is short by dice
--   vectored  what is_write_vectored says                         buffer    bytes held back at most, by a wrapper
--   zero      it gives 0 when it has no room                      blind     nobody can see what arrived (sink)
--   double    t.double logs every call that reaches the leaf      leaf      no wrapper around it
--   behind    NotReady while what it accepted is being written

local aw = require "asyncwrite"
local D = require "support.doubles"
local child = require "support.child"
local chaos = require "asyncwrite.testing.chaos"
local runner = require "asyncwrite.testing.conformance.runner"
local testing = require "asyncwrite.testing"

local CAPACITY = 64        -- of pipes in memory
local BUFFER = 16          -- of buf_writers
local SEND_BUFFER = 4096   -- asked of the kernel, so that sockets fill up soon
local RECV_BUFFER = 65536  -- less than a segment would make TCP wait for its timers
local FIXED = 256 * 1024   -- a fixed cursor: more than any test writes, unless it wants to see the end

local kinds, by_name = {}, {}

local function add(name, traits, make)
  local kind = runner.kind(name, traits, make)
  kinds[#kinds + 1] = kind
  by_name[name] = kind
end

local function leaf(name, traits, make)
  traits.leaf = true
  add(name, traits, make)
end

-- What wraps another kind has its traits, but for those that change. wrap(t) puts the wrapper around t.w; so does the
-- trait `wrap` with any writer, for the cases over doubles (where it needs a reader it gets one).
local function over(name, inner, changes, wrap)
  local traits, below = {}, assert(by_name[inner])
  for trait, value in pairs(below) do traits[trait] = value end
  traits.name, traits.make, traits.fixture, traits.leaf = nil, nil, nil, nil
  function traits.wrap(w)
    local t = { w = below.half and aw.join(aw.cursor("input"), w) or w }
    wrap(t)
    return t.w
  end
  for trait, value in pairs(changes) do traits[trait] = value end
  add(name, traits, function(t)
    below.make(t)
    wrap(t)
  end)
end

local function buffered(inner, capacity, name)
  capacity = capacity or BUFFER
  local below = by_name[inner].buffer or 0
  over(name or "buf_writer > " .. inner, inner, { buffer = below + capacity, vectored = true }, function(t)
    t.w = aw.buf_writer(t.w, capacity)
  end)
end

-- ---- Leaves ----

leaf("sink", { vectored = true, blind = true }, function(t) t.w = aw.sink() end)

leaf("empty", { vectored = true, blind = true }, function(t) t.w = aw.empty() end)

leaf("memory", { vectored = true }, function(t)
  t.w = aw.memory()
  t.contents = function() return t.w:contents() end
end)

leaf("cursor", { vectored = true }, function(t)
  t.w = aw.cursor()
  t.contents = function() return t.w:contents() end
end)

leaf("cursor(reader)", { writer = false, reader = true, input = true }, function(t)
  t.input = D.text(3000)
  t.r = aw.cursor(t.input)
end)

leaf("buf_reader | cursor(reader)", { writer = false, reader = true, input = true }, function(t)
  t.input = D.text(3000)
  t.r = aw.buf_reader(aw.cursor(t.input), 16)
end)

leaf("cursor(fixed)", { vectored = true, zero = FIXED }, function(t)
  t.w = aw.cursor(("\0"):rep(FIXED), FIXED)
  t.contents = function() return t.w:contents():sub(1, t.w:position() - t.w:buffered()) end
end)

leaf("duplex", { vectored = true, full = true, peer = true, eof = true, half = true }, function(t)
  t.w, t.peer = aw.duplex(CAPACITY)
end)

leaf("simplex", { vectored = true, full = true, peer = true, eof = true }, function(t)
  t.peer, t.w = aw.simplex(CAPACITY)
end)

leaf("tcp", { vectored = true, full = true, late = true, peer = true, eof = true, half = true, fd = true }, function(t)
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  t.w = assert(aw.tcp.connect("127.0.0.1", port))
  t.peer = assert(listener:accept())
  listener:close()
  assert(t.w:set_send_buffer_size(SEND_BUFFER))
  assert(t.peer:set_recv_buffer_size(RECV_BUFFER))
end)

leaf("unix", { vectored = true, full = true, peer = true, eof = true, half = true, fd = true }, function(t)
  t.w, t.peer = aw.unix.pair()
  assert(t.w:set_send_buffer_size(SEND_BUFFER))
end)

leaf("pipe", { vectored = true, full = true, peer = true, eof = true, fd = true }, function(t)
  t.peer, t.w = aw.pipe.pair()
end)

leaf("pipe(socket)", { vectored = true, full = true, peer = true, eof = true, half = true, fd = true }, function(t)
  local near
  near, t.peer = aw.unix.pair()
  assert(near:set_send_buffer_size(SEND_BUFFER))
  t.w = assert(aw.pipe.open(near:fd()))
  near:close()
end)

-- An unlinked file; it is looked at through its descriptor.
local function file(mode, max, through)
  return function(t)
    local path = os.tmpname()
    t.w = assert(aw.file.open(path, mode))
    os.remove(path)
    if max then t.w:set_max_buf_size(max) end
    if through then t.w = through(t.w) end
    local fd = t.w:fd()
    t.contents = function()
      local look = assert(io.open("/proc/self/fd/" .. fd, "rb"))
      local bytes = look:read("*a")
      look:close()
      return bytes
    end
  end
end
leaf("file", { vectored = true, behind = true, fd = true }, file("w+"))
leaf("file(max 7)", { vectored = true, behind = true, fd = true }, file("w+", 7))
leaf("file(append)", { vectored = true, behind = true, fd = true }, file("a"))

-- Not in a worker of nginx, which reaps children itself and has standard streams of its own.
local outside = rawget(_G, "ngx") and function() end or leaf

-- A child that hands on what it is given.
outside("child stdin", { vectored = true, full = true, late = true, peer = true, eof = true, fd = true }, function(t)
  local cat = assert(aw.process.spawn { "cat", stdin = "pipe", stdout = "pipe", stderr = "null" })
  t.w, t.peer = cat.stdin, cat.stdout
end)

-- aw.stdout() while fd 1 is another: it keeps no hold of that.
local function stdout_at(fd)
  local posix = child.posix()
  local saved = posix.dup(1)
  posix.dup2(fd, 1)
  local w, message = aw.stdout()
  posix.dup2(saved, 1)
  posix.close(saved)
  return assert(w, message)
end

outside("stdout(pipe)", { vectored = true, full = true, peer = true, eof = true, fd = true }, function(t)
  local w
  t.peer, w = aw.pipe.pair()
  t.w = stdout_at(w:fd())
  w:close()
end)

outside("stdout(socket)", { vectored = true, full = true, peer = true, eof = true, fd = true }, function(t)
  local near
  near, t.peer = aw.unix.pair()
  assert(near:set_send_buffer_size(SEND_BUFFER))
  t.w = stdout_at(near:fd())
  near:close()
end)

outside("stdout(file)", { vectored = true, behind = true, fd = true }, file("w+", nil, function(f)
  local w = stdout_at(f:fd())
  f:close()
  return w
end))

leaf("custom", { double = true }, function(t) t:use(D.writer()) end)

leaf("custom(vectored)", { double = true, vectored = true }, function(t) t:use(D.writer { vectored = true }) end)

leaf("lua_pipe", { full = true, peer = true, eof = true }, function(t) t.w, t.peer = D.pipe(CAPACITY) end)

leaf("chaos", { random = true }, function(t) t:use(D.writer(D.chaos(t.random))) end)

leaf("chaos(vectored)", { random = true, vectored = true }, function(t)
  t:use(D.writer(D.chaos(t.random, { vectored = true })))
end)

-- Any bytes will do; what is left of the script when a test ends is none of its business.
local function use_mock(t, script)
  local mock
  t.w, mock = testing.mock(script)
  mock:abandon()
  t.contents = function() return mock:contents() end
end

leaf("mock", {}, function(t) use_mock(t, { { "write", math.huge } }) end)

leaf("mock(vectored)", { vectored = true }, function(t) use_mock(t, { vectored = true, { "write", math.huge } }) end)

leaf("mock(scripted)", { random = true }, function(t)
  local script = {}
  for _ = 1, 100 do
    local n = t.random(20)
    for _, action in ipairs { { "pending", t.random(2) }, { "accept", n }, { "write", n } } do script[#script + 1] = action end
  end
  script[#script + 1] = { "write", math.huge }
  use_mock(t, script)
end)

-- ---- Wrappers ----

for _, inner in ipairs { "sink", "memory", "cursor(fixed)", "duplex", "simplex", "tcp", "unix", "pipe", "custom",
  "custom(vectored)", "lua_pipe", "chaos", "chaos(vectored)", "file", "child stdin" } do
  if by_name[inner] then buffered(inner) end
end
buffered("memory", 0, "buf_writer(0) > memory")
buffered("buf_writer > tcp", 40)
buffered("buf_writer > chaos", 40)
buffered("buf_writer > lua_pipe", 3)

-- A wrapper that holds back as much as `buffer`, or nothing, over each of these kinds.
local function wrapped(name, inners, changes, wrap)
  for _, inner in ipairs(inners) do
    local traits = {}
    for trait, value in pairs(changes) do traits[trait] = value end
    if changes.buffer then traits.buffer = changes.buffer + (by_name[inner].buffer or 0) end
    over(name .. " > " .. inner, inner, traits, wrap)
  end
end

wrapped("line_writer", { "memory", "cursor(fixed)", "duplex", "tcp", "pipe", "custom", "custom(vectored)", "lua_pipe", "chaos",
  "chaos(vectored)", "buf_writer > chaos(vectored)" }, { buffer = BUFFER },
  function(t) t.w = aw.line_writer(t.w, BUFFER) end)

local readers = {
  inspect_reader = function(r) return aw.inspect_reader(r, function(s) assert(#s > 0) end) end,
  take = function(r) return aw.take(r, 2 ^ 40) end,
  throttle_reader = function(r) return aw.throttle_reader(r, 1e14) end,
  deadline = function(r) return aw.deadline(r, 1e6) end,
  checksum_reader = function(r) return aw.checksum_reader(r, "crc32") end,
}
for _, name in ipairs { "inspect_reader", "take", "checksum_reader", "throttle_reader", "deadline" } do
  leaf(name .. " | cursor(reader)", { writer = false, reader = true, input = true }, function(t)
    t.input = D.text(3000)
    t.r = readers[name](aw.cursor(t.input))
  end)
  for _, inner in ipairs { "duplex", "tcp", "line_writer > tcp" } do
    over(name .. " | " .. inner, inner, {}, function(t) t.w = readers[name](t.w) end)
  end
end

-- What changes nothing of what goes through. In memory V7 would make it look at 4 GiB, so sinks are left out.
local transparent = { "memory", "cursor(fixed)", "duplex", "tcp", "pipe(socket)", "custom", "custom(vectored)", "lua_pipe",
  "chaos", "chaos(vectored)", "buf_writer > chaos" }

-- Everything that was accepted has been seen, and nothing else.
wrapped("inspect", transparent, {}, function(t)
  local seen = {}
  t.w = aw.inspect(t.w, function(s)
    assert(type(s) == "string" and #s > 0)
    seen[#seen + 1] = s
  end)
  t.seen = function() return table.concat(seen) end
end)

wrapped("limit", transparent, {}, function(t) t.w = aw.limit(t.w, 2 ^ 40) end)

wrapped("checksum", transparent, {}, function(t) t.w = aw.checksum(t.w, "crc32c") end)

-- The second branch has everything when the first has; it is as vectored as that.
wrapped("tee", transparent, {}, function(t)
  t.copy = D.writer { vectored = t.w:is_write_vectored(), log = false }
  t.w = aw.tee { t.w, t.copy.w }
end)

wrapped("tee(chaos)", { "memory", "cursor(fixed)", "chaos" }, { random = true, vectored = false }, function(t)
  t.copy = D.writer(D.chaos(t.random or D.random(1)))
  t.w = aw.tee({ t.w, t.copy.w }, { capacity = 7 })
end)

-- So fast that nothing waits for it, and a deadline that never comes.
wrapped("throttle", transparent, {}, function(t) t.w = aw.throttle(t.w, 1e14) end)

wrapped("deadline", transparent, {}, function(t) t.w = aw.deadline(t.w, 1e6) end)

-- With room for everything; with less than is below it, so that a write may find none in either; and with so little that
-- every byte has to make room for the next by itself.
wrapped("budgeted", transparent, {}, function(t) t.w = aw.budgeted(t.w, aw.budget(2 ^ 40)) end)

wrapped("budgeted(48)", { "duplex", "simplex", "memory", "cursor(fixed)", "tcp", "custom(vectored)", "chaos", "file",
  "buf_writer > tcp", "buf_writer > chaos" }, {}, function(t) t.w = aw.budgeted(t.w, aw.budget(100, aw.budget(48))) end)

wrapped("budgeted(3)", { "buf_writer > custom", "buf_writer > chaos", "file" }, {}, function(t)
  t.w = aw.budgeted(t.w, aw.budget(3))
end)

over("budgeted > buf_writer > duplex", "buf_writer > duplex", {}, function(t) t.w = aw.budgeted(t.w, aw.budget(2 ^ 40)) end)

wrapped("progress", transparent, {}, function(t) t.w = aw.progress(t.w, function(p) t.progress = p end, { interval = 0 }) end)

over("buf_writer > budgeted(48) > duplex", "budgeted(48) > duplex", { buffer = BUFFER, vectored = true }, function(t)
  t.w = aw.buf_writer(t.w, BUFFER)
end)

over("buf_writer > inspect > duplex", "inspect > duplex", { buffer = BUFFER, vectored = true }, function(t)
  t.w = aw.buf_writer(t.w, BUFFER)
end)

for _, inner in ipairs { "duplex", "simplex", "tcp", "unix", "pipe", "custom", "custom(vectored)", "lua_pipe", "chaos",
  "chaos(vectored)", "mock(scripted)" } do
  over("record > " .. inner, inner, {}, function(t) t.w = testing.record(t.w) end)
end
buffered("mock")
buffered("mock(scripted)")
buffered("record > duplex")
-- Trouble by dice, in C. What its reading would do is another kind. Late wakes need the loop.
local function shaken(inner, changes)
  local late = by_name[inner].fd and 5 or 0
  local traits = { full = false, random = true, half = false, reader = false, wrap = false }
  for trait, value in pairs(changes or {}) do traits[trait] = value end
  over("chaos > " .. inner, inner, traits, function(t)
    t.w = chaos.chaos(t.w, t.random(2 ^ 30), { short = 30, early = 20, late = late, spurious = late, max_late = 1 })
  end)
end

for _, inner in ipairs { "memory", "duplex", "pipe", "custom", "buf_writer > duplex" } do shaken(inner, { double = false }) end
buffered("chaos > duplex")
leaf("chaos | cursor(reader)", { writer = false, reader = true, input = true, random = true, fd = true }, function(t)
  t.input = D.text(300)
  t.r = chaos.chaos(aw.cursor(t.input), t.random(2 ^ 30), { short = 30, early = 10, late = 5, spurious = 5, max_late = 1 })
end)

local function read_ahead(t) t.w = aw.buf_reader(t.w, BUFFER) end
over("buf_reader | duplex", "duplex", {}, read_ahead)
over("buf_reader | tcp", "tcp", {}, read_ahead)
over("buf_reader | buf_writer > unix", "buf_writer > unix", {}, read_ahead)

over("join(simplex, simplex)", "simplex", { half = true }, function(t)
  local r, back = aw.simplex(CAPACITY)
  t.w, t.back = aw.join(r, t.w), back
end)

over("join(pipe, buf_writer > pipe)", "buf_writer > pipe", { half = true }, function(t)
  local r, back = aw.pipe.pair()
  t.w, t.back = aw.join(r, t.w), back
end)

local function split(t) t.r, t.w = aw.split(t.w) end
over("split(duplex)", "duplex", {}, split)
over("split(tcp)", "tcp", {}, split)
over("split(buf_writer > tcp)", "buf_writer > tcp", {}, split)

over("unsplit(unix)", "unix", {}, function(t) t.w = aw.unsplit(aw.split(t.w)) end)

return kinds
