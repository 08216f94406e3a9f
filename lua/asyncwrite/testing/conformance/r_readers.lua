-- SPDX-License-Identifier: MIT
-- What the contract asks of readers: t.r is under test, t.back feeds it; or all that it gives is t.input.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

-- What comes until the end, by polls of at most so many bytes each.
local function drain(t, sizes)
  local parts, n = {}, 0
  while true do
    local max = sizes[n % #sizes + 1]
    local s, message, code = D.ready(t.r, "poll_read", max)
    if s == nil then
      check.ok(code == nil, message)
      return table.concat(parts)
    end
    check.ok(#s >= 1 and #s <= max, ("a read of at most %d gave %d bytes (P1)"):format(max, #s))
    n = n + 1
    parts[n] = s
  end
end

local function empty(t)
  local c, value = D.poll(t.r, "poll_read")
  check.equal(value, false, "poll_read with nothing to read")
  return c
end

clause("P1", "a_read_gives_at_least_one_byte_and_no_more_than_asked_for", { "reader", "feed", "!random" }, function(t)
  local got, s = 0, D.text(40)
  t:feed(s)
  for _, max in ipairs { 1, 7, 100, 3 } do
    local part = D.ready(t.r, "poll_read", max)
    check.ok(type(part) == "string" and #part >= 1 and #part <= max, ("a read of at most %d gave %s (P1)"):format(max,
      type(part) == "string" and #part or tostring(part)))
    check.equal(part, s:sub(got + 1, got + #part), "what was read")
    got = got + #part
    if got == #s then return end
  end
end)

clause("W1", "every_pending_read_is_woken_by_bytes", { "reader", "feed" }, function(t)
  local c = empty(t)
  t:feed("x")
  c:wait()
  check.equal(D.ready(t.r, "poll_read"), "x", "poll_read")
end)

clause("W2", "the_waker_of_the_latest_read_is_the_one", { "reader", "feed" }, function(t)
  local first, second = empty(t), empty(t)
  t:feed("x")
  second:wait()
  check.equal(first.woken, 0, "wakes of the earlier waker")
end)

clause("W5", "a_spurious_wake_of_a_reader_is_only_a_hint", { "reader", "feed" }, function(t)
  local waker
  local task = t:spawn(function()
    waker = aw.current_waker()
    return t.r:read()
  end)
  for _ = 1, 20 do
    aw.yield()
    waker:wake()
  end
  check.ok(not task:is_done(), "a wake ended the wait")
  t:feed("x")
  check.equal(task:join(), "x", "read")
end)

clause("W7", "a_reader_s_waker_may_close_both_sides", { "reader", "feed" }, function(t)
  local c = D.waker(function()
    t.r:close()
    if not t.back:is_closed() then t.back:close() end
  end)
  c:poll(t.r, "poll_read")
  D.poll(t.back, "poll_write", "x")
  if not t.back:is_closed() then D.poll(t.back, "poll_flush") end
  c:wait()
  check.ok(t.back:is_closed() and t.r:is_closed(), "a side is open")
end)

clause("W8", "a_parked_reader_is_told_that_the_other_side_closed", { "reader", "feed" }, function(t)
  local c = empty(t)
  if t.kind.half then
    check.equal(D.ready(t.back, "poll_shutdown"), true, "shutdown of the other side")
  else
    t.back:close()
  end
  c:wait()
  local s, _, code = D.ready(t.r, "poll_read")
  check.equal(s, nil, "poll_read after close")
  check.ok(code == nil or code == "ECONNRESET", code)
end)

clause("S8", "a_reader_gives_all_that_was_under_way_and_then_the_end", { "reader", "feed" }, function(t)
  local s = D.text(45)
  t:feed(s)
  check.equal(D.ready(t.back, "poll_shutdown"), true, "shutdown of the other side")
  check.equal(drain(t, { 20, 7, 1 }), s, "what was read until the end")
end)

clause("S8", "a_reader_gives_its_input_once_and_then_the_end", { "reader", function(kind)
  return not kind.input and "it gives what it is fed" or nil
end }, function(t) check.equal(drain(t, { 20, 7, 1, 300 }), t.input, "what was read until the end") end)

clause("W10", "the_end_of_file_of_a_reader_stays", { "reader" }, function(t)
  if t.back then check.equal(D.ready(t.back, "poll_shutdown"), true, "shutdown of the other side") end
  repeat
    local s = D.ready(t.r, "poll_read")
  until s == nil
  for _ = 1, 5 do
    local s, _, code = D.ready(t.r, "poll_read")
    check.equal(s, nil, "poll_read at the end of file")
    check.equal(code, nil, "its code")
  end
end)

clause("W13", "a_read_that_is_cancelled_has_taken_nothing", { "reader", "feed" }, function(t)
  for _ = 1, 3 do
    local task = t:spawn(function() return t.r:read() end)
    aw.yield()
    task:cancel()
    local s, message, code = aw.timeout(0, function() return t.r:read() end)
    check.fails("ETIMEDOUT", "a read with nothing to read", s, message, code)
  end
  t:feed("x")
  check.equal(D.ready(t.r, "poll_read"), "x", "poll_read")
end)
