-- SPDX-License-Identifier: MIT
-- P: poll_write.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

local LENGTHS = { 1, 2, 15, 16, 17, 63, 64, 65, 1000, 8192, 20000 }

clause("P1", "ready_counts_lie_within_the_buffer", {}, function(t)
  t:read_on()
  for _, len in ipairs(LENGTHS) do
    local n = t:write(t:text(len)) -- checks 0 <= n <= len
    check.ok(n > 0, "a write with room took nothing")
  end
  t:finish()
end)

clause("P1", "a_range_of_the_string_is_its_buffer", {}, function(t)
  t:read_on()
  for _, range in ipairs { { 1, 10 }, { 3, 3 }, { 4, 3 }, { 11, 10 }, { -4, -2 }, { 5 }, { -1 } } do
    local s = t:text(10)
    local want = s:sub(range[1], range[2] or -1)
    local n = check.count(want, D.ready(t.w, "poll_write", s, range[1], range[2]))
    t:book(want, n)
  end
  t:finish()
end)

-- The same bytes again and again, and the same waker: other content is P9, another waker W2.
clause("P2", "pending_takes_nothing_and_wakes_when_there_is_room", { "full" }, function(t)
  local c, n = t:fill(function(size) return ("x"):rep(size) end, D.waker()), nil
  for _ = 1, 3 do
    n = c:poll(t.w, "poll_write", "x")
    if n then t:book("x", n) end
  end
  if n == false then t:make_room(c) end
  t:read_on()
  t:write("x")
  t:settle()
end)

clause("P3", "a_write_that_fails_has_written_nothing", {}, function(t)
  t:put(t:text(20))
  t:settle()
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  D.ready(t.w, "poll_write", "lost") -- what it says is S6
  t:finish_unflushed()
end)

clause("P3", "after_an_error_it_goes_on_where_it_was", { "fail" }, function(t)
  for i = 1, 10 do
    t:put(t:text(5))
    t.fail()
    local s = t:text(i)
    local n, message, code = D.ready(t.w, "poll_write", s)
    check.equal(n, nil, "a poll_write that is made to fail")
    check.ok(type(message) == "string" and type(code) == "string", "it fails with nil, message, code")
    t:put(s)
    if t.peer then t:keep(check.ok(t.peer:read(3))) end
  end
  t:settle()
end)

clause("P4", "zero_for_bytes_means_no_more_room_for_ever", { "zero" }, function(t, kind)
  t:put(t:text(kind.zero))
  local function full(what, n, message, code, accepted)
    check.fails("EWRITEZERO", what, n, message, code)
    return accepted
  end
  if kind.buffer then
    for _ = 1, kind.buffer do t:put(t:text(1)) end -- the buffer takes so much more, which then cannot leave it
    full("poll_write", D.ready(t.w, "poll_write", "x"))
    full("flush", t.w:flush())
    full("shutdown", t.w:shutdown())
  else
    for _ = 1, 3 do check.equal(D.ready(t.w, "poll_write", "x"), 0, "poll_write with no room") end
    check.equal(t.w:write("x"), 0, "write with no room")
    check.equal(t.w:write_buf(aw.cursor("x")), 0, "write_buf with no room")
  end
end)

clause("P4", "higher_layers_turn_zero_into_an_error", { "zero" }, function(t, kind)
  local room = kind.zero + (kind.buffer or 0)
  t:put(t:text(room - 3))
  local function cut(what, want, value, message, code, accepted)
    check.fails("EWRITEZERO", what, value, message, code)
    check.equal(accepted, want, "bytes accepted by " .. what)
  end
  -- What is longer than a buffer is not buffered: it goes straight to where nothing fits any more.
  local fits = kind.buffer and 0 or 3
  cut("write_all", fits, t.w:write_all(D.text(20)))
  cut("write_all_vectored", 0, t.w:write_all_vectored { D.text(10), D.text(10) })
  cut("write_all_buf", 0, t.w:write_all_buf(aw.cursor(D.text(20))))
  cut("copy", 0, aw.copy(aw.cursor(D.text(20)), t.w))
  if not kind.buffer then
    cut("writef", 0, t.w:writef("%d", 1))
    cut("write_u32", 0, t.w:write_u32(1))
  end
end)

clause("P4", "a_write_with_room_is_never_zero", { "!zero" }, function(t)
  t:read_on()
  for _ = 1, 50 do check.ok(t:write(t:text(100)) > 0, "poll_write gave 0 for 100 bytes (P4)") end
  t:settle()
end)

