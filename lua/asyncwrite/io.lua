-- SPDX-License-Identifier: MIT
-- The operations that wait: loops of a poll in C and a park. They become methods of every writer and reader.

local core = require "asyncwrite.core"
core.library()
local task = require "asyncwrite.task"

local park = task.park
local methods = core.methods
local poll_write, poll_write_buf, poll_read, poll_read_until, poll_read_line =
  methods.poll_write, methods.poll_write_buf, methods.poll_read, methods.poll_read_until, methods.poll_read_line
local write_all_first, write_all_step, write_all_vectored_step =
  methods.write_all_first, methods.write_all_step, methods.write_all_vectored_step
methods.write_all_first, methods.write_all_step, methods.write_all_vectored_step = nil, nil, nil
methods.poll_read_line = nil

local M = {}

-- waiting(op, poll, most, counts): the method that waits for what a poll returns. most: the arguments it takes, self
-- being one; what more there are the poll does not see. counts: a failure is told with the number of bytes accepted,
-- which is 0. Lua 5.4 has it in C (wait.c).
local waiting = core.waiting or function(op, all, most, counts)
  local poll = all
  if most == 2 then poll = function(self, a) return all(self, a) end
  elseif most == 3 then poll = function(self, a, b) return all(self, a, b) end
  end
  return function(self, ...)
    while true do
      local result, message, code = poll(self, ...)
      if result then return result end
      if result == false then park(op, self)
      elseif counts then return nil, message, code, 0
      elseif code then return nil, message, code
      else return nil -- the end of file
      end
    end
  end
end

-- ---- Writing ----

--- One write, when there is room: how many bytes were accepted. Cancel-safe (A3).
methods.write = waiting("write", poll_write, 4, true)

--- One write from a list of strings, as of their concatenation. Cancel-safe (A3).
methods.write_vectored = waiting("write_vectored", methods.poll_write_vectored, 2, true)

--- One write from a cursor, which is advanced by what was accepted. Cancel-safe (A3, A5).
methods.write_buf = waiting("write_buf", poll_write_buf, 2, true)

-- Goes on where a step stopped: why is false (wait), or the message of an error.
local function write_on(op, w, done, why, code, ...)
  while true do
    if why then return nil, why, code, done end
    park(op, w, done)
    done, why, code = write_all_step(w, done, ...)
    if done == true then return true end
  end
end

--- Writes all strings. true, or nil, message, code, and how many bytes were accepted (A1, A2). In C for Lua 5.4.
methods.write_all = methods.write_all or function(w, ...)
  local done, why, code = write_all_first(w, ...)
  if done == true then return true end
  -- No tail calls in methods: their frames tell errors and reports what was called.
  done, why, code, w = write_on("write_all", w, done, why, code, ...)
  if done then return true end
  return nil, why, code, w
end

--- Writes all strings of a list (V5).
function methods.write_all_vectored(w, list)
  local done = 0
  while true do
    local why, code
    done, why, code = write_all_vectored_step(w, list, done)
    if done == true then return true end
    if why then return nil, why, code, done end
    park("write_all_vectored", w, done)
  end
end

--- Writes what the cursor has left; it is advanced by exactly what was accepted, also on failure (A4).
function methods.write_all_buf(w, cursor)
  local done = 0
  while true do
    local n, message, code = poll_write_buf(w, cursor)
    if n then
      done = done + n
      if cursor:remaining() == 0 then return true end
      if n == 0 then
        n, message, code = core.fail("EWRITEZERO")
      end
    end
    if n == nil then return nil, message, code, done end
    if n == false then park("write_all_buf", w, done) end
  end
end

--- write_all(string.format(format, ...))
function methods.writef(w, format, ...)
  if type(format) ~= "string" then
    core.arg_error("writef", 1, "format", "string expected, got " .. type(format))
  end
  local fine, s = pcall(string.format, format, ...)
  if not fine then core.raise("writef", s) end
  local done, why, code = write_all_first(w, s)
  if done == true then return true end
  done, why, code, w = write_on("writef", w, done, why, code, s)
  if done then return true end
  return nil, why, code, w
end

--- Waits until everything accepted has reached the destination (F1).
methods.flush = waiting("flush", methods.poll_flush, 1)

--- Flushes, says goodbye and closes the write direction down to the last writer (S1-S3). Reading goes on.
methods.shutdown = waiting("shutdown", methods.poll_shutdown, 1)

-- ---- Reading ----

--- Up to max bytes (default and at most 64 KiB) as soon as there are any; nil at end of file; nil, message, code.
--- In C for Lua 5.4.
methods.read = methods.read or waiting("read", poll_read, 2)

local function check_count(op, name, n)
  if type(n) ~= "number" or n < 0 or n % 1 ~= 0 then
    core.arg_error(op, 1, name, "integer of at least 0 expected, got " .. tostring(n))
  end
end

