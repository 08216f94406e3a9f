-- SPDX-License-Identifier: MIT
-- A1-A6, A10, A11: the operations that wait. Copying (A7-A9) is in a_copy_spec.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

clause("A1", "write_all_of_nothing_is_true_whatever_the_writer_is_like", {}, function(t)
  check.equal(t.w:write_all(""), true, "write_all('')")
  if t.kind.full then
    t:fill()
    check.equal(t.w:write_all(""), true, "write_all('') when full")
  end
  t:finish()
  check.equal(t.w:write_all(""), true, "write_all('') after shutdown")
end)

clause("A2", "write_all_writes_every_byte_once_and_in_order", {}, function(t)
  t:read_on()
  for _, size in ipairs { 1, 16, 17, 8192, 100000 } do
    local s = t:text(size)
    check.equal(t.w:write_all(s), true, "write_all")
    t:book(s, #s)
  end
  local a, b, c = t:text(70000), D.text(3, t.total + 70001), D.text(40000, t.total + 70004)
  check.equal(t.w:write_all(a, "", b, c), true, "write_all of several")
  t:book(a .. b .. c, 110003)
  t:finish()
end)

-- A3: cut while it waits, an operation that makes one write has written nothing.
local single = {
  write = function(w, s) return w:write(s) end,
  write_vectored = function(w, s) return w:write_vectored { s:sub(1, 9), s:sub(10) } end,
  write_buf = function(w, s) return w:write_buf(aw.cursor(s)) end,
}

for name, operation in pairs(single) do
  clause("A3", name .. "_that_is_cancelled_has_written_nothing", { "full" }, function(t)
    t:fill()
    for _ = 1, 5 do
      local s, n = t:text(200), nil
      local task = t:spawn(function() n = operation(t.w, s) end)
      aw.yield()
      task:cancel()
      if n then t:book(s, n) end
      s = t:text(200)
      local value, _, code, accepted = aw.timeout(0.001, operation, t.w, s)
      if value then
        t:book(s, value)
      else
        check.equal(code, "ETIMEDOUT", "the code of a timeout")
        check.equal(accepted, 0, "bytes accepted by what was cut")
      end
    end
    t:put_and_finish("the end")
  end)
end

clause("A3", "write_is_cancelled_at_every_wait_of_a_chaotic_writer", { "random" }, function(t)
  local n
  for _ = 1, 200 do
    local s = t:text(t.random(30))
    n = nil
    local task = t:spawn(function() n = t.w:write(s) end)
    for _ = 1, t.random(4) do aw.yield() end
    task:cancel()
    if n then t:book(s, n) end
  end
  t:finish()
end)

clause("A4", "write_all_buf_writes_what_is_left_to_the_end", {}, function(t)
  t:read_on()
  local s = t:text(20000)
  local buf = aw.cursor(s)
  buf:set_position(5000)
  check.equal(t.w:write_all_buf(buf), true, "write_all_buf")
  check.equal(buf:remaining(), 0, "what is left")
  t:book(s:sub(5001), 15000)
  t:finish()
end)

clause("A4", "write_all_buf_advances_by_what_was_written_also_when_cancelled", { "full" }, function(t)
  local s = D.text(1000000)
  local buf = aw.cursor(s)
  for _ = 1, 10 do
    local before = buf:position()
    local task = t:spawn(function() return t.w:write_all_buf(buf) end)
    aw.yield()
    task:cancel()
    local cut = buf:position()
    t:book(s:sub(before + 1), cut - before)
    local ok, message, code, accepted = aw.timeout(0.001, function() return t.w:write_all_buf(buf) end)
    check.fails("ETIMEDOUT", "write_all_buf with no room", ok, message, code)
    check.equal(accepted, buf:position() - cut, "bytes accepted by what was cut")
    t:book(s:sub(cut + 1), accepted)
    -- When the kernel made no room in that time, there is nothing to read either.
    if t.total - t.have > (t.kind.buffer or 0) then t:keep(check.ok(t.peer:read(20000))) end
  end
  t:finish()
end)

clause("A5", "write_buf_writes_what_the_cursor_has_left", {}, function(t)
  t:read_on()
  local s = t:text(3000)
  local buf = aw.cursor(s)
  while buf:remaining() > 0 do
    local before = buf:position()
    local n = check.count(buf:chunk(), t.w:write_buf(buf))
    check.equal(buf:position() - before, n, "the advance of the cursor")
  end
  check.equal(t.w:write_buf(buf), 0, "write_buf of an exhausted cursor")
  t:book(s, #s)
  t:finish()
end)

-- A10
clause("A10", "a_timeout_tells_how_many_bytes_were_accepted", { "full" }, function(t)
  for name, f in pairs {
    write_all = function(rest) return t.w:write_all(rest) end,
    several = function(rest) return t.w:write_all(rest:sub(1, 100), rest:sub(101)) end,
    vectored = function(rest) return t.w:write_all_vectored { "", rest:sub(1, 9), rest:sub(10) } end,
    buf = function(rest) return t.w:write_all_buf(aw.cursor(rest)) end,
    copy = function(rest) return aw.copy(aw.cursor(rest), t.w) end,
  } do
    local rest = t:text(1000000)
    local ok, message, code, accepted = aw.timeout(0.01, f, rest)
    check.fails("ETIMEDOUT", name, ok, message, code)
    t:book(rest, check.count(rest, accepted))
    if not t.kind.fd then t:keep(check.ok(t.peer:read(10))) end
  end
  t:put_and_finish(t:text(3))
end)

clause("A10", "what_is_ready_beats_a_deadline_that_has_passed", { "!random", "!behind" }, function(t)
  local s = t:text(10)
  check.equal(aw.timeout(0, function() return t.w:write_all(s) end), true, "write_all in no time")
  t:book(s, #s)
  t:finish()
end)

clause("A10", "a_deadline_of_the_writer_cuts_its_waits", { "full" }, function(t)
  t.w:set_deadline(0.01)
  for _ = 1, 2 do
    local s = t:text(3000000)
    local ok, message, code, accepted = t.w:write_all(s)
    check.fails("ETIMEDOUT", "write_all under a deadline", ok, message, code)
    t:book(s, check.count(s, accepted))
  end
  t.w:set_deadline(nil)
  t:put_and_finish("after it")
end)

clause("A11", "nothing_is_written_before_the_task_runs", { "!blind", "!random" }, function(t)
  local s = t:text(20)
  local task = t:spawn(function() return t.w:write_all(s) and t.w:flush() end)
  check.equal(t:arrived(), "", "what arrived before the task ran")
  check.equal(t.w:buffered(), 0, "what is buffered before the task ran")
  task:cancel()
  aw.yield()
  check.equal(t.w:buffered(), 0, "what is buffered after it was cancelled")
  t:finish()
end)
