-- SPDX-License-Identifier: MIT
-- S: poll_shutdown, and what happens without it.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

clause("S1", "shutdown_delivers_everything_without_a_flush", {}, function(t)
  t:put(t:text(20))
  t:put(t:text(3)) -- less than most buffers hold
  t:finish_unflushed()
end)

clause("S3", "a_shutdown_that_waits_delivers_everything_to_a_slow_reader", { "full" }, function(t)
  t:fill()
  local c, value = D.poll(t.w, "poll_shutdown")
  if t.kind.buffer then check.equal(value, false, "poll_shutdown with a full buffer and no room") end
  if not value then t:make_room(c) end
  t:finish_unflushed()
end)

clause("S3", "a_shutdown_is_cancelled_at_its_waits_and_resumed", { "full", "buffer" }, function(t)
  t:fill()
  for _ = 1, 4 do
    local task = t:spawn(function() return t.w:shutdown() end)
    aw.yield()
    task:cancel()
    local ok, _, code = aw.timeout(0, function() return t.w:shutdown() end)
    check.ok(ok or code == "ETIMEDOUT", code)
    t:keep(check.ok(t.peer:read(7)))
  end
  t:finish_unflushed()
end)

clause("S3", "a_shutdown_that_pends_by_dice_is_cancelled_and_resumed", { "random" }, function(t)
  t:read_on()
  t:put(t:text(200))
  for _ = 1, 20 do
    local task = t:spawn(function() return t.w:shutdown() end)
    for _ = 1, t.random(4) - 1 do aw.yield() end
    task:cancel()
  end
  t:finish_unflushed()
end)

clause("S4", "a_second_shutdown_is_ready", {}, function(t)
  t:put(t:text(20))
  t:finish()
  for _ = 1, 3 do check.equal(select(2, D.poll(t.w, "poll_shutdown")), true, "poll_shutdown once more") end
  check.equal(t.w:shutdown(), true, "shutdown()")
  if t.peer and not t.kind.half then
    t.peer:close()
    check.equal(select(2, D.poll(t.w, "poll_shutdown")), true, "poll_shutdown without a peer")
  end
end)

clause("S5", "shutdown_of_a_reset_connection_is_ready", { "half", "fd", function(kind)
  return kind.name:find("pipe", 1, true) and "it is no connected socket" or nil
end }, function(t)
  t:put("unread")
  check.ok(t.w:flush())
  t.peer:set_linger(0)
  t:close_peer()
  local s, _, code = t.r:read() -- waits until the kernel knows
  check.ok(s == nil, "something was read")
  check.ok(code == nil or code == "ECONNRESET", code)
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown of a reset connection")
end)

clause("S6", "a_write_after_shutdown_is_a_broken_pipe", {}, function(t)
  t:put("before")
  t:finish()
  local function broken(what, ...) check.fails("EPIPE", what .. " after shutdown", ...) end
  broken("poll_write", select(2, D.poll(t.w, "poll_write", "x")))
  broken("poll_write_vectored", select(2, D.poll(t.w, "poll_write_vectored", { "x", "y" })))
  broken("poll_write_buf", select(2, D.poll(t.w, "poll_write_buf", aw.cursor("x"))))
  broken("try_write", t.w:try_write("x"))
  broken("write", t.w:write("x"))
  broken("write_all", t.w:write_all("x"))
  broken("write_all_vectored", t.w:write_all_vectored { "x" })
  broken("write_all_buf", t.w:write_all_buf(aw.cursor("x")))
  broken("write_u8", t.w:write_u8(1))
  broken("copy", aw.copy(aw.cursor("x"), t.w))
  if not t.kind.blind then check.equal(t:arrived(), "before", "what arrived") end
end)

clause("S6", "writes_end_with_the_first_poll_shutdown_even_a_pending_one", { "full", "buffer" }, function(t)
  t:fill()
  check.equal(select(2, D.poll(t.w, "poll_shutdown")), false, "poll_shutdown with no room")
  check.fails("EPIPE", "poll_write during shutdown", select(2, D.poll(t.w, "poll_write", "x")))
  check.equal(select(2, D.poll(t.w, "poll_flush")), false, "poll_flush during shutdown")
  t:read_on()
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush with room during shutdown")
  t:finish_unflushed()
end)

clause("S7", "the_read_half_lives_on_after_shutdown", { "half" }, function(t)
  t:put("question")
  t:finish()
  check.ok(t.back:write_all("answer\n", "more"))
  check.equal(t.r:read_line(), "answer", "a line after shutdown")
  check.ok(t.back:shutdown())
  check.equal(t.r:read_to_end(), "more", "the rest after shutdown")
end)