clause("P5", "an_empty_write_is_ready_at_once", {}, function(t)
  check.equal(select(2, D.poll(t.w, "poll_write", "")), 0, "an empty write")
  check.equal(select(2, D.poll(t.w, "poll_write_vectored", {})), 0, "an empty vector")
  check.equal(t.w:write(""), 0, "write('')")
  check.equal(t.w:try_write(""), 0, "try_write('')")
end)

clause("P5", "an_empty_write_is_ready_also_when_it_is_full", { "full" }, function(t)
  local c = t:fill(nil, D.waker())
  for _ = 1, 3 do
    check.equal(select(2, D.poll(t.w, "poll_write", "")), 0, "an empty write when full")
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", { "", "" })), 0, "an empty vector when full")
  end
  t:make_room(c) -- the waker of the write that waits is still the one
  t:finish()
end)

clause("P5", "closed_comes_before_empty_after_shutdown", {}, function(t)
  t:read_on()
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  check.fails("EPIPE", "an empty write after shutdown", select(2, D.poll(t.w, "poll_write", "")))
  check.fails("EPIPE", "an empty vector after shutdown", select(2, D.poll(t.w, "poll_write_vectored", { "" })))
  check.fails("EPIPE", "an empty try_write after shutdown", t.w:try_write(""))
end)

clause("P5", "closed_comes_before_empty_without_a_peer", { "peer", "!buffer", "!random" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  check.fails(code, "an empty write without a peer", select(2, D.poll(t.w, "poll_write", "")))
  check.fails(code, "an empty vector without a peer", select(2, D.poll(t.w, "poll_write_vectored", {})))
end)

clause("P6", "no_room_is_pending_and_no_error", { "full" }, function(t)
  t:fill()
  for _ = 1, 3 do
    local _, n, _, code = D.poll(t.w, "poll_write", "x")
    check.equal(code, nil, "the code of a poll with no room")
    if n then t:book("x", n) end
  end
  local flushed, _, code = select(2, D.poll(t.w, "poll_flush"))
  check.ok(flushed ~= nil, code)
  t:read_on()
  t:finish()
end)

clause("P7", "it_makes_room_by_itself_without_a_flush", { "full" }, function(t, kind)
  local total = kind.fd and 300000 or 5000
  t:read_on()
  while t.total < total do t:write(t:text(kind.fd and 5000 or 50)) end
  t:finish()
end)

clause("P9", "a_retry_may_bring_other_content", {}, function(t)
  t:read_on()
  local accepted = 0
  for i = 1, 400 do
    local s = ("%d:%s;"):format(i, D.text(t.random(30)))
    local c, n = D.poll(t.w, "poll_write", s)
    if n then
      t:book(s, check.count(s, n))
      accepted = accepted + 1
    else
      check.equal(n, false, "poll_write")
      c:wait()
    end
  end
  check.ok(accepted > 0, "nothing was accepted")
  t:finish()
end)

clause("P10", "what_fits_of_a_long_write_is_taken", { "full" }, function(t)
  local s = ("x"):rep(1000000)
  local _, n = t:poll_write(s)
  check.ok(n and n > 0 and n < #s, ("a write of %d bytes with room for some took %s"):format(#s, tostring(n)))
end)

clause("P2", "after_a_short_count_the_wake_still_comes", { "full" }, function(t)
  local s = t:text(1000000)
  local n = t:write(s)
  t:read_on()
  local rest = s:sub(n + 1, n + 200000)
  check.ok(t.w:write_all(rest))
  t:book(rest, #rest)
  t:settle()
end)

clause("U2", "try_write_takes_a_part_or_gives_eagain_and_registers_nothing", { "full", "!buffer" }, function(t)
  local s = D.text(1000000)
  local n = check.count(s, t.w:try_write(s))
  t:book(s, n)
  local c = t:fill()
  if not t.kind.late then
    check.fails("EAGAIN", "try_write with no room", t.w:try_write("x"))
    t:make_room(c) -- the waker of the poll before it is still the one
  end
  t:read_on()
  t:put("after")
  t:finish()
end)

clause("U4", "an_empty_write_is_no_sign_of_room", { "full", "fd", "!late" }, function(t)
  local c = t:fill()
  local empty, n = D.poll(t.w, "poll_write", "")
  check.equal(n, 0, "an empty write")
  for _ = 1, 5 do aw.sleep(0.0001) end -- its timer fires in a turn of the loop
  check.equal(empty.woken + c.woken, 0, "wakes with no room")
  t:make_room(c)
  t:finish()
end)
