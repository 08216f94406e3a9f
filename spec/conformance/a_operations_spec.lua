-- SPDX-License-Identifier: MIT
-- A1-A6, A10, A11: the operations that wait. Copying (A7-A9) is in a_copy_spec.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

local DOUBLES = { kinds = { "custom", "custom(vectored)" }, reason = "the calls that reach it cannot be counted" }

exact(M, "A1", "write_all_of_nothing_polls_nothing", DOUBLES, function()
  for _, vectored in ipairs { false, true } do
    local d = D.writer { vectored = vectored, write = { { "EIO" } } }
    check.equal(d.w:write_all(""), true, "write_all('')")
    check.equal(d.w:write_all("", "", ""), true, "write_all of empties")
    check.equal(d.w:write_all_vectored {}, true, "write_all_vectored {}")
    check.equal(d.w:write_all_buf(aw.cursor("")), true, "write_all_buf of an empty cursor")
    check.equal(d.w:writef("%s", ""), true, "writef of an empty string")
    check.list(d.log, {}, "calls")
  end
end)

clause(M, "A1", "write_all_of_nothing_is_true_whatever_the_writer_is_like", {}, function(t)
  check.equal(t.w:write_all(""), true, "write_all('')")
  if t.kind.full then
    t:fill()
    check.equal(t.w:write_all(""), true, "write_all('') when full")
  end
  t:finish()
  check.equal(t.w:write_all(""), true, "write_all('') after shutdown")
end)

clause(M, "A2", "write_all_writes_every_byte_once_and_in_order", {}, function(t)
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

exact(M, "A2", "write_all_keeps_its_position_over_pendings_and_short_counts", DOUBLES, function()
  local d = D.writer { write = { 3, "now", 1, { late = 2, early = true }, 2 } }
  check.equal(d.w:write_all("abcdefgh"), true, "write_all")
  check.list(d.log, { "write abcdefgh = 3", "write defgh = pending", "write defgh = 1", "write efgh = pending",
    "write efgh = 2", "write gh = 2" })
end)

exact(M, "A2", "write_all_tells_the_first_error_and_how_far_it_came", DOUBLES, function()
  for code, answer in pairs { EWRITEZERO = 0, EIO = { "EIO" }, ENOSPC = { "ENOSPC" } } do
    local d = D.writer { write = { 3, "now", 2, answer } }
    local ok, message, got, accepted = d.w:write_all("abc", "defg", "hi")
    check.fails(code, "write_all", ok, message, got)
    check.equal(accepted, 5, "bytes accepted")
    check.equal(d:bytes(), "abcde", "what arrived")
  end
end)

-- A3: cut while it waits, an operation that makes one write has written nothing.
local single = {
  write = function(w, s) return w:write(s) end,
  write_vectored = function(w, s) return w:write_vectored { s:sub(1, 9), s:sub(10) } end,
  write_buf = function(w, s) return w:write_buf(aw.cursor(s)) end,
}

for name, operation in pairs(single) do
  clause(M, "A3", name .. "_that_is_cancelled_has_written_nothing", { "full" }, function(t)
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

clause(M, "A3", "write_is_cancelled_at_every_wait_of_a_chaotic_writer", { "random" }, function(t)
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

exact(M, "A4", "write_all_buf_stops_at_the_chunk_that_failed", DOUBLES, function()
  local d = D.writer { write = { 4, { "EIO" } } }
  local buf = aw.cursor("helloworld")
  local ok, message, code, accepted = d.w:write_all_buf(buf)
  check.fails("EIO", "write_all_buf", ok, message, code)
  check.equal(accepted, 4, "bytes accepted")
  check.equal(buf:chunk(), "oworld", "what is left")
  check.equal(d.w:write_all_buf(buf), true, "write_all_buf once more")
  check.equal(buf:remaining(), 0, "what is left at the end")
  check.equal(d:bytes(), "helloworld", "what arrived")
  check.fails("EWRITEZERO", "over a writer that takes nothing", D.writer { write = { 0 } }.w:write_all_buf(aw.cursor("x")))
end)

clause(M, "A4", "write_all_buf_writes_what_is_left_to_the_end", {}, function(t)
  t:read_on()
  local s = t:text(20000)
  local buf = aw.cursor(s)
  buf:set_position(5000)
  check.equal(t.w:write_all_buf(buf), true, "write_all_buf")
  check.equal(buf:remaining(), 0, "what is left")
  t:book(s:sub(5001), 15000)
  t:finish()
end)

clause(M, "A4", "write_all_buf_advances_by_what_was_written_also_when_cancelled", { "full" }, function(t)
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
    t:keep(check.ok(t.peer:read(20000)))
  end
  t:finish()
end)

exact(M, "A5", "write_buf_makes_one_attempt_and_advances_by_it", DOUBLES, function()
  local d = D.writer { write = { 3, "now", 2, { "EIO" } } }
  local buf = aw.cursor("helloworld")
  check.equal(d.w:write_buf(aw.cursor("")), 0, "write_buf of an empty cursor")
  check.list(d:trace(), {}, "calls for nothing")
  check.equal(d.w:write_buf(buf), 3, "write_buf")
  check.list(d:trace(), { "write helloworld = 3" })
  check.equal(d.w:write_buf(buf), 2, "write_buf that waited")
  check.list(d:trace(), { "write loworld = pending", "write loworld = 2" })
  local n, message, code, accepted = d.w:write_buf(buf)
  check.fails("EIO", "write_buf", n, message, code)
  check.equal(accepted, 0, "bytes accepted")
  check.equal(buf:chunk(), "world", "what is left after an error")
end)

clause(M, "A5", "write_buf_writes_what_the_cursor_has_left", {}, function(t)
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
clause(M, "A10", "a_timeout_tells_how_many_bytes_were_accepted", { "full" }, function(t)
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

clause(M, "A10", "what_is_ready_beats_a_deadline_that_has_passed", { "!random" }, function(t)
  local s = t:text(10)
  check.equal(aw.timeout(0, function() return t.w:write_all(s) end), true, "write_all in no time")
  t:book(s, #s)
  t:finish()
end)

clause(M, "A10", "a_deadline_of_the_writer_cuts_its_waits", { "full" }, function(t)
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

exact(M, "A10", "what_is_always_ready_times_out_too", { "!full", "!random" }, function()
  for _, w in ipairs { aw.sink(), D.writer { log = false }.w, aw.buf_writer(aw.sink()) } do
    local ok, message, code = aw.timeout(0.02, function()
      for _ = 1, 1e7 do w:write("x") end -- seconds of writes
    end)
    check.fails("ETIMEDOUT", "an endless loop of writes", ok, message, code)
    w:close()
  end
end)

clause(M, "A11", "nothing_is_written_before_the_task_runs", { "!blind", "!random" }, function(t)
  local s = t:text(20)
  local task = t:spawn(function() return t.w:write_all(s) and t.w:flush() end)
  check.equal(t:arrived(), "", "what arrived before the task ran")
  check.equal(t.w:buffered(), 0, "what is buffered before the task ran")
  task:cancel()
  aw.yield()
  check.equal(t.w:buffered(), 0, "what is buffered after it was cancelled")
  t:finish()
end)

return M
