-- SPDX-License-Identifier: MIT
-- F: poll_flush.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

clause(M, "F1", "after_a_flush_all_that_was_accepted_has_arrived", {}, function(t)
  for _, size in ipairs { 1, 20, 3 } do -- below the capacity of every pipe
    t:put(t:text(size))
    t:read_on()
    check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
    t:stop_reading()
    t:expect_all()
  end
end)

clause(M, "F1", "flush_waits_for_a_slow_reader", { "peer" }, function(t)
  local s = t:text(2000)
  local task = t:spawn(function() return t.w:write_all(s) and t.w:flush() end)
  t:await(2000)
  check.equal(task:join(), true, "write_all and flush")
  t:book(s, #s)
  t:expect_all()
end)

local BUFFERED = { "buf_writer > custom", "buf_writer > custom(vectored)", "buf_writer > chaos",
  "buf_writer > chaos(vectored)", "buf_writer > buf_writer > chaos" }
local BUFFER = { kinds = BUFFERED, reason = "another type; the trace is of buf_writer over a double" }
local WRAPPERS = { kinds = { "custom", "custom(vectored)", "buf_writer > custom", "buf_writer > custom(vectored)",
  "buf_reader | duplex", "join(simplex, simplex)", "split(duplex)" }, reason = "another type; the trace is of a double" }

exact(M, "F1", "flush_flushes_the_inner_writer_after_the_bytes", WRAPPERS, function()
  local function flushed(wrap, want)
    local d = D.writer()
    local w = wrap(d.w)
    D.poll(w, "poll_write", "ab")
    check.equal(select(2, D.poll(w, "poll_flush")), true, "poll_flush")
    check.list(d.log, want or { "write ab = 2", "flush" })
  end
  local function input() return aw.cursor("input") end
  flushed(function(w) return w end)
  flushed(function(w) return aw.buf_writer(w, 10) end)
  flushed(function(w) return aw.buf_writer(aw.buf_writer(w, 10), 10) end)
  flushed(function(w) return aw.join(input(), w) end)
  flushed(function(w) return aw.buf_reader(aw.join(input(), aw.buf_writer(w, 5))) end)
  flushed(function(w) return select(2, aw.split(aw.join(input(), w))) end)
end)

exact(M, "F1", "a_flush_below_that_is_pending_keeps_the_flush_above_pending", BUFFER, function()
  local d = D.writer { flush = { "pending", "now", { "EIO" } } }
  local w = aw.buf_writer(d.w, 10)
  D.poll(w, "poll_write", "ab")
  local c, value = D.poll(w, "poll_flush")
  check.equal(value, false, "the first poll_flush")
  check.equal(c.woken, 0, "wakes before there is progress")
  d:wake()
  check.equal(c.woken, 1, "wakes after progress")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the second poll_flush")
  check.fails("EIO", "the third poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(select(2, D.poll(w, "poll_flush")), true, "the fourth poll_flush")
  check.list(d.log, { "write ab = 2", "flush = pending", "flush = pending", "flush = EIO", "flush" })
end)

clause(M, "F2", "a_pending_flush_takes_part_by_part_and_resumes", { "full", "buffer" }, function(t)
  t:fill()
  local c, value = D.poll(t.w, "poll_flush")
  check.equal(value, false, "poll_flush with no room below")
  local before = t.w:buffered()
  check.ok(before > 0, "nothing is buffered")
  t:make_room(c)
  t:read_on()
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  check.equal(t.w:buffered(), 0, "buffered after flush")
  t:finish()
end)

clause(M, "F2", "a_cancelled_flush_can_be_followed_by_anything", { "full", "buffer" }, function(t)
  t:fill()
  for _ = 1, 3 do
    local task = t:spawn(function() return t.w:flush() end)
    aw.yield()
    task:cancel()
    local _, n = D.poll(t.w, "poll_write", "x")
    if n then t:book("x", n) end
    local value, _, code, accepted = aw.timeout(0, function() return t.w:flush() end)
    if not value then
      check.equal(code, "ETIMEDOUT", "a flush that is cut")
      check.equal(accepted, 0, "bytes accepted by a flush")
    end
    t:keep(check.ok(t.peer:read(5)))
  end
  t:read_on()
  check.ok(t.w:flush())
  t:put("after")
  t:finish()
end)

clause(M, "F2", "a_flush_that_pends_by_dice_is_cancelled_at_every_wait", { "random" }, function(t)
  for _ = 1, 60 do
    t:put(t:text(t.random(12)))
    local task = t:spawn(function() return t.w:flush() end)
    for _ = 1, t.random(4) - 1 do aw.yield() end
    task:cancel()
  end
  check.ok(t.w:flush())
  t:finish()
end)

clause(M, "F3", "a_flush_with_nothing_pending_is_ready_at_once", { "!random" }, function(t)
  for _ = 1, 3 do check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush of an idle writer") end
  t:put(t:text(5))
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  for _ = 1, 3 do check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush once more") end
  t:expect_all()
end)

clause(M, "F3", "a_leaf_that_is_full_has_nothing_to_flush", { "full", "!buffer" }, function(t)
  t:fill()
  check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush of a full leaf")
end)

exact(M, "F3", "an_idle_flush_emits_no_bytes", BUFFER, function()
  local d = D.writer()
  local w = aw.buf_writer(d.w, 10)
  D.poll(w, "poll_flush")
  D.poll(w, "poll_flush")
  check.list(d.log, { "flush", "flush" })
end)

clause(M, "F4", "flush_fails_once_the_peer_is_gone", { "peer", "!fd" }, function(t)
  t:close_peer()
  for _ = 1, 2 do check.fails("EPIPE", "poll_flush without a peer", select(2, D.poll(t.w, "poll_flush"))) end
end)

clause(M, "F4", "flush_tells_again_what_a_write_was_told", { "peer", "fd" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  check.fails("EPIPE ECONNRESET", "the write", nil, "", code)
  for _ = 1, 2 do check.fails(code, "poll_flush without a peer", select(2, D.poll(t.w, "poll_flush"))) end
end)

clause(M, "F4", "flush_is_ready_after_ones_own_shutdown", {}, function(t)
  t:put(t:text(30))
  t:finish()
  for _ = 1, 3 do check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush after shutdown") end
  if t.peer and not t.kind.half then
    t.peer:close()
    check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush after shutdown without a peer")
  end
end)

-- F5: what inner took is gone from the buffer, the rest stays and goes out once.
local function interrupted(answer, code, vectored)
  local d = D.writer { write = { 3, answer, 2, answer }, vectored = vectored }
  local verb = vectored and "vectored" or "write"
  local w = aw.buf_writer(d.w, 16)
  D.poll(w, "poll_write", "0123456789")
  check.fails(code, "the first poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(w:buffer(), "3456789", "buffered after the first")
  check.equal(w:buffered(), 7, "buffered() after the first")
  check.equal(select(2, D.poll(w, "poll_write", "ab")), 2, "a write between")
  check.fails(code, "the second poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(w:buffer(), "56789ab", "buffered after the second")
  check.equal(select(2, D.poll(w, "poll_flush")), true, "the third poll_flush")
  local failed = type(answer) == "table" and answer[1] or "0"
  check.list(d.log, { verb .. " 0123456789 = 3", verb .. " 3456789 = " .. failed, verb .. " 3456789ab = 2",
    verb .. " 56789ab = " .. failed, verb .. " 56789ab = 7", "flush" })
  check.equal(d:bytes(), "0123456789ab", "what arrived")
end

exact(M, "F5", "an_error_midway_keeps_just_the_rest", BUFFER, function()
  for _, vectored in ipairs { false, true } do interrupted({ "ENOSPC" }, "ENOSPC", vectored) end
end)

exact(M, "F5", "a_zero_midway_is_an_error_and_keeps_just_the_rest", BUFFER, function()
  for _, vectored in ipairs { false, true } do interrupted(0, "EWRITEZERO", vectored) end
end)

exact(M, "F5", "a_pending_midway_keeps_just_the_rest", BUFFER, function()
  local d = D.writer { write = { 3, "pending", 2, "now" } }
  local w = aw.buf_writer(d.w, 16)
  D.poll(w, "poll_write", "0123456789")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the first poll_flush")
  check.equal(w:buffer(), "3456789", "buffered after the first")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the second poll_flush")
  check.equal(w:buffer(), "56789", "buffered after the second")
  check.equal(D.ready(w, "poll_flush"), true, "the third poll_flush")
  check.equal(d:bytes(), "0123456789", "what arrived")
end)

exact(M, "F5", "a_flush_of_two_buffers_resumes_in_both", BUFFER, function(random)
  local errors = D.chaos(random, { errors = 20 })
  local d = D.writer(errors)
  local w = aw.buf_writer(aw.buf_writer(d.w, 8), 16)
  local sent = 0
  for _ = 1, 100 do
    local s = D.text(random(7), sent + 1)
    local n = D.ready(w, "poll_write", s)
    sent = sent + (n or 0)
    D.ready(w, "poll_flush") -- an error now and then: the next flush goes on
  end
  D.run_until(function() return D.ready(w, "poll_flush") end, "a flush without an error")
  check.equal(d:bytes(), D.text(sent), "what arrived")
end)

return M