local function read_exact(op, r, n)
  local parts, have = {}, 0
  while have < n do
    local s, message, code = poll_read(r, n - have)
    if s then
      parts[#parts + 1] = s
      have = have + #s
    elseif s == nil then
      if not code then message, code = select(2, core.fail("EOF")) end
      return nil, message, code, table.concat(parts)
    else
      park(op, r, have)
    end
  end
  return #parts == 1 and parts[1] or table.concat(parts)
end

--- Exactly n bytes. On failure nil, message, code and what was read until then; code "EOF" when the end came first.
function methods.read_exact(r, n)
  check_count("read_exact", "n", n)
  local s, message, code, part = read_exact("read_exact", r, n)
  if s then return s end
  return nil, message, code, part
end

--- Up to and with the delimiter (any string); at end of file what is left, then nil. More than max bytes (default
--- 1 MiB) without it: nil, message, "EMSGSIZE". Nothing is lost by a cancel.
methods.read_until = waiting("read_until", poll_read_until, 3)

--- A line without its "\n" or "\r\n".
methods.read_line = waiting("read_line", poll_read_line, 2)

--- for line in r:lines() do ... end; an error of the reader is raised.
function methods.lines(r, max)
  core.check_stream("lines", 0, "self", r, "r")
  if max ~= nil then check_count("lines", "max", max) end
  return function()
    task.need_task("lines")
    while true do
      local line, message = poll_read_line(r, max)
      if message then error(message, 0) end
      if line ~= false then return line end
      park("lines", r)
    end
  end
end

--- Everything to the end of file, at most max bytes (default 64 MiB): nil, message, "EMSGSIZE" and the bytes beyond.
function methods.read_to_end(r, max)
  max = max or 64 * 1024 * 1024
  check_count("read_to_end", "max", max)
  local parts, have = {}, 0
  while true do
    local s, message, code = poll_read(r)
    if s then
      parts[#parts + 1] = s
      have = have + #s
      if have > max then
        message, code = select(2, core.fail("EMSGSIZE"))
        return nil, message, code, table.concat(parts)
      end
    elseif s == false then
      park("read_to_end", r, have)
    elseif code then
      return nil, message, code, table.concat(parts)
    else
      return table.concat(parts)
    end
  end
end

--- What is buffered, after one read where that is nothing; r:consume(n) takes it.
methods.fill_buf = waiting("fill_buf", methods.poll_fill_buf, 1)

-- ---- Numbers (A6): write_u8 ... write_f64_le, read_u8 ... read_f64_le ----
for _, kind in ipairs { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128", "f32", "f64" } do
  local bytes = tonumber(kind:match("%d+")) / 8
  for _, suffix in ipairs(bytes == 1 and { "" } or { "", "_le" }) do
    local format = kind .. suffix
    local write_name, read_name = "write_" .. format, "read_" .. format
    methods[write_name] = function(w, value, low)
      local s = core.encode(format, value, low)
      local done, why, code = write_all_first(w, s)
      if done == true then return true end
      done, why, code, w = write_on(write_name, w, done, why, code, s)
      if done then return true end
      return nil, why, code, w
    end
    methods[read_name] = function(r)
      local s, message, code, part = read_exact(read_name, r, bytes)
      if not s then return nil, message, code, part end
      return core.decode(format, s)
    end
  end
end

-- ---- Copying ----

-- Lua 5.4 has these loops in C (copy.c).
local run_copy = core.run_copy or function(pump, r, w)
  while true do
    local ok, message, code = pump:poll(r, w)
    if ok ~= false then return ok, message, code end
    park("copy", w, pump:total())
  end
end

local run_copies = core.run_copies or function(there, back, a, b)
  local there_done, back_done, message, code
  while true do
    if not there_done then there_done, message, code = there:poll(a, b) end
    if not message and not back_done then back_done, message, code = back:poll(b, a) end
    if message then return nil, message, code end
    if there_done and back_done then return true end
    park("copy_bidirectional", a, there:total() + back:total())
  end
end

--- Everything from r to w (A7). The count, or nil, message, code and the count until then. w is flushed, not shut down.
function M.copy(r, w, buffer)
  local pump = core.copy(r, w, buffer, false)
  local ok, message, code = run_copy(pump, r, w)
  if ok then return pump:total() end
  return nil, message, code, pump:total()
end

--- Both ways at once until both ends have seen end of file; each end of file shuts the other side's writing down (A9).
--- The counts a to b and b to a, or nil, message, code and both counts.
function M.copy_bidirectional(a, b, buffer)
  core.check_stream("copy_bidirectional", 1, "a", a, "rw")
  core.check_stream("copy_bidirectional", 2, "b", b, "rw")
  local there, back = core.copy(a, b, buffer, true), core.copy(b, a, buffer, true)
  local ok, message, code = run_copies(there, back, a, b)
  if ok then return there:total(), back:total() end
  return nil, message, code, there:total(), back:total()
end

return M
