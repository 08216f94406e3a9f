-- SPDX-License-Identifier: MIT
-- Virtual time: testing.run, pause, resume and advance.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local child = require "support.child"

local M = {}

local HOUR = 3600
local REAL = 20 -- seconds of real time that no virtual hour may take

-- What f returns, and the real seconds it took.
local function timed(f)
  local start = aw.now()
  local function done(...) return aw.now() - start, ... end
  return done(f())
end

local function virtual(f)
  return function()
    local seconds = timed(function() testing.run(f) end)
    lu.assertTrue(seconds < REAL)
  end
end

M.test_the_clock_starts_at_0_and_stands_still = virtual(function()
  lu.assertEquals(aw.now(), 0)
  local n = 0
  for i = 1, 1e5 do n = n + i end
  for _ = 1, 10 do aw.yield() end
  lu.assertEquals({ aw.now(), n }, { 0, 5000050000 })
end)

M.test_a_sleep_takes_no_time_and_moves_the_clock_by_just_as_much = virtual(function()
  for _, seconds in ipairs { 0.1, HOUR, 1e6, 0.000000001 } do
    local start = aw.now()
    aw.sleep(seconds)
    lu.assertAlmostEquals(aw.now() - start, seconds, 1e-9)
  end
end)

M.test_sleeps_end_in_the_order_of_their_time_and_then_of_their_making = virtual(function()
  local order = {}
  for i, seconds in ipairs { 3, 1, 2, 1, 3, 2, 1 } do
    aw.spawn(function()
      aw.sleep(seconds)
      order[#order + 1] = ("%d@%g"):format(i, aw.now())
    end)
  end
  aw.sleep(4)
  lu.assertEquals(order, { "2@1", "4@1", "7@1", "3@2", "6@2", "1@3", "5@3" })
end)

M.test_the_clock_moves_only_when_every_task_waits = virtual(function()
  local slept
  local sleeper = aw.spawn(function()
    aw.sleep(1)
    slept = true
  end)
  for _ = 1, 1000 do
    aw.yield()
    lu.assertNil(slept)
  end
  sleeper:join()
  lu.assertEquals(aw.now(), 1)
end)

M.test_timeout_and_set_deadline_follow_it = virtual(function()
  local near, far = aw.duplex(4)
  check.fails("ETIMEDOUT", aw.timeout(HOUR, near.write_all, near, "hello"))
  lu.assertEquals(aw.now(), HOUR)
  far:set_deadline(HOUR)
  check.fails("ETIMEDOUT", far:read_exact(9))
  lu.assertEquals(aw.now(), 2 * HOUR)
  lu.assertEquals(aw.timeout(HOUR, function()
    aw.sleep(HOUR - 1)
    return "in time"
  end), "in time")
end)

M.test_a_run_that_nothing_can_wake_still_fails = function()
  check.raises(function()
    testing.run(function() aw.notify():notified() end)
  end, "nothing can wake them")
end

local function history(seed)
  local log = {}
  testing.run(function()
    local state = seed
    local function dice(n)
      state = state * 16807 % 2147483647
      return state % n + 1
    end
    local near, far = aw.duplex(7)
    aw.spawn(function()
      for i = 1, 200 do
        aw.sleep(dice(5) / 3)
        near:write_all(("%d,"):format(i))
        log[#log + 1] = ("w%d %.17g"):format(i, aw.now())
      end
      near:shutdown()
    end)
    aw.spawn(function()
      while true do
        local s, _, code = aw.timeout(dice(4) / 7, far.read, far, dice(9))
        if s == nil and not code then return end
        log[#log + 1] = ("r%s %.17g"):format(tostring(s), aw.now())
      end
    end)
    aw.timeout(500, function() for i = 1, 2000 do aw.sink():write_all(("x"):rep(i % 7)) end end)
  end)
  return table.concat(log, "\n")
end

function M.test_the_same_program_has_the_same_history_every_time()
  local first = history(7)
  lu.assertTrue(#first > 1000)
  for _ = 1, 3 do lu.assertEquals(history(7), first) end
  lu.assertNotEquals(history(8), first)
end

function M.test_after_it_time_is_real_again_also_after_an_error()
  for _ = 1, 2 do
    local seconds = timed(function()
      check.raises(function()
        testing.run(function()
          aw.sleep(HOUR)
          error("in the middle")
        end)
      end, "in the middle")
    end)
    lu.assertTrue(seconds >= 0 and seconds < REAL)
  end
  lu.assertFalse(testing.is_paused())
  local seconds = timed(function() aw.run(function() aw.sleep(0.02) end) end)
  lu.assertTrue(seconds >= 0.02 and seconds < REAL)
end

function M.test_timers_of_before_keep_what_they_have_left()
  local near = aw.duplex(1)
  near:set_deadline(HOUR)
  testing.run(function()
    check.fails("ETIMEDOUT", near:write_all("xx"))
    lu.assertAlmostEquals(aw.now(), HOUR, REAL)
  end)
  testing.run(function() -- and back
    aw.sleep(1e6)
    near:set_deadline(0.02)
  end)
  aw.run(function()
    local start = aw.now()
    check.fails("ETIMEDOUT", aw.timeout(REAL, near.write_all, near, "x"))
    local took = aw.now() - start
    lu.assertTrue(took > 0.001 and took < REAL, took)
  end)
end

-- ---- pause, resume, advance ----

M.test_advance_stops_at_every_timer_on_its_way = virtual(function()
  local log = {}
  for i = 1, 3 do
    aw.spawn(function()
      aw.sleep(i)
      log[#log + 1] = ("%d@%g"):format(i, aw.now())
      aw.sleep(0.25)
      log[#log + 1] = ("%d@%g"):format(i, aw.now())
    end)
  end
  testing.advance(0.5)
  lu.assertEquals({ log, aw.now() }, { {}, 0.5 })
  testing.advance(2)
  lu.assertEquals({ log, aw.now() }, { { "1@1", "1@1.25", "2@2", "2@2.25" }, 2.5 })
  testing.advance(0)
  lu.assertEquals(aw.now(), 2.5)
end)

M.test_advance_does_not_wait_for_descriptors = virtual(function()
  local a, b = assert(aw.unix.pair())
  local got = {}
  aw.spawn(function() got[1] = { aw.timeout(HOUR, b.read, b) } end)
  aw.yield()
  testing.advance(HOUR)
  lu.assertEquals(got[1][3], "ETIMEDOUT")
  lu.assertAlmostEquals(aw.now(), HOUR, REAL)
  a:close()
  b:close()
end)

function M.test_pause_in_a_run_stops_the_clock_and_the_run_s_end_starts_it()
  aw.run(function()
    local start = aw.now()
    testing.pause()
    local stopped = aw.now()
    lu.assertTrue(stopped >= start and testing.is_paused())
    aw.sleep(HOUR)
    lu.assertAlmostEquals(aw.now() - stopped, HOUR, 1e-6)
  end)
  lu.assertFalse(testing.is_paused())
end

function M.test_resume_goes_on_at_the_real_pace()
  testing.run(function()
    aw.sleep(100)
    testing.resume()
    aw.sleep(0.01)
    local now = aw.now()
    lu.assertTrue(now >= 100.01 and now < 100 + REAL)
    testing.pause()
    aw.sleep(50)
    lu.assertAlmostEquals(aw.now(), 150, REAL)
  end)
end

function M.test_advance_outside_of_tasks_wakes_what_is_due()
  testing.pause()
  local near = aw.duplex(1)
  local c = testing.waker()
  near:try_write("x")
  near:set_deadline(5)
  lu.assertFalse(c:poll(near, "poll_write", "y"))
  local task = testing.task_harness(function()
    aw.sleep(5)
    return "slept"
  end)
  lu.assertFalse(task:poll())
  testing.advance(4.5)
  lu.assertFalse(task:is_woken())
  testing.advance(0.5)
  lu.assertTrue(task:is_woken())
  lu.assertEquals(task:poll(), "slept")
  check.fails("ETIMEDOUT", c:poll(near, "poll_write", "y"))
  aw.run(function() end)
  lu.assertFalse(testing.is_paused())
end

-- ---- Real things inside ----

M.test_while_a_descriptor_is_waited_for_time_is_real = virtual(function()
  local a, b = assert(aw.unix.pair())
  local start = aw.now()
  check.fails("ETIMEDOUT", aw.timeout(0.05, a.read, a)) -- nothing comes, and it still ends
  local took = aw.now() - start
  lu.assertTrue(took >= 0.05 and took < REAL)
  aw.spawn(function() b:write_all("hello") end)
  lu.assertEquals(aw.timeout(HOUR, a.read, a), "hello")
  lu.assertTrue(aw.now() < REAL)
  aw.sleep(HOUR) -- nobody waits for the descriptors now
  lu.assertTrue(aw.now() >= HOUR)
  a:close()
  b:close()
end)

M.test_a_look_up_is_waited_for = virtual(function()
  local answer = { aw.timeout(HOUR, aw.tcp.connect, "localhost", 1) }
  lu.assertNotEquals(answer[3], "ETIMEDOUT")
  lu.assertTrue(aw.now() < REAL)
end)

-- ---- Misuse ----

function M.test_inside_a_run_it_raises_and_leaves_the_clock_alone()
  aw.run(function()
    local now = aw.now()
    check.misuse(function() testing.run(function() end) end, "run: already running; use spawn")
    lu.assertTrue(aw.now() >= now and not testing.is_paused())
    check.misuse(function() testing.advance(1) end, "advance: the clock runs; call pause before, or testing.run")
  end)
  check.misuse(function() testing.run(5) end, "bad argument #1 'f' to 'run' (function expected, got number)")
end

function M.test_on_other_hosts_it_says_so()
  local result = child.run([[
    local executor = require "asyncwrite.executor"
    executor.set_host { name = "mine", run = function() end }
    local testing = require "asyncwrite.testing"
    for _, name in ipairs { "run", "pause", "resume", "advance" } do
      print((select(2, pcall(testing[name], function() end)):gsub("^.-:%d+: ", "")))
    end
  ]])
  local text = "virtual time needs the loop of a plain script; here it is the host's, 'mine'\n"
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, "run: " .. text .. "pause: " .. text .. "resume: " .. text .. "advance: " .. text)
end

return M
