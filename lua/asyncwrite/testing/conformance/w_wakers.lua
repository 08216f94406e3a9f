-- SPDX-License-Identifier: MIT
-- W1-W10: who is woken, when, and by what.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

-- More than the pipe or socket holds: its write_all waits for sure.
local function big(t) return D.text(t.kind.fd and 4000000 or 10000) end

-- Polls until it is NotReady, always by the same waker; the counter.
local function pend(t, method, ...)
  local args = { ... }
  return t:pend(function(c)
    local value = c:poll(t.w, method, args[1])
    if type(value) == "number" then t:book("x", value) end
    return value == false and c
  end)
end

clause("W1", "every_pending_poll_is_woken", { "full" }, function(t, kind)
  t:make_room(pend(t, "poll_write", "x"))
  t:make_room(pend(t, "poll_write_vectored", { "x" }))
  t:make_room(pend(t, "poll_write_buf", aw.cursor("x")))
  if kind.buffer then
    t:make_room(pend(t, "poll_flush"))
    t:fill()
    local c, value = D.poll(t.w, "poll_shutdown")
    if value == false then t:make_room(c) end
    return t:finish_unflushed()
  end
  t:finish()
end)

clause("W2", "the_waker_of_the_latest_poll_is_the_one", { "full" }, function(t)
  local first
  local second = t:pend(function(filled)
    first = filled
    local c, n = D.poll(t.w, "poll_write", "x")
    if n then t:book("x", n) end
    return n == false and c
  end)
  t:make_room(second)
  check.equal(first.woken, 0, "wakes of the earlier waker")
  t:finish()
end)

clause("W3", "write_and_flush_share_one_slot", { "full", "buffer" }, function(t)
  local first
  local second = t:pend(function(filled)
    first = filled
    local c, value = D.poll(t.w, "poll_flush")
    return value == false and c
  end)
  t:make_room(second)
  check.equal(first.woken, 0, "wakes of the waker of poll_write")
  t:finish()
end)

