-- SPDX-License-Identifier: MIT
-- mock: a stream that follows a script, as tokio_test::io. What the code under test does otherwise fails, with the place in
-- the script and what differs; and it fails once more at the end of the run, should the code have swallowed it.
--
-- One list serves both directions. Reads are to be had once everything before them is done; writes do not wait for reads
-- before them, as a peer's bytes that nobody has read yet hold up no write.

local core = require "asyncwrite.core"
core.library()
local diff = require "asyncwrite.testing.diff"
local script = require "asyncwrite.testing.script"
local watch = require "asyncwrite.testing.watch"

local current_waker, with_waker = core.current_waker, core.with_waker

local Mock = {}
Mock.__index = Mock

-- ---- Reports ----

local EXCERPT = 2 -- actions shown before and after the one in question

local function show_script(self, at)
  local lines, list = {}, self.actions
  local from, to = math.max(1, at - EXCERPT), math.min(#list, at + EXCERPT)
  if from > 1 then lines[1] = "    ..." end
  for i = from, to do
    local mark = i == at and ">" or " "
    lines[#lines + 1] = ("  %s %d %s%s"):format(mark, i, script.show(list[i]), list[i].done and " (done)" or "")
  end
  if at > #list then lines[#lines + 1] = "  > " .. (self.open and "nothing more yet" or "the end of the script") end
  if to < #list then lines[#lines + 1] = "    ..." end
  return table.concat(lines, "\n")
end

local function count(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

local function title(self)
  return ("mock%s (made at %s)"):format(self.label and " '" .. self.label .. "'" or "", self.where)
end

local function report(self, at, problem, detail)
  local place = at <= #self.actions and ("at action %d of %d"):format(at, #self.actions)
    or "after " .. count(#self.actions, "action")
  return ("%s: %s, %s%s\n%s"):format(title(self), problem, place, detail and "\n" .. detail or "", show_script(self, at))
end

-- Fails for good: every later poll says the same.
local function fail(self, at, problem, detail)
  error(watch.fail(self, report(self, at, problem, detail)), 0)
end

-- ---- The place in the script ----

local function rename(self)
  local at, n = self.first, #self.actions
  local place = self.failure and "failed" or at <= n and ("%d/%d: %s"):format(at, n, script.show(self.actions[at]))
    or self.open and "open" or "done"
  self.methods.name = ("mock%s(%s)"):format(self.label and " '" .. self.label .. "' " or "", place)
end

local function wake(self, side)
  local waker = self.parked[side]
  self.parked[side] = nil
  if waker then waker:wake() end
  return waker ~= nil
end

-- A reader waits while a write comes first, a writer while the script may still grow.
local function advance(self)
  local list = self.actions
  while list[self.first] and list[self.first].done do self.first = self.first + 1 end
  rename(self)
  local front = list[self.first]
  if not front or front.side ~= "write" then wake(self, "read") end
end

-- A timer that nobody needs any more would keep the loop waiting.
local function free_timer(action)
  if action.timer then action.timer:free() end
  action.timer, action.alarm = nil, nil
end

local function consume(self, action)
  action.done = true
  free_timer(action)
  advance(self)
end

-- The first action that is not done and concerns writing; its place, and the place behind the script without one.
local function next_write(self, from)
  local list = self.actions
  for i = from or self.first, #list do
    if not list[i].done and list[i].side ~= "read" then return list[i], i end
  end
  return nil, #list + 1
end

local function park(self, side)
  self.parked[side] = current_waker()
  return false
end

-- Is this wait not over? Both directions wait for the one timer; its waker knows only who is parked, as it is held by C.
local function holds(self, action, side)
  park(self, side)
  if not action.timer then
    local parked = self.parked
    action.timer = core.timer(action.seconds, "mock")
    action.alarm = core.waker(function()
      local reader, writer = parked.read, parked.write
      parked.read, parked.write = nil, nil
      if reader then reader:wake() end
      if writer then writer:wake() end
    end)
  end
  if not with_waker(action.alarm, action.timer.poll, action.timer) then return true end
  self.parked[side] = nil
  consume(self, action)
  return false
end

-- A pending or wait that is met: true when the poll is NotReady because of it. A pending wakes at once: it is enough that
-- the caller polls again.
local function is_held(self, action, side)
  if action.kind == "wait" then return holds(self, action, side) end
  local waker = current_waker()
  action.left = action.left - 1
  if action.left == 0 then consume(self, action) end
  waker:wake()
  return true
end

local function is_hold(action) return action.kind == "pending" or action.kind == "wait" end

local function check_failure(self)
  if self.failure then error(self.failure, 0) end
end

-- ---- Writing ----

-- The part of s that this action expects: how many bytes; nil when they differ.
local function compare(action, s)
  if action.any then return math.min(action.any, #s) end
  local n = math.min(#s, #action.data - action.at)
  local want = action.data:sub(action.at + 1, action.at + n)
  return want == s:sub(1, n) and n or nil
end

local function take(self, action, n)
  if action.any then
    action.any = action.any - n
    if action.any == 0 then consume(self, action) end
  else
    action.at = action.at + n
    if action.at == #action.data then consume(self, action) end
  end
end

local function differs(self, action, at, s)
  local detail, place = diff.diff(action.data:sub(action.at + 1), s)
  fail(self, at, ("the write differs at byte %d of %d"):format(action.at + place, #action.data), detail)
end

-- One write against the writes that follow each other in the script, reads aside.
local function match(self, s)
  local done = 0
  local action, at = next_write(self)
  while action and action.kind == "write" and done < #s do
    local rest = s:sub(done + 1)
    local n = compare(action, rest)
    if not n and done > 0 then break end -- the next write will tell; this one has matched so far
    if not n then differs(self, action, at, rest) end
    take(self, action, n)
    done = done + n
    action, at = next_write(self)
  end
  self.dirty = true
  self.written[#self.written + 1] = s:sub(1, done)
  return done
end

local function poll_write(self, s)
  check_failure(self)
  if s == "" then return 0 end
  while true do
    local action, at = next_write(self)
    if not action then
      if self.open then return park(self, "write") end
      fail(self, at, ("unexpected write of %s"):format(count(#s, "byte")), "  got       " .. diff.quote(s))
    elseif is_hold(action) then
      if is_held(self, action, "write") then return false end
    elseif action.kind == "accept" then
      self.limit = action.argument
      consume(self, action)
    elseif action.kind == "write" then
      local limit = self.limit or #s
      self.limit = nil
      return match(self, s:sub(1, limit))
    elseif action.kind == "zero" then
      consume(self, action)
      return 0
    elseif action.kind == "write_error" then
      consume(self, action)
      return script.failure(action)
    else
      fail(self, at, ("unexpected write of %s, expected %s"):format(count(#s, "byte"), action.kind),
        "  got       " .. diff.quote(s))
    end
  end
end

-- ---- Flush, shutdown, close ----

-- The action of this kind if it is the next of the writing side, holds and writes of any number aside.
local function upcoming(self, kind)
  local action, at = next_write(self)
  while action and (is_hold(action) or action.any == math.huge) do action, at = next_write(self, at + 1) end
  return action and action.kind == kind and action or nil, action, at
end

-- Takes what stands before an expected flush or shutdown out of the way: true when the poll is NotReady by it.
local function is_held_before(self, wanted)
  while true do
    local action = next_write(self)
    if action == wanted then return false end
    if not is_hold(action) then
      consume(self, action)
    elseif is_held(self, action, "write") then
      return true
    end
  end
end

local function perform(self, action)
  consume(self, action)
  if action.code then return script.failure(action) end
  return true
end

local function mentions(self, kind)
  for i = 1, #self.actions do
    if self.actions[i].kind == kind then return true end
  end
  return false
end

-- A flush that has nothing to do is always right (F3), and so is every flush while the script knows of none.
local function poll_flush(self)
  check_failure(self)
  local wanted, other, at = upcoming(self, "flush")
  if wanted then
    if is_held_before(self, wanted) then return false end
    self.dirty = wanted.code and self.dirty
    return perform(self, wanted)
  end
  if self.dirty and mentions(self, "flush") then
    fail(self, at, "unexpected flush" .. (other and ", expected " .. script.show(other) or ""))
  end
  return true
end

-- No write can come any more: what the script still expects of the writing side will not be.
local function poll_shutdown(self)
  check_failure(self)
  local wanted, other, at = upcoming(self, "shutdown")
  if wanted then
    if is_held_before(self, wanted) then return false end
    return perform(self, wanted)
  end
  if self.abandoned then return true end
  if other and other.kind ~= "close" then
    fail(self, at, "unexpected shutdown, expected " .. script.show(other))
  end
  if mentions(self, "shutdown") then fail(self, at, "unexpected shutdown") end
  return true
end

-- What is left of the script: the place of the first action, or nil.
local function left(self)
  for i = self.first, #self.actions do
    if not self.actions[i].done and self.actions[i].any ~= math.huge then return i end
  end
end

local function count_left(self)
  local n = 0
  for _, action in ipairs(self.actions) do
    if not action.done and action.any ~= math.huge then n = n + 1 end
  end
  return n
end

local function leftover(self, how)
  local at = left(self)
  if not at then return nil end
  return report(self, at, ("%s of the script left %s"):format(count(count_left(self), "action"), how))
end

local function on_close(self)
  local wanted = upcoming(self, "close")
  if wanted then consume(self, wanted) end
  self.closed, self.open = true, false
  self:release()
  if self.failure or self.settled then return end
  local text = leftover(self, "when it was closed")
  if text then watch.fail(self, text, true) end
end

-- ---- Reading ----

local function give(self, action, max)
  local s = action.data:sub(action.at + 1, action.at + max)
  action.at = action.at + #s
  if action.at == #action.data then consume(self, action) end
  return s
end

local function poll_read(self, max)
  check_failure(self)
  while not self.ended do
    local action = self.actions[self.first]
    if not action then
      if self.open then return park(self, "read") end
      return nil
    elseif action.side == "write" then
      return park(self, "read")
    elseif is_hold(action) then
      if is_held(self, action, "read") then return false end
    elseif action.kind == "read" then
      return give(self, action, max)
    elseif action.kind == "read_error" then
      consume(self, action)
      return script.failure(action)
    else
      self.ended = true
      consume(self, action)
    end
  end
  return nil
end

-- ---- The handle ----

local function add(self, op, number, item)
  local action, problem = script.parse(item)
  if action and action.side == "read" and self.has_eof then problem = "nothing can be read after eof" end
  if problem then core.arg_error(op, number, "action", problem) end
  if action.kind == "eof" then self.has_eof = true end
  self.actions[#self.actions + 1] = action
end

--- Appends actions, each as in a script: mock:add({"read", "hello"}, {"eof"}).
function Mock:add(...)
  if self.closed then core.raise("add", title(self) .. " is closed") end
  for i = 1, select("#", ...) do add(self, "add", i, (select(i, ...))) end
  advance(self)
  wake(self, "write")
  return self
end

-- mock:read "hello" : the same, one by one.
for kind in pairs(script.KINDS) do
  Mock[kind] = function(self, a, b)
    local action, problem = script.parse { kind, a, b }
    if not action then core.raise(kind, problem) end
    return self:add { kind, a, b }
  end
end

--- No more actions will come: reads give the end of file then, writes fail.
function Mock:finish()
  self.open = false
  rename(self)
  wake(self, "read")
  wake(self, "write")
  return self
end

--- Raises what went wrong, and what is left of the script; else true. Also said at the end of the run.
function Mock:done()
  local text = self.failure or leftover(self, "when done was called")
  watch.settle(self)
  if text then error(text, 0) end
  return true
end

--- What is left of the script need not happen.
function Mock:abandon()
  self.abandoned = true
  watch.settle(self)
  return self
end

--- Wakes whoever waits on the stream, for nothing (W5): was there anybody?
function Mock:wake()
  local reader, writer = wake(self, "read"), wake(self, "write")
  return reader or writer
end

--- Everything that was written.
function Mock:contents() return table.concat(self.written) end

--- The number of the first action that is not done, and how many there are.
function Mock:position() return self.first, #self.actions end

function Mock:__tostring() return title(self) end

-- For watch: its run has ended.
function Mock:release()
  for _, action in ipairs(self.actions) do free_timer(action) end
end

function Mock:unfinished(how)
  if how == "failed" then return nil end -- what failed was the reason
  if how == "stuck" and not left(self) and not self.open then return nil end
  local text = leftover(self, how == "stuck" and "when nothing could go on" or "at the end of the run")
  return text or how == "stuck" and report(self, #self.actions + 1, "it waits for more actions, or for finish()") or nil
end

-- ---- Making one ----

local FIELDS = { name = "string", open = "boolean", vectored = "boolean" }

local function check_script(op, list)
  if type(list) ~= "table" then core.arg_error(op, 1, "script", "table expected, got " .. type(list)) end
  for key, value in pairs(list) do
    if type(key) ~= "number" and not FIELDS[key] then
      core.arg_error(op, 1, "script", ("unknown field '%s'"):format(tostring(key)))
    elseif FIELDS[key] and type(value) ~= FIELDS[key] then
      core.arg_error(op, 1, "script", ("field '%s': %s expected, got %s"):format(key, FIELDS[key], type(value)))
    end
  end
end

-- Where the user's code made it.
local function caller()
  for level = 2, 20 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and not core.is_library(info.source) then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
  return "?"
end

--- A stream that follows the script, and its handle. Without a script it is open: actions come by the handle.
return function(list, op)
  op = op or "mock"
  if list == nil then list = { open = true } end
  check_script(op, list)
  local self = setmetatable({ label = list.name, open = list.open or false, where = caller(), actions = {}, first = 1,
    parked = {}, written = {} }, Mock)
  for i = 1, #list do
    local action, problem = script.parse(list[i])
    if action and action.side == "read" and self.has_eof then problem = "nothing can be read after eof" end
    if problem then core.arg_error(op, 1, "script", ("action %d: %s"):format(i, problem)) end
    if action.kind == "eof" then self.has_eof = true end
    self.actions[i] = action
  end
  self.methods = {
    poll_write = function(_, s) return poll_write(self, s) end,
    poll_write_vectored = list.vectored and function(_, parts) return poll_write(self, table.concat(parts)) end or nil,
    poll_flush = function() return poll_flush(self) end,
    poll_shutdown = function() return poll_shutdown(self) end,
    poll_read = function(_, max) return poll_read(self, max) end,
    close = function() on_close(self) end,
  }
  rename(self)
  watch.add(self)
  return core.custom(self.methods), self
end
