-- SPDX-License-Identifier: MIT
-- throttle, throttle_reader: the pace, in virtual time.

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

local function about(got, want, tolerance)
  lu.assertAlmostEquals(got, want, tolerance or 0.011)
end

T.test_the_burst_goes_at_once_and_the_rest_at_the_rate = virtual(function()
  local w = aw.throttle(aw.memory(), 1000, { burst = 500 })
  local start = aw.now()
  lu.assertTrue(w:write_all(("x"):rep(500)))
  lu.assertEquals(aw.now(), start)
  lu.assertTrue(w:write_all(("x"):rep(2000)))
  about(aw.now() - start, 2)
  lu.assertEquals(#w:contents(), 2500)
end)

T.test_the_default_burst_is_a_tenth_of_a_second = virtual(function()
  local w = aw.throttle(aw.memory(), 1000)
  lu.assertEquals(w:poll_write(("x"):rep(300)), 100)
  lu.assertFalse(w:poll_write("x"))
  w = aw.throttle(aw.memory(), 2)
  lu.assertEquals(w:poll_write("xyz"), 1)
end)

T.test_what_is_saved_up_is_never_more_than_the_burst = virtual(function()
  local w = aw.throttle(aw.memory(), 1000, { burst = 100 })
  aw.sleep(10)
  lu.assertEquals(w:write(("x"):rep(1000)), 100)
  aw.sleep(0.05)
  about(w:write(("x"):rep(1000)), 50, 1)
end)

T.test_a_long_write_goes_in_even_pieces_and_a_short_one_as_soon_as_it_may = virtual(function()
  local d = D.writer()
  local w = aw.throttle(d.w, 1000, { burst = 1 })
  w:write("x")
  local start = aw.now()
  lu.assertTrue(w:write_all(("x"):rep(10)))
  about(aw.now() - start, 0.010, 0.0021)
  d = D.writer()
  w = aw.throttle(d.w, 1000, { burst = 500 })
  lu.assertTrue(w:write_all(("x"):rep(700)))
  lu.assertEquals(#d.log, 1 + 20) -- hundredths of a second
end)

T.test_very_slow_rates_pass_byte_by_byte = virtual(function()
  local w = aw.throttle(aw.memory(), 0.5)
  local start = aw.now()
  lu.assertTrue(w:write_all("abc"))
  about(aw.now() - start, 4)
end)

T.test_P2_a_retry_may_be_smaller_and_is_ready_sooner = virtual(function()
  local w = aw.throttle(aw.memory(), 10000, { burst = 1000 })
  w:write(("x"):rep(1000))
  aw.sleep(0.001) -- ten bytes' worth
  lu.assertFalse(w:poll_write(("x"):rep(1000)))
  lu.assertEquals(w:poll_write("abc"), 3)
end)

T.test_W2_the_latest_waker_is_woken_when_it_is_time = virtual(function()
  local w = aw.throttle(aw.memory(), 1000, { burst = 10 })
  w:write(("x"):rep(10))
  local first, n = D.poll(w, "poll_write", "0123456789")
  local second = D.poll(w, "poll_write", "0123456789")
  lu.assertFalse(n)
  second:wait()
  lu.assertEquals(first.woken, 0)
  about(aw.now(), 0.01, 0.0001)
  lu.assertEquals(select(2, D.poll(w, "poll_write", "0123456789")), 10)
end)

T.test_only_accepted_bytes_count_and_what_pends_or_fails_below_costs_nothing = virtual(function()
  local d = D.writer { write = { "pending", { "EIO" }, 0, 40 } }
  local w = aw.throttle(d.w, 1000, { burst = 100 })
  local s = ("x"):rep(100)
  lu.assertFalse(w:poll_write(s))
  fails("EIO", w:poll_write(s))
  lu.assertEquals(w:poll_write(s), 0)
  lu.assertEquals(w:poll_write(s), 40)
  lu.assertEquals(w:poll_write(s), 60)
  lu.assertFalse(w:poll_write(s))
end)

T.test_P5_empty_writes_flush_and_shutdown_do_not_wait = virtual(function()
  local near, far = aw.duplex(100)
  local w = aw.throttle(near, 1, { burst = 1 })
  w:write("x")
  lu.assertFalse(w:poll_write("y"))
  lu.assertEquals(w:poll_write(""), 0)
  lu.assertTrue(w:poll_flush())
  lu.assertTrue(w:poll_shutdown())
  lu.assertEquals(aw.now(), 0)
  far:close()
end)

T.test_a_try_takes_what_is_allowed_and_leaves_the_waiting_task_its_wake = virtual(function()
  local w = aw.throttle(aw.memory(), 100, { burst = 50 })
  lu.assertEquals(w:try_write(("x"):rep(60)), 50)
  fails("EAGAIN", w:try_write("x"))
  local c = D.poll(w, "poll_write", "0123456789")
  fails("EAGAIN", w:try_write("x"))
  aw.sleep(0.01)
  lu.assertEquals(w:try_write("y"), 1)
  c:wait()
  lu.assertTrue(aw.now() <= 0.021)
end)

T.test_vectors_are_cut_to_what_is_allowed = virtual(function()
  local d = D.writer { vectored = true }
  local w = aw.throttle(d.w, 1000, { burst = 6 })
  lu.assertEquals(w:write_vectored { "abcd", "ef", "ghi" }, 6)
  lu.assertEquals(w:write_vectored { ("x"):rep(50) }, 6)
  lu.assertEquals(d.log, { "vectored abcd|ef = 6", "vectored xxxxxx = 6" })
end)

T.test_readers_are_slowed_down_and_see_the_end = virtual(function()
  local r = aw.throttle_reader(aw.cursor(("x"):rep(1100)), 1000)
  lu.assertEquals(#r:read(), 100)
  lu.assertEquals(#r:read_to_end(), 1000)
  about(aw.now(), 1, 0.021)
end)

T.test_both_halves_have_a_pace_of_their_own = virtual(function()
  local near, far = aw.duplex(10000)
  local s = aw.throttle_reader(aw.throttle(near, 1000), 500)
  lu.assertEquals(tostring(s), "throttle(1000/s) > duplex(10000) | throttle_reader(500/s) > duplex(10000)")
  far:write_all(("y"):rep(550))
  local write_end, read_end
  aw.all(function()
    s:write_all(("x"):rep(1100))
    write_end = aw.now()
  end, function()
    s:read_exact(550)
    read_end = aw.now()
  end)
  about(write_end, 1)
  about(read_end, 1)
  far:close()
end)

T.test_a_given_up_wait_keeps_nobody_waiting = function()
  testing.run(function()
    local w = aw.throttle(aw.memory(), 0.001)
    w:write("x")
    local _, _, code = aw.timeout(1, w.write, w, "y")
    lu.assertEquals(code, "ETIMEDOUT")
  end)
end

T.test_set_rate_holds_at_once_also_for_who_waits_already_and_reaches_through_wrappers = virtual(function()
  local w = aw.buf_writer(aw.throttle(aw.memory(), 0.001), 0)
  lu.assertEquals({ w:rate() }, { 0.001, 1 })
  w:write("x")
  local start, task = aw.now(), aw.spawn(function() return w:write_all("y") end)
  aw.sleep(500) -- half a byte is saved up
  w:set_rate(1)
  lu.assertEquals({ w:rate() }, { 1, 1 })
  lu.assertTrue(task:join())
  about(aw.now() - start, 500.5)
  task = aw.spawn(function() return w:write_all("z") end)
  aw.sleep(0.5)
  w:set_rate(0.1) -- slower: the timer of before is not its time any more
  lu.assertTrue(task:join())
  about(aw.now() - start, 500.5 + 0.5 + 5)
  lu.assertEquals(tostring(w), "buf_writer(0) > throttle(0/s) > memory")
end)

T.test_set_rate_keeps_what_was_saved_up_as_far_as_burst_goes = virtual(function()
  local w = aw.throttle(aw.memory(), 1000, { burst = 500 })
  w:set_rate(2000, 200)
  lu.assertEquals(w:poll_write(("x"):rep(999)), 200)
  w:set_rate(1000) -- a tenth
  lu.assertEquals({ w:rate() }, { 1000, 100 })
  lu.assertFalse(w:poll_write("x"))
  aw.sleep(1)
  lu.assertEquals(w:poll_write(("x"):rep(999)), 100)
end)

T.test_a_reader_has_a_rate_of_its_own_where_no_writer_has_one = virtual(function()
  local near, far = aw.duplex(100)
  local r = aw.throttle_reader(near, 0.001)
  far:write(("x"):rep(50))
  lu.assertEquals(r:read(1), "x")
  local start, task = aw.now(), aw.spawn(function() return r:read_exact(10) end)
  aw.sleep(1)
  r:set_rate(10)
  lu.assertEquals(task:join(), ("x"):rep(10))
  about(aw.now() - start, 2)
  local both = aw.throttle(r, 7)
  both:set_rate(8)
  lu.assertEquals({ both:rate() }, { 8, 1 })
  lu.assertEquals({ both:into_parts():rate() }, { 10, 1 })
end)

T.test_who_is_woken_by_set_rate_may_close_the_stream = virtual(function()
  local w = aw.throttle(aw.memory(), 0.001)
  w:write("x")
  local waker = aw.waker(function() w:close() end)
  lu.assertFalse(aw.with_waker(waker, w.poll_write, w, "y"))
  w:set_rate(1)
  aw.yield()
  lu.assertTrue(w:is_closed())
end)

T.test_real_time_too = check.in_task(function()
  local w = aw.throttle(aw.memory(), 10000, { burst = 1 })
  local start = aw.now()
  lu.assertTrue(w:write_all(("x"):rep(301)))
  lu.assertTrue(aw.now() - start >= 0.0299)
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.throttle(aw.sink()) end, "bad argument #2 'rate' to 'throttle' (number expected, got no value)",
  function() aw.throttle(aw.sink(), 0) end, "bad argument #2 'rate' to 'throttle' (0.001 to 1e15 expected, got 0)",
  function() aw.throttle(aw.sink(), 1, 5) end, "bad argument #3 'options' to 'throttle' (table expected, got number)",
  function() aw.throttle(aw.sink(), 1, { burst = 0.5 }) end,
  "bad argument #3 'options.burst' to 'throttle' (1 to 1e15 expected, got 0.5)",
  function() aw.throttle(aw.sink(), 1):set_rate() end, "bad argument #1 'rate' to 'set_rate' (number expected, got no value)",
  function() aw.throttle(aw.sink(), 1):set_rate(0) end, "bad argument #1 'rate' to 'set_rate' (0.001 to 1e15 expected, got 0)",
  function() aw.throttle(aw.sink(), 1):set_rate(1, 0.5) end,
  "bad argument #2 'burst' to 'set_rate' (1 to 1e15 expected, got 0.5)",
  function() aw.sink():set_rate(1) end, "bad self to 'set_rate' (there is no throttle in its chain)",
  function() aw.sink():rate() end, "bad self to 'rate' (there is no throttle in its chain)",
  function() aw.throttle_reader(aw.sink(), 1) end, "bad argument #1 'r' to 'throttle_reader' (a sink here is not a reader)",
}

return T
