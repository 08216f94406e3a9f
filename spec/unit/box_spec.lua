-- SPDX-License-Identifier: MIT
-- The box around a writer: one slot per direction (W3), close while others wait, moved and closed boxes, re-entrancy,
-- deadlines.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local raises, misuse, fails, in_task, settle = check.raises, check.misuse, check.fails, check.in_task, check.settle
local T = {}

local function full_duplex()
  local near, far = aw.duplex(4)
  assert(near:try_write("full") == 4)
  return near, far
end

-- ---- EBUSY ----

local BUSY = "EBUSY: another task is waiting on it; share it with a mutex"

T.test_W3_a_second_task_parking_in_the_same_direction_gets_EBUSY_naming_the_method = in_task(function()
  local near, far = full_duplex()
  local first = aw.spawn(function() return near:write_all("first") end)
  settle()
  misuse(function() near:poll_write("x") end, "poll_write: " .. BUSY)
  misuse(function() near:write("x") end, "write: " .. BUSY)
  misuse(function() near:write_all("x") end, "write_all: " .. BUSY)
  misuse(function() near:write_vectored { "x" } end, "write_vectored: " .. BUSY)
  misuse(function() near:write_u8(1) end, "write_u8: " .. BUSY)
  misuse(function() near:flush() end, "flush: " .. BUSY)
  misuse(function() near:shutdown() end, "shutdown: " .. BUSY)
  misuse(function() aw.copy(aw.cursor("x"), near) end, "copy: " .. BUSY)
  lu.assertEquals(far:read_exact(9), "fullfirst")
  lu.assertTrue(first:join(), "the first wait was not disturbed")
end)

T.test_W3_reading_has_a_slot_of_its_own = in_task(function()
  local near, far = full_duplex()
  local reader = aw.spawn(function() return near:read() end)
  settle()
  misuse(function() near:read() end, "read: " .. BUSY)
  misuse(function() near:poll_read() end, "poll_read: " .. BUSY)
  local writer = aw.spawn(function() return near:write("more") end)
  settle()
  lu.assertEquals(far:read_exact(8), "fullmore")
  far:write_all("back")
  lu.assertEquals(writer:join(), 4)
  lu.assertEquals(reader:join(), "back")
end)

T.test_two_tasks_that_wait_in_one_accept_get_EBUSY = in_task(function()
  local listener = aw.unix.listen("\0aw-box-" .. check.pid())
  local first = aw.spawn(function() return listener:accept() end)
  settle()
  misuse(function() listener:accept() end, "accept: " .. BUSY)
  local client = assert(aw.unix.connect("\0aw-box-" .. check.pid()))
  lu.assertTrue(aw.is_stream(first:join()))
  client:close()
  listener:close()
end)

T.test_the_slot_is_free_again_when_the_wait_ends_by_readiness_timeout_cancel_or_error = in_task(function()
  local near, far = full_duplex()
  local function other_can_park() fails("ETIMEDOUT", aw.timeout(0.002, near.write, near, "x")) end
  fails("ETIMEDOUT", aw.timeout(0.002, near.write, near, "x"))
  other_can_park()
  local cancelled = aw.spawn(function() near:write("x") end)
  settle()
  cancelled:cancel()
  other_can_park()
  local ready = aw.spawn(function()
    near:write("x")
    aw.sleep(30)
  end)
  settle()
  far:read_exact(4)
  settle()
  near:write_all("yyy")
  other_can_park()
  ready:cancel()
end)

T.test_a_task_that_polls_two_writers_and_parks_holds_both_slots_until_it_runs_again = in_task(function()
  local one, two = full_duplex(), full_duplex()
  local first = aw.spawn(function()
    lu.assertFalse(one:poll_write("x"))
    lu.assertFalse(two:poll_write("x"))
    aw.park("either")
    aw.sleep(30) -- now it waits for something else
  end)
  settle()
  raises(function() one:poll_write("x") end, BUSY)
  raises(function() two:poll_write("x") end, BUSY)
  first.handle:wake()
  settle()
  lu.assertFalse(one:poll_write("x"))
  lu.assertFalse(two:poll_write("x"))
  first:cancel()
end)

-- ---- close ----

T.test_close_while_another_task_waits_gives_it_ECANCELED = in_task(function()
  local near, far = full_duplex()
  local writer = aw.spawn(function() return near:write_all("abc") end)
  local reader = aw.spawn(function() return near:read() end)
  settle()
  near:close()
  lu.assertEquals(fails("ECANCELED", writer:join()), 0)
  fails("ECANCELED", reader:join())
  lu.assertEquals(fails("EOF", far:read_exact(10)), "full", "the peer reads what was there, then the end")
end)