clause("S7", "a_reader_parked_during_shutdown_stays_parked", { "half" }, function(t)
  local c, value = D.poll(t.r, "poll_read")
  check.equal(value, false, "poll_read with nothing to read")
  t:finish()
  check.equal(c.woken, 0, "wakes of the reader by shutdown")
  check.ok(t.back:write_all("answer"))
  check.ok(t.back:flush())
  c:wait()
  check.equal(select(2, D.poll(t.r, "poll_read")), "answer", "poll_read")
end)

clause("S8", "the_peer_drains_and_then_sees_end_of_file", { "eof" }, function(t)
  t:put(t:text(40))
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush") -- without one is S1
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  check.equal(t.peer:read_exact(40), t:booked(), "what was under way")
  check.equal(t.peer:read(), nil, "a read at the end of file")
  check.equal(t.peer:read(), nil, "a second read at the end of file")
end)

clause("S8", "shutdown_wakes_a_parked_reader", { "eof" }, function(t)
  local c, value = D.poll(t.peer, "poll_read")
  check.equal(value, false, "poll_read with nothing to read")
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  c:wait()
  local _, s, _, code = D.poll(t.peer, "poll_read")
  check.equal(s, nil, "poll_read after shutdown")
  check.equal(code, nil, "the code of an end of file")
end)

clause("S9", "after_a_fatal_error_every_write_fails", { "peer", "!buffer", "!random" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  for _ = 1, 3 do
    check.fails(code, "poll_write", select(2, D.poll(t.w, "poll_write", "x")))
    check.fails(code, "poll_write_vectored", select(2, D.poll(t.w, "poll_write_vectored", { "x" })))
    check.fails(code, "poll_flush", select(2, D.poll(t.w, "poll_flush")))
  end
end)

clause("S9", "after_a_fatal_error_a_buffer_keeps_its_bytes", { "peer", "buffer", "tells", "!random" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  D.poll(t.w, "poll_write", "x")
  local held = t.w:buffered()
  for _ = 1, 3 do check.fails(code, "poll_flush", select(2, D.poll(t.w, "poll_flush"))) end
  check.ok(held > 0, "nothing is buffered")
  check.equal(t.w:buffered(), held, "buffered after the flushes")
end)

clause("S10", "shutdown_is_no_formality", { "eof" }, function(t)
  t:put("last words")
  check.equal(t.w:shutdown(), true, "shutdown()")
  local s = check.ok(t.peer:read_to_end()) -- hangs where shutdown sends no end of file
  check.equal(s, "last words", "what arrived")
  check.ok(not t.w:is_closed(), "the writer is closed")
end)

-- S11: close and the collector close; they never flush, and the peer is told.

local function dropped(t, drop)
  t:put(t:text(10))
  local held = t.w:buffered()
  local reader = t:spawn(function() return t.peer:read_to_end() end)
  aw.yield()
  drop(t)
  local s, _, code = reader:join()
  if code == "ECONNRESET" then return end
  if held == 0 and t.kind.buffer then -- it holds back more than it tells
    check.equal(s, t:booked():sub(1, #(s or "")), "what arrived")
  else
    check.equal(s, t:booked():sub(1, 10 - held), "what arrived")
  end
end

clause("S11", "close_without_shutdown_ends_the_stream_and_flushes_nothing", { "eof" }, function(t)
  dropped(t, function() t.w:close() end)
  check.ok(t.w:is_closed(), "the writer is not closed")
  t.w:close()
end)

clause("S11", "the_collector_closes_what_nobody_holds", { "eof" }, function(t)
  local reader = t:spawn(function() return t.peer:read_to_end() end)
  t:put(t:text(10))
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush") -- the warning about lost bytes has a test of its own
  t:let_go(t.w)
  collectgarbage()
  collectgarbage()
  check.equal(reader:join(), t:booked(), "what arrived")
end)

clause("M4", "after_shutdown_the_peer_still_writes", { "half" }, function(t)
  check.ok(t.back:write_all("before ") and t.back:flush())
  t:finish()
  check.fails("EPIPE", "a write after shutdown", select(2, D.poll(t.w, "poll_write", "x")))
  check.ok(t.back:write_all("after") and t.back:shutdown())
  check.equal(t.r:read_to_end(), "before after", "what came back")
end)
