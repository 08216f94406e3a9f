-- SPDX-License-Identifier: MIT
-- Test doubles: scripted and seeded writers and readers made with aw.custom, and wakers that count. What a double was
-- asked is in its log, word for word; what it accepted is in its bytes.

local aw = require "asyncwrite"

local D = {} -- waiting: the counter that is waited for just now

--- Seconds until a test counts as hung. Nothing waits for it, unless something is broken.
D.guard = tonumber(os.getenv("SPEC_GUARD")) or 10

--- Lets the other tasks and the loop run until condition() holds.
function D.run_until(condition, what)
  local start = aw.now()
  while not condition() do
    if aw.now() - start > D.guard then error(("%s never came in %g s"):format(what, D.guard), 0) end
    aw.yield()
  end
end

-- ---- Data ----

--- Random integers with a state of their own: random(n) gives 1..n, the same on every Lua (MINSTD).
function D.random(seed)
  local state = math.floor(seed) % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local text = ""

--- n bytes of an endless text that never repeats, from byte `from` on (default 1): a byte that is lost, doubled or out
--- of order shows.
function D.text(n, from)
  from = from or 1
  local last = from + n - 1
  if last > #text then
    local parts = { text }
    for number = #text / 8, math.max(last, 2 * #text) / 8 do parts[#parts + 1] = ("%07x."):format(number) end
    text = table.concat(parts)
  end
  return text:sub(from, last)
end

-- ---- Wakers and polls ----

local Waker = {}

-- The waker's function holds the counts and not the counter, which holds the waker: that would be a cycle through C.
function Waker.__index(c, key)
  local method = Waker[key]
  if method ~= nil then return method end
  return c.counts[key]
end

--- A waker that counts in `woken`; action(), if given, runs at each wake.
function D.waker(action)
  local counts = { woken = 0, signal = aw.notify() }
  local waker = aw.waker(function()
    counts.woken = counts.woken + 1
    counts.signal:notify_one()
    if action then action() end
  end)
  return setmetatable({ counts = counts, waker = waker }, Waker)
end

--- One poll in the context of this waker: c:poll(w, "poll_write", s).
local function registered(c, value, ...)
  if value == false and c.woken == 0 and not c.waker:is_held() then
    error(c.op .. " was NotReady, and neither kept nor woke the waker (W1)", 0)
  end
  return value, ...
end

function Waker:poll(box, method, ...)
  self.op = method
  return registered(self, aw.with_waker(self.waker, box[method], box, ...))
end

--- Waits, in a task, until it has been woken.
function Waker:wait()
  D.waiting = self -- what a hang hangs at
  while self.woken == 0 do self.signal:notified() end
  D.waiting = nil
end

--- One poll with a waker of its own: the counter, then the results.
function D.poll(box, method, ...)
  local c = D.waker()
  return c, c:poll(box, method, ...)
end

local PATIENCE = 10000 -- wakes after which one more NotReady is taken for a livelock

local function again(tries, c, box, method, args, first, ...)
  if first ~= false then return first, ... end
  if tries == PATIENCE then error(("%s is NotReady again after %d wakes"):format(method, tries), 0) end
  c:wait()
  c = D.waker()
  return again(tries + 1, c, box, method, args, c:poll(box, method, args[1], args[2], args[3]))
end

--- Polls until Ready or an error. Every poll has a new waker, so a NotReady that registers none waits for ever.
function D.ready(box, method, ...)
  local c = D.waker()
  return again(0, c, box, method, { ... }, c:poll(box, method, ...))
end

-- ---- Scripted writers ----

local Double = {}
Double.__index = Double

local function show(s)
  if #s > 64 then return "<" .. #s .. " bytes>" end
  return (s:gsub("[^%g ]", function(c) return ("\\%d"):format(c:byte()) end))
end