clause("W3", "a_second_task_on_a_slot_is_told_that_it_is_busy", { "full" }, function(t)
  local s = big(t)
  local task = t:spawn(function() return t.w:write_all(s) end)
  aw.yield()
  local function busy(op, f, ...) check.raises({ "EBUSY", op }, op .. " beside a write that waits", f, ...) end
  for _, op in ipairs { "poll_write", "poll_flush", "poll_shutdown" } do
    busy(op, D.poll, t.w, op, "x")
    busy(op, t.w[op], t.w, op == "poll_write" and "x" or nil)
  end
  busy("write", t.w.write, t.w, "x")
  busy("write_all", t.w.write_all, t.w, "x")
  busy("flush", t.w.flush, t.w)
  busy("copy", aw.copy, aw.cursor("x"), t.w)
  check.ok(not task:is_done(), "the write does not wait any more")
  t:read_on()
  check.equal(task:join(), true, "the write that waited")
  t:book(s, #s)
  t:finish()
end)

clause("W3", "a_second_task_on_a_read_slot_is_told_that_it_is_busy", { "half" }, function(t)
  local task = t:spawn(function() return t.r:read() end)
  aw.yield()
  check.raises({ "EBUSY", "poll_read" }, "poll_read", D.poll, t.r, "poll_read")
  check.raises({ "EBUSY", "read" }, "read", t.r.read, t.r)
  t:put("writing is free")
  t:finish()
  check.ok(t.back:write_all("x") and t.back:flush())
  check.equal(task:join(), "x", "the read that waited")
end)

clause("W4", "room_to_write_does_not_wake_the_reader", { "full", "half" }, function(t)
  local reader, value = D.poll(t.r, "poll_read")
  check.equal(value, false, "poll_read with nothing to read")
  for _ = 1, 3 do t:make_room(t:fill()) end
  check.equal(reader.woken, 0, "wakes of the reader by room")
  check.ok(t.back:write_all("x") and t.back:flush())
  reader:wait()
  t:finish()
end)

clause("W4", "bytes_to_read_do_not_wake_the_writer", { "full", "half", "!late" }, function(t)
  local writer = t:fill()
  local reader = D.poll(t.r, "poll_read")
  for _ = 1, 3 do
    check.ok(t.back:write_all("x") and t.back:flush())
    reader:wait()
    reader = D.poll(t.r, "poll_read")
    if reader.woken == 0 then reader = D.poll(t.r, "poll_read") end
  end
  check.equal(writer.woken, 0, "wakes of the writer by bytes")
  t:make_room(writer)
  t:finish()
end)

clause("W5", "a_spurious_wake_is_only_a_hint", { "full" }, function(t)
  local s, waker = big(t), nil
  local task = t:spawn(function()
    waker = aw.current_waker()
    return t.w:write_all(s)
  end)
  for _ = 1, 20 do
    aw.yield()
    waker:wake()
    waker:wake()
  end
  check.ok(not task:is_done(), "a wake ended the wait")
  t:read_on()
  check.equal(task:join(), true, "write_all")
  t:book(s, #s)
  t:finish()
end)

clause("W6", "wakes_before_a_poll_coalesce", { "full" }, function(t)
  local s, waker, resumed = big(t), nil, 0
  t:spawn(function()
    waker = aw.current_waker()
    while true do
      local n = t.w:poll_write(s)
      resumed = resumed + 1
      if n then t:book(s, n) else aw.park("test") end
    end
  end)
  t:run_until(function() return resumed > 0 end, "the first poll")
  local before = resumed
  for _ = 1, 10 do waker:wake() end
  aw.yield()
  check.ok(resumed - before >= 1, "no poll after the wakes")
  if not t.kind.late then check.equal(resumed - before, 1, "polls after ten wakes") end
end)

clause("W7", "a_waker_may_close_the_writer", { "full" }, function(t)
  t:fill()
  local c = D.waker(function() t.w:close() end)
  c:poll(t.w, "poll_write", "x")
  t:run_until(function()
    D.poll(t.peer, "poll_read")
    return t.w:is_closed()
  end, "the wake")
end)

clause("W7", "a_waker_may_close_both_sides", { "full" }, function(t)
  t:fill()
  local c = D.waker(function()
    t.w:close()
    t.peer:close()
  end)
  c:poll(t.w, "poll_write", "x")
  t:run_until(function()
    if not t.peer:is_closed() then D.poll(t.peer, "poll_read") end
    return t.peer:is_closed()
  end, "the wake")
  check.ok(t.w:is_closed(), "the writer is open")
end)

clause("W7", "the_first_of_two_wakers_may_close_what_both_wait_for", { "full", "half" }, function(t)
  local writer = t:fill()
  local reader = D.waker(function()
    t.w:close()
    if not t.r:is_closed() then t.r:close() end
  end)
  reader:poll(t.r, "poll_read")
  t:close_peer() -- readable and writable at once
  reader:wait()
  check.ok(t.w:is_closed(), "the writer is open")
  check.ok(writer.woken <= 1, "the writer was woken twice")
end)

clause("W8", "a_parked_writer_is_told_that_its_peer_went", { "full", "peer" }, function(t)
  local task = t:spawn(function() return t.w:write_all(big(t)) end)
  aw.yield()
  t:close_peer()
  local ok, message, code, accepted = task:join()
  check.fails("EPIPE ECONNRESET", "write_all without a peer", ok, message, code)
  check.ok(accepted >= 0 and accepted < #big(t), "bytes accepted: " .. tostring(accepted))
end)

clause("W8", "a_parked_writer_is_told_that_its_peer_was_collected", { "full", "peer" }, function(t)
  local c = t:fill()
  t:let_go(t.peer)
  collectgarbage()
  collectgarbage()
  c:wait()
  if t.kind.late then return check.fails("EPIPE ECONNRESET", "what writes end with", nil, "", t:break_pipe()) end
  check.fails("EPIPE ECONNRESET", "poll_write", D.ready(t.w, "poll_write", "x"))
end)

clause("W9", "a_read_wakes_the_writer_once", { "full", "!fd" }, function(t)
  local c = t:fill()
  for i = 1, 5 do
    t:keep(select(2, D.poll(t.peer, "poll_read", 1)))
    check.equal(c.woken, 1, ("wakes after read %d"):format(i))
  end
  t:finish()
end)

clause("W9", "a_read_of_nothing_wakes_nobody", { "half", "!fd" }, function(t)
  local c = D.poll(t.r, "poll_read")
  D.poll(t.peer, "poll_read")
  D.poll(t.peer, "poll_read")
  check.equal(c.woken, 0, "wakes")
end)

clause("W10", "a_disconnected_peer_stays_disconnected", { "peer", "fd", "full", "!buffer" }, function(t)
  local c = t:fill()
  t:close_peer()
  c:wait()
  if t.kind.late then t:break_pipe() end -- room may have come first
  for _ = 1, 5 do
    check.fails("EPIPE ECONNRESET", "poll_write", select(2, D.poll(t.w, "poll_write", "x")))
    aw.yield()
  end
  if t.kind.half then
    for _ = 1, 5 do
      local s, _, code = select(2, D.poll(t.r, "poll_read"))
      check.ok(s == nil and (code == nil or code == "ECONNRESET"), "poll_read gave " .. tostring(s))
    end
  end
end)

clause("W10", "end_of_file_stays_end_of_file", { "eof" }, function(t)
  t:finish()
  for _ = 1, 5 do
    local s, _, code = select(2, D.poll(t.peer, "poll_read"))
    check.equal(s, nil, "poll_read at the end of file")
    check.equal(code, nil, "its code")
  end
end)
