-- SPDX-License-Identifier: MIT
-- F: poll_flush.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

clause("F1", "after_a_flush_all_that_was_accepted_has_arrived", {}, function(t)
  for _, size in ipairs { 1, 20, 3 } do -- below the capacity of every pipe
    t:put(t:text(size))
    t:read_on()
    check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
    t:stop_reading()
    t:expect_all()
  end
end)

clause("F1", "flush_waits_for_a_slow_reader", { "peer" }, function(t)
  local s = t:text(2000)
  local task = t:spawn(function() return t.w:write_all(s) and t.w:flush() end)
  t:await(2000)
  check.equal(task:join(), true, "write_all and flush")
  t:book(s, #s)
  t:expect_all()
end)

clause("F2", "a_pending_flush_takes_part_by_part_and_resumes", { "full", "buffer" }, function(t)
  t:fill()
  local c, value = D.poll(t.w, "poll_flush")
  check.equal(value, false, "poll_flush with no room below")
  if t.kind.tells then check.ok(t.w:buffered() > 0, "nothing is buffered") end
  t:make_room(c)
  t:read_on()
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  check.equal(t.w:buffered(), 0, "buffered after flush")
  t:finish()
end)

clause("F2", "a_cancelled_flush_can_be_followed_by_anything", { "full", "buffer" }, function(t)
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

clause("F2", "a_flush_that_pends_by_dice_is_cancelled_at_every_wait", { "random" }, function(t)
  t:read_on()
  for _ = 1, 60 do
    t:put(t:text(t.random(12)))
    local task = t:spawn(function() return t.w:flush() end)
    for _ = 1, t.random(4) - 1 do aw.yield() end
    task:cancel()
  end
  check.ok(t.w:flush())
  t:finish()
end)

clause("F3", "a_flush_with_nothing_pending_is_ready_at_once", { "!random" }, function(t)
  for _ = 1, 3 do check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush of an idle writer") end
  t:put(t:text(5))
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  for _ = 1, 3 do check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush once more") end
  t:expect_all()
end)

clause("F3", "a_leaf_that_is_full_has_nothing_to_flush", { "full", "!buffer" }, function(t)
  t:fill()
  check.equal(select(2, D.poll(t.w, "poll_flush")), true, "poll_flush of a full leaf")
end)

clause("F4", "flush_fails_once_the_peer_is_gone", { "peer", "!fd", "!random" }, function(t)
  t:close_peer()
  for _ = 1, 2 do check.fails("EPIPE", "poll_flush without a peer", select(2, D.poll(t.w, "poll_flush"))) end
end)

clause("F4", "flush_tells_again_what_a_write_was_told", { "peer", "fd", "!random" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  check.fails("EPIPE ECONNRESET", "the write", nil, "", code)
  for _ = 1, 2 do check.fails(code, "poll_flush without a peer", select(2, D.poll(t.w, "poll_flush"))) end
end)

clause("F4", "flush_is_ready_after_ones_own_shutdown", {}, function(t)
  t:put(t:text(30))
  t:finish()
  for _ = 1, 3 do check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush after shutdown") end
  if t.peer and not t.kind.half then
    t.peer:close()
    check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush after shutdown without a peer")
  end
end)