local function note(d, line)
  if d.log then d.log[#d.log + 1] = line end
end

--- The log until now, which is then empty.
function Double:trace()
  local log = self.log
  self.log = {}
  return log
end

--- How many calls the log has that start with a word.
function Double:count(word)
  local n = 0
  for _, line in ipairs(self.log) do
    if line:sub(1, #word) == word then n = n + 1 end
  end
  return n
end

--- Wakes whoever was told "pending" last.
function Double:wake()
  local waker = self.waiting
  self.waiting = nil
  if waker then waker:wake() end
  return waker ~= nil
end

local function wake_later(waker, turns)
  aw.spawn("late waker", function()
    for _ = 1, turns do aw.yield() end
    waker:wake()
  end)
end

-- What the plan says to this call: from a list in order, or from a function. nil: everything is accepted.
local function decide(d, op, len)
  local plan = d.plan[op]
  if type(plan) == "function" then return plan(d, len) end
  return plan and table.remove(plan, 1)
end

-- false, having arranged the wake: "pending" by d:wake(), "now" before the poll returns, a table {late = turns} by a
-- task, in {late = turns, early = true} after a wake that comes to nothing.
local function suspend(d, answer)
  local waker = aw.current_waker()
  if answer == "pending" then
    d.waiting = waker
  elseif answer == "now" then
    waker:wake()
  else
    if answer.early then waker:wake() end
    wake_later(waker, answer.late)
  end
  return false
end

local function respond(d, op, shown, data)
  local call = data and op .. " " .. shown or op
  if data == "" then
    note(d, call .. "= 0")
    return 0
  end
  local answer = decide(d, op == "vectored" and "write" or op, data and #data)
  if answer == "pending" or answer == "now" or type(answer) == "table" and answer.late then
    note(d, call .. " = pending")
    return suspend(d, answer)
  elseif type(answer) == "table" then
    note(d, call .. " = " .. answer[1])
    return nil, answer[1] .. ": by the script", answer[1]
  elseif not data then
    note(d, call)
    return true
  end
  local n = math.min(answer or #data, #data)
  note(d, call .. " = " .. n)
  d.parts[#d.parts + 1] = data:sub(1, n)
  return n
end

--- Everything accepted so far.
function Double:bytes() return table.concat(self.parts) end

--- A writer that answers by a plan. plan.write, plan.flush, plan.shutdown: a list of answers taken in order (after it
--- all is accepted) or a function(double, length). An answer is a number (at most so many bytes), "pending", "now",
--- {late = turns}, {"ECODE"} or nil. plan.vectored: it takes vectors. plan.log = false: no log. plan.read: its
--- poll_read, which makes it a reader too. Returns the double: w is the writer, log the calls.
function D.writer(plan)
  plan = plan or {}
  local d = setmetatable({ plan = plan, parts = {}, log = plan.log ~= false and {} or nil, closed = 0 }, Double)
  local methods = {
    name = plan.name or "double",
    poll_write = function(_, s) return respond(d, "write", show(s), s) end,
    poll_flush = function() return respond(d, "flush") end,
    poll_shutdown = function() return respond(d, "shutdown") end,
    poll_read = plan.read,
    close = function() d.closed = d.closed + 1 end,
  }
  if plan.vectored then
    methods.poll_write_vectored = function(_, list)
      local data = table.concat(list)
      return respond(d, "vectored", show(table.concat(list, "|")), data)
    end
  end
  d.w = aw.custom(methods)
  return d
end

--- A plan by dice: short counts, and pendings that are woken early, late or for nothing. options: errors (per cent of
--- calls that fail with EIO), vectored, log, read.
function D.chaos(random, options)
  options = options or {}
  local errors = options.errors or 0
  local function pending(roll)
    if roll <= 10 then return "now" end
    if roll <= 20 then return { late = random(3) } end
    if roll <= 25 then return { late = random(3), early = true } end
  end
  local function step()
    local roll = random(100)
    if roll > 100 - errors then return { "EIO" } end
    return pending(roll)
  end
  local function write(_, len)
    local answer = step()
    if answer then return answer end
    return random(2) == 1 and random(len) or len
  end
  return { write = write, flush = step, shutdown = step, vectored = options.vectored, log = options.log or false,
    read = options.read, name = "chaos" }
end

-- ---- Readers ----

--- A reader that gives the items of a list: a string, "pending" as false with d:wake(), false as end of file, {"ECODE"}.
--- After the list: end of file. Strings longer than asked for come in pieces.
function D.reader(items)
  local d = setmetatable({ log = {} }, Double)
  d.r = aw.custom {
    name = "double",
    poll_read = function(_, max)
      local item = items[1]
      if item == "pending" then
        table.remove(items, 1)
        note(d, "read = pending")
        d.waiting = aw.current_waker()
        return false
      elseif type(item) == "table" then
        table.remove(items, 1)
        return nil, item[1] .. ": by the script", item[1]
      elseif not item then
        table.remove(items, 1)
        note(d, "read = eof")
        return nil
      end
      local s = item:sub(1, max)
      if #s == #item then table.remove(items, 1) else items[1] = item:sub(max + 1) end
      note(d, "read = " .. #s)
      return s
    end,
  }
  return d
end

-- ---- A pipe in Lua, as a user would write it ----

local function wake(p, side)
  local waker = p[side]
  p[side] = nil
  if waker then waker:wake() end
end

--- Writer and reader of a pipe for at most capacity bytes.
function D.pipe(capacity)
  local p = { data = "" }
  local w = aw.custom {
    name = "lua_pipe",
    poll_write = function(_, s)
      if p.reader_gone then return nil, "EPIPE: the reader is gone", "EPIPE" end
      if s == "" then return 0 end
      local n = math.min(#s, capacity - #p.data)
      if n == 0 then
        p.writer = aw.current_waker()
        return false
      end
      p.data = p.data .. s:sub(1, n)
      wake(p, "reader")
      return n
    end,
    poll_flush = function()
      if p.reader_gone and not p.writer_gone then return nil, "EPIPE: the reader is gone", "EPIPE" end
      return true
    end,
    poll_shutdown = function()
      p.writer_gone = true
      wake(p, "reader")
      return true
    end,
    close = function()
      p.writer_gone = true
      wake(p, "reader")
    end,
  }
  local r = aw.custom {
    name = "lua_pipe",
    poll_read = function(_, max)
      if p.data == "" then
        if p.writer_gone then return nil end
        p.reader = aw.current_waker()
        return false
      end
      local s = p.data:sub(1, max)
      p.data = p.data:sub(max + 1)
      wake(p, "writer")
      return s
    end,
    close = function()
      p.reader_gone = true
      wake(p, "writer")
    end,
  }
  return w, r
end

return D
