-- SPDX-License-Identifier: MIT
-- deadline: the wrapper. The deadline of a single stream variable is in box_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local D = require "support.doubles"

local fails = check.fails
local T = {}

local function virtual(f)
  return function() testing.run(f) end
end

T.test_polls_work_before_and_fail_after_and_reach_nothing_then = virtual(function()
  local d = D.writer()
  local w = aw.deadline(d.w, 2)
  lu.assertEquals(w:poll_write("a"), 1)
  aw.sleep(1.9)
  lu.assertEquals(w:write_vectored { "b", "c" }, 1)
  lu.assertTrue(w:flush())
  d:trace()
  aw.sleep(0.2)
  fails("ETIMEDOUT", w:poll_write("d"))
  fails("ETIMEDOUT", w:poll_write(""))
  fails("ETIMEDOUT", w:poll_write_vectored { "d", "e" })
  fails("ETIMEDOUT", w:poll_flush())
  fails("ETIMEDOUT", w:try_write("d"))
  fails("ETIMEDOUT", w:poll_shutdown())
  lu.assertEquals(d.log, {})
end)

T.test_who_waits_is_told_in_both_directions_with_what_was_accepted = virtual(function()
  local near, far = aw.duplex(4)
  local s = aw.deadline(near, 3)
  local results = {}
  aw.all(function()
    results.write = fails("ETIMEDOUT", s:write_all("hello"))
    results.written = aw.now()
  end, function()
    results.read = fails("ETIMEDOUT", s:read_exact(2))
    results.taken = aw.now()
  end, function() far:write_all("x") end)
  lu.assertEquals(results, { write = 4, written = 3, read = "x", taken = 3 })
  lu.assertEquals(far:read(), "hell")
end)

T.test_it_can_be_set_anew_and_taken_off_also_for_who_waits_already = virtual(function()
  local near, far = aw.duplex(1)
  local s = aw.deadline(near)
  local reader = aw.spawn(function() return s:read() end)
  aw.sleep(1)
  s:set_deadline(10)
  aw.sleep(1)
  s:set_deadline(2)
  fails("ETIMEDOUT", reader:join())
  lu.assertEquals(aw.now(), 4)
  s:set_deadline(1)
  reader = aw.spawn(function() return s:read() end)
  aw.sleep(0.5)
  s:set_deadline(nil)
  aw.sleep(100)
  lu.assertFalse(reader:is_done())
  far:write("x")
  lu.assertEquals(reader:join(), "x")
  lu.assertTrue(s:write_all("y"))
end)

T.test_it_stays_below_other_wrappers_and_set_deadline_finds_it_there = virtual(function()
  local near, far = aw.duplex(2)
  local s = aw.buf_writer(aw.deadline(near, 1), 10)
  lu.assertStrContains(tostring(s), "buf_writer(10) > deadline(1.000 s) > duplex(2)")
  lu.assertTrue(s:write_all("abcd"))
  fails("ETIMEDOUT", s:flush())
  lu.assertEquals({ aw.now(), s:buffer() }, { 1, "cd" })
  lu.assertTrue(s:write_all("e")) -- the buffer takes it, nothing gets to the deadline
  fails("ETIMEDOUT", s:flush())
  lu.assertStrContains(tostring(s), "deadline(passed)")
  s:set_deadline(5)
  local reader = aw.spawn(function() return far:read_exact(5) end)
  lu.assertTrue(s:flush())
  lu.assertEquals(reader:join(), "abcde")
  s:set_deadline(nil)
  lu.assertStrContains(tostring(s), "deadline(none)")
end)

T.test_one_deadline_for_both_halves_also_when_they_are_split = virtual(function()
  local near, far = aw.duplex(1)
  local r, w = aw.split(aw.deadline(near, 5))
  w:set_deadline(1)
  fails("ETIMEDOUT", r:read())
  lu.assertEquals(aw.now(), 1)
  fails("ETIMEDOUT", w:write("x"))
  w:close()
  r:set_deadline(2)
  lu.assertNil(far:read())
  far:write("z")
  lu.assertEquals(r:read(), "z")
  fails("ETIMEDOUT", r:read())
  lu.assertEquals(aw.now(), 3)
end)

T.test_readers_and_writers_alone_have_one_too = virtual(function()
  local r, w = aw.simplex(1)
  r, w = aw.deadline(r, 1), aw.deadline(w, 2)
  fails("ETIMEDOUT", r:read())
  w:write("x")
  fails("ETIMEDOUT", w:write("y"))
  lu.assertEquals(aw.now(), 2)
  r:into_parts():close()
end)

T.test_a_poll_that_is_ready_no_longer_waits_for_the_deadline = virtual(function()
  local near, far = aw.duplex(1)
  local w = aw.deadline(near, 1)
  w:write("x")
  local c = D.poll(w, "poll_write", "y")
  far:read()
  lu.assertEquals(c.woken, 1)
  local other, n = D.poll(w, "poll_write", "y")
  lu.assertEquals(n, 1)
  aw.sleep(2)
  lu.assertEquals(other.woken, 0)
end)

T.test_W2_W4_each_direction_has_a_slot_of_its_own_and_the_latest_waker_wins = virtual(function()
  local near = aw.duplex(1)
  local s = aw.deadline(near, 1)
  s:write("x")
  local old, writer = D.poll(s, "poll_write", "y"), D.poll(s, "poll_write", "y")
  local reader = D.poll(s, "poll_read")
  aw.sleep(2)
  lu.assertEquals({ old.woken, writer.woken, reader.woken }, { 0, 1, 1 })
end)

T.test_a_try_registers_nothing_and_a_wait_that_is_given_up_does_no_harm = virtual(function()
  local near, far = aw.duplex(1)
  local s = aw.deadline(near, 50)
  fails("EAGAIN", s:try_read())
  aw.timeout(1, s.read, s)
  far:write("x")
  lu.assertEquals(s:read(), "x")
  lu.assertEquals(aw.now(), 1)
end)

T.test_into_parts_takes_it_from_both_halves = virtual(function()
  local near, far = aw.duplex(10)
  local s, held = aw.deadline(near, 0):into_parts()
  lu.assertEquals({ tostring(s), held }, { "duplex(10)", "" })
  lu.assertTrue(s:write_all("x"))
  far:write("y")
  lu.assertEquals(s:read(), "y")
end)

function T.test_the_deadline_of_an_idle_stream_does_not_keep_run_going_nor_hide_that_it_is_stuck()
  aw.run(function() aw.deadline(aw.sink(), 1000) end)
  check.raises(function()
    aw.run(function()
      local s = aw.deadline((aw.duplex(1)), 1000)
      s:try_read()
      aw.notify():notified()
    end)
  end, "nothing can wake them")
end

T.test_it_can_be_closed_and_collected_while_somebody_waits = virtual(function()
  local near = aw.duplex(1)
  local s = aw.deadline(near, 10)
  local reader = aw.spawn(function() return s:read() end)
  aw.yield()
  s:close()
  fails("ECANCELED", reader:join())
  do
    local box = aw.deadline((aw.duplex(1)), 1)
    D.poll(box, "poll_read")
  end
  collectgarbage()
  collectgarbage()
  aw.sleep(2)
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.deadline(5) end, "bad argument #1 'stream' to 'deadline' (writer or reader expected, got number)",
  function() aw.deadline(aw.sink(), -1) end, "bad argument #2 'seconds' to 'deadline' (0 to 1e9 expected, got -1)",
  function() aw.deadline(aw.sink(), "1") end, "bad argument #2 'seconds' to 'deadline' (number expected, got string)",
}

return T