T.test_W8_close_wakes_the_peer_that_waits = in_task(function()
  local near, far = full_duplex()
  local reader = aw.spawn(function() return near:read() end)
  local writer = aw.spawn(function() return near:write("x") end)
  settle()
  far:close()
  lu.assertNil((reader:join()))
  lu.assertEquals(fails("EPIPE", writer:join()), 0)
end)

T.test_ECANCELED_tells_how_much_was_accepted = in_task(function()
  local near = aw.duplex(4)
  local writer = aw.spawn(function() return near:write_all("123456") end)
  settle()
  near:close()
  lu.assertEquals(fails("ECANCELED", writer:join()), 4)
end)

T.test_close_of_sockets_gives_every_waiter_ECANCELED = in_task(function()
  local near, far = aw.unix.pair()
  local listener = aw.tcp.listen("127.0.0.1", 0)
  local waits = {
    aw.spawn(function() return near:write_all(("x"):rep(1024 * 1024)) end),
    aw.spawn(function() return near:read() end),
    aw.spawn(function() return listener:accept() end),
    aw.spawn(function() return aw.copy(near, aw.sink()) end),
  }
  waits[4]:cancel()
  settle()
  near:close()
  listener:close()
  lu.assertTrue(fails("ECANCELED", waits[1]:join()) > 0)
  fails("ECANCELED", waits[2]:join())
  fails("ECANCELED", waits[3]:join())
  far:close()
end)

T.test_close_is_idempotent_and_a_closed_box_says_so = in_task(function()
  local w = aw.memory()
  lu.assertFalse(w:is_closed())
  w:close()
  w:close()
  lu.assertTrue(w:is_closed())
  lu.assertEquals(tostring(w), "(closed)")
  misuse(function() w:poll_write("x") end, "bad self to 'poll_write' (it is closed)")
  misuse(function() w:write_all("x") end, "bad self to 'write_all' (it is closed)")
  misuse(function() w:flush() end, "bad self to 'flush' (it is closed)")
end)

T.test_a_moved_box_says_so_and_cannot_close_what_it_gave_away = in_task(function()
  local inner = aw.memory()
  local w = aw.buf_writer(inner)
  lu.assertTrue(inner:is_closed())
  lu.assertEquals(tostring(inner), "(moved)")
  misuse(function() inner:poll_write("x") end, "bad self to 'poll_write' (it was moved into a wrapper or split)")
  misuse(function() inner:close() end, "bad self to 'close' (it was moved into a wrapper or split)")
  misuse(function() aw.buf_writer(inner) end, "bad argument #1 'w' to 'buf_writer' (it was moved into a wrapper or split)")
  w:write_all("works")
  lu.assertTrue(w:flush())
  lu.assertEquals(w:contents(), "works")
end)

T.test_a_box_on_which_a_task_waits_cannot_be_moved = in_task(function()
  local near, far = full_duplex()
  local waiter = aw.spawn(function() return near:write("x") end)
  settle()
  for _, f in ipairs {
    function() aw.buf_writer(near) end, function() aw.buf_reader(near) end, function() aw.split(near) end,
    function() aw.join(near, near) end,
  } do
    raises(f, "box_spec.lua:", "EBUSY: a task is waiting on it")
  end
  far:read_exact(4)
  lu.assertEquals(waiter:join(), 1)
end)

-- ---- re-entrancy ----

T.test_a_writer_polled_inside_its_own_poll_raises = in_task(function()
  local w
  w = aw.custom { poll_write = function(_, s) return w:poll_write(s) end }
  raises(function() w:write("x") end, "box_spec.lua:", "it is being polled already")
  local tried
  tried = aw.custom { poll_write = function(_, s) return tried:try_write(s) end }
  raises(function() tried:write("x") end, "try_write: it is being polled already")
end)

T.test_a_wrapper_polled_inside_a_poll_of_its_inner_raises = in_task(function()
  local outer
  outer = aw.buf_writer(aw.custom { poll_write = function(_, s) return outer:poll_write(s) end }, 4)
  raises(function() outer:write_all("123456") end, "poll_write: it is being polled already")
  outer:close()
end)

T.test_a_poll_of_another_writer_inside_a_custom_poll_parks_the_outer_task = in_task(function()
  local near, far = full_duplex()
  local w = aw.custom { poll_write = function(_, s) return near:poll_write(s) end }
  local writer = aw.spawn(function() return w:write_all("through") end)
  settle()
  lu.assertEquals(far:read_exact(11), "fullthrough")
  lu.assertTrue(writer:join())
end)

T.test_close_inside_its_own_poll_is_deferred_to_the_end_of_that_poll = in_task(function()
  local w, closed_inside
  local log = {}
  w = aw.custom {
    poll_write = function(_, s)
      w:close()
      closed_inside = w:is_closed()
      log[#log + 1] = "poll ends"
      return #s
    end,
    close = function()
      log[#log + 1] = "closed"
      return true
    end,
  }
  lu.assertEquals(w:write("four"), 4)
  lu.assertFalse(closed_inside)
  lu.assertTrue(w:is_closed())
  lu.assertEquals(log, { "poll ends", "closed" })
end)

T.test_write_all_on_a_writer_that_closes_itself_midway_gives_ECANCELED = in_task(function()
  local w
  w = aw.custom {
    poll_write = function()
      w:close()
      return 1
    end,
  }
  local ok, _, code = w:write_all("four")
  lu.assertNil(ok)
  lu.assertEquals(code, "ECANCELED")
end)

-- Nothing else would ever wake who waits for that answer.
T.test_a_stream_that_its_own_poll_closes_and_that_is_not_ready_gives_ECANCELED = in_task(function()
  local sink = aw.sink()
  local operations = {
    read = function(s) return s:read() end,
    read_line = function(s) return s:read_line() end,
    write = function(s) return s:write("x") end,
    write_all = function(s) return s:write_all("x", "y") end,
    flush = function(s) return s:flush() end,
    shutdown = function(s) return s:shutdown() end,
    copy_from = function(s) return aw.copy(s, sink) end,
    copy_to = function(s) return aw.copy(aw.cursor("x"), s) end,
    try_write = function(s) return s:try_write("x") end,
  }
  for name, operation in pairs(operations) do
    local s
    local function close_it()
      s:close()
      aw.current_waker()
      return false
    end
    s = aw.custom { poll_read = close_it, poll_write = close_it, poll_flush = close_it, poll_shutdown = close_it }
    local _, _, code = operation(s)
    lu.assertEquals(code, "ECANCELED", name)
    lu.assertTrue(s:is_closed(), name)
  end
  lu.assertEquals(aw.spawn(sink.write, sink, "free"):join(), 4)
end)

T.test_moving_a_writer_inside_its_own_poll_raises = in_task(function()
  local w
  w = aw.custom { poll_write = function() aw.buf_writer(w) end }
  raises(function() w:write("x") end, "bad argument #1 'w' to 'buf_writer' (it is being polled)")
  local s
  s = aw.custom { poll_write = function() aw.split(s) end, poll_read = function() end }
  raises(function() s:write("x") end, "bad argument #1 'stream' to 'split' (it is being polled)")
end)

T.test_an_error_inside_a_custom_poll_arrives_with_its_traceback_and_the_writer_stays_usable = in_task(function()
  local broken = true
  local w = aw.custom {
    poll_write = function(_, s)
      local function the_culprit() error("inside a custom writer") end
      if broken then the_culprit() end
      return #s
    end,
  }
  local outer = aw.buf_writer(aw.buf_writer(w, 0), 2)
  raises(function() outer:write_all("123") end, "box_spec.lua:", "inside a custom writer", "stack traceback:",
    "the_culprit")
  broken = false
  lu.assertTrue(outer:write_all("123"))
  lu.assertTrue(outer:shutdown())
end)

-- ---- set_deadline ----

T.test_a_deadline_ends_waits_of_both_directions_with_ETIMEDOUT_until_it_is_taken_off = in_task(function()
  local near, far = full_duplex()
  near:set_deadline(0.01)
  local reader = aw.spawn(function() return near:read() end)
  lu.assertEquals(fails("ETIMEDOUT", near:write_all("x")), 0)
  fails("ETIMEDOUT", reader:join())
  fails("ETIMEDOUT", near:write("x")) -- it stays
  near:set_deadline(nil)
  aw.spawn(function() far:read_exact(4) end)
  lu.assertEquals(near:write("x"), 1)
end)

T.test_what_is_ready_beats_the_deadline_of_a_writer = in_task(function()
  local near = aw.duplex(4)
  near:set_deadline(0)
  lu.assertEquals(near:write("ok"), 2)
  lu.assertEquals(fails("ETIMEDOUT", near:write_all("three")), 2)
end)

T.test_a_later_deadline_replaces_an_earlier_one_also_for_who_waits_already = in_task(function()
  local near, far = full_duplex() -- kept: its end would be another failure
  near:set_deadline(0.005)
  near:set_deadline(30)
  local writer = aw.spawn(function() return near:write("x") end)
  aw.sleep(0.02)
  lu.assertFalse(writer:is_done())
  near:set_deadline(0.001)
  fails("ETIMEDOUT", writer:join())
  far:close()
end)

function T.test_a_deadline_of_an_idle_writer_does_not_keep_run_going()
  local before = aw.now()
  aw.run(function() aw.sink():set_deadline(100) end)
  lu.assertTrue(aw.now() - before < 50)
end

T.test_a_writer_with_a_deadline_can_be_closed_and_collected = in_task(function()
  for i = 1, 50 do
    local w = aw.duplex(1)
    w:set_deadline(0.001)
    if i % 2 == 0 then w:close() end
  end
  collectgarbage()
  aw.sleep(0.005)
end)

return T
