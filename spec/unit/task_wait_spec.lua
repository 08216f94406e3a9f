-- SPDX-License-Identifier: MIT
-- sleep, yield, timeout, first, all, and the cooperative budget (W12, A10).

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local raises, fails, in_task = check.raises, check.fails, check.in_task
local T = {}

-- A duplex whose near end is full: a write there waits until room is made.
local function full_duplex(capacity)
  local near, far = aw.duplex(capacity or 4)
  assert(near:write_all(("x"):rep(capacity or 4)))
  return near, far
end

-- One end alone; the other lives as long.
local peers = setmetatable({}, { __mode = "k" })
local function lone_duplex(capacity)
  local near, far = aw.duplex(capacity)
  peers[near] = far
  return near
end

-- ---- sleep and yield ----

T.test_sleep_takes_at_least_its_time = in_task(function()
  local before = aw.now()
  aw.sleep(0.02)
  lu.assertTrue(aw.now() - before >= 0.02)
end)

T.test_sleepers_wake_in_the_order_of_their_times_not_of_their_start = in_task(function()
  local order, tasks = {}, {}
  local times = { 0.03, 0.01, 0.05, 0.02, 0.04 }
  for i, seconds in ipairs(times) do
    tasks[i] = aw.spawn(function()
      aw.sleep(seconds)
      order[#order + 1] = seconds
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
  lu.assertEquals(order, { 0.01, 0.02, 0.03, 0.04, 0.05 })
end)

T.test_sleep_of_zero_lets_other_tasks_run = in_task(function()
  local ran = false
  aw.spawn(function() ran = true end)
  aw.sleep(0)
  aw.sleep(0)
  lu.assertTrue(ran)
end)

T.test_a_thousand_sleepers_all_wake = in_task(function()
  local woken, tasks = 0, {}
  for i = 1, 1000 do
    tasks[i] = aw.spawn(function()
      aw.sleep((i * 7919 % 50) / 1000)
      woken = woken + 1
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
  lu.assertEquals(woken, 1000)
end)

T.test_yield_lets_every_other_ready_task_run_once = in_task(function()
  local order = {}
  local function body(name)
    for _ = 1, 3 do
      order[#order + 1] = name
      aw.yield()
    end
  end
  local a, b = aw.spawn(body, "a"), aw.spawn(body, "b")
  a:join()
  b:join()
  lu.assertEquals(table.concat(order), "ababab")
end)

T.test_a_bare_coroutine_yield_is_taken_as_yield = in_task(function()
  local steps = 0
  local task = aw.spawn(function()
    coroutine.yield()
    steps = steps + 1
    coroutine.yield("a value that nobody gets")
    steps = steps + 1
    return "end"
  end)
  lu.assertEquals(task:join(), "end")
  lu.assertEquals(steps, 2)
end)

T.test_a_coroutine_that_somebody_else_resumed_polls_again_or_fails_its_task = in_task(function()
  local co
  local near, far = full_duplex()
  local task = aw.spawn(function()
    co = coroutine.running()
    assert(near:write_all("y"))
    return "written"
  end)
  local joiner = aw.spawn(function() return pcall(task.join, task) end)
  aw.yield()
  coroutine.resume(co)
  lu.assertEquals(coroutine.status(co), "suspended") -- a wake is a hint
  lu.assertFalse(task:is_done())
  lu.assertEquals(far:read(1), "x")
  coroutine.resume(co)
  lu.assertEquals(coroutine.status(co), "dead")
  local ok, err = joiner:join()
  lu.assertFalse(ok)
  lu.assertStrContains(err, "the task's coroutine was resumed by somebody else")
end)

-- As programs do that suspend by coroutine.yield and go on in a callback, which may come when the task waits elsewhere.
T.test_what_somebody_else_resumes_a_waiting_task_with_is_not_taken_for_its_arguments = in_task(function()
  local waits = {
    write_all = function(near) return near:write_all("12345678") end,
    writef = function(near) return near:writef("%s", "12345678") end,
    read = function(near) return near:read(2) end,
    read_exact = function(near) return near:read_exact(2) end,
    copy = function(near) return aw.copy(aw.cursor("12345678"), near) end,
  }
  for name, wait in pairs(waits) do
    local near, far = aw.duplex(4)
    local co
    local task = aw.spawn(function()
      co = coroutine.running()
      return wait(near)
    end)
    aw.yield()
    lu.assertTrue((coroutine.resume(co, "junk", true)), name)
    lu.assertFalse(task:is_done(), name)
    assert(far:write_all("ab"))
    if not name:find("^read") then
      lu.assertEquals(far:read_exact(8), "12345678", name)
      lu.assertEquals(task:join(), name == "copy" and 8 or true, name)
      fails("EAGAIN", far:try_read())
    else
      lu.assertEquals(task:join(), "ab", name)
    end
  end
end)

-- A hook is how programs limit the time of a script. It may come between any two instructions of a method.
T.test_a_task_whose_hook_raised_in_a_method_that_waits_goes_on_after_a_bare_yield = in_task(function()
  local interrupted, jit = 0, rawget(_G, "jit")
  if jit then jit.off() jit.flush() end -- compiled code knows no hooks
  for after = 1, 150 do
    local near, far = aw.duplex(4)
    local met = "nothing"
    local task = aw.spawn(function()
      local co = coroutine.running()
      local _, err = pcall(function()
        debug.sethook(function()
          if coroutine.running() == co then after = after - 1 end -- LuaJIT has one hook for all
          if after > 0 then return end
          debug.sethook()
          error("time is up", 0)
        end, "", 1)
        near:read_exact(3)
      end)
      debug.sethook()
      met = err
      coroutine.yield()
      return "went on"
    end)
    for _ = 1, 4 do aw.yield() end
    debug.sethook()
    if met == "time is up" then
      interrupted = interrupted + 1
      lu.assertTrue(task:is_done(), tostring(task))
    end
    task:cancel()
    far:close()
  end
  if jit then jit.on() end
  lu.assertTrue(interrupted > 2)
end)

-- What is an argument of the poll alone is none of the method.
T.test_methods_that_wait_take_no_more_than_is_documented = in_task(function()
  local near, far = aw.duplex(64)
  assert(far:write_all("line\r\n"))
  lu.assertEquals(near:read_until("\n", nil, true), "line\r\n")
  lu.assertEquals(near:write_vectored({ "abc", "def" }, 2), 6)
  lu.assertEquals(far:read(), "abcdef")
end)

-- ---- timeout ----

T.test_timeout_returns_the_results_of_its_function = in_task(function()
  local function expect(...)
    lu.assertEquals(select("#", ...), 3)
    lu.assertEquals({ ... }, { 1, nil, "three" })
  end
  expect(aw.timeout(10, function(...)
    aw.yield()
    return ...
  end, 1, nil, "three"))
end)

T.test_timeout_hands_on_the_error_of_its_function = in_task(function()
  raises(function()
    aw.timeout(10, function()
      aw.yield()
      error("inside")
    end)
  end, "task_wait_spec.lua:", "inside", "stack traceback:")
end)

T.test_timeout_gives_ETIMEDOUT_and_drops_its_function = in_task(function()
  local went_on = false
  local accepted = fails("ETIMEDOUT", aw.timeout(0.01, function()
    aw.sleep(0.05)
    went_on = true
  end))
  lu.assertEquals(accepted, 0)
  aw.sleep(0.08)
  lu.assertFalse(went_on)
end)

T.test_timeout_tells_how_much_of_the_cut_operation_was_accepted = in_task(function()
  local near, far = aw.duplex(10)
  local accepted = fails("ETIMEDOUT", aw.timeout(0.01, function()
    near:write_all("12345") -- complete: not part of the operation that is cut
    return near:write_all("67890", "abcde")
  end))
  lu.assertEquals(accepted, 5)
  lu.assertEquals(far:read_exact(10), "1234567890")
end)

T.test_timeout_counts_for_every_operation_that_can_be_cut_midway = in_task(function()
  local operations = {
    write_all = function(w) w:write_all("123", "456789") end,
    writef = function(w) w:writef("%s", "123456789") end,
    write_all_vectored = function(w) w:write_all_vectored { "12", "", "3456789" } end,
    write_all_buf = function(w) w:write_all_buf(aw.cursor("123456789")) end,
    write_u64 = function(w) w:write_u64(1) end,
    copy = function(w) aw.copy(aw.cursor("123456789"), w) end,
  }
  for name, operation in pairs(operations) do
    local near = lone_duplex(5)
    lu.assertEquals(fails("ETIMEDOUT", aw.timeout(0.005, operation, near)), 5, name)
  end
  local near = lone_duplex(4)
  assert(near:write_all("full"))
  lu.assertEquals(fails("ETIMEDOUT", aw.timeout(0.005, near.write, near, "1")), 0)
end)

T.test_a_write_cut_by_a_timeout_took_nothing_and_its_slot_is_free = in_task(function()
  local near, far = full_duplex()
  fails("ETIMEDOUT", aw.timeout(0.005, function() return near:write("cut") end))
  lu.assertEquals(far:read_exact(4), "xxxx")
  lu.assertEquals(near:write("next"), 4)
  lu.assertEquals(far:read_exact(4), "next")
end)

T.test_a_timeout_around_another_tells_what_was_accepted_since_both_began_to_wait = in_task(function()
  local near, far = aw.duplex(4)
  local function write() return aw.timeout(10, near.write_all, near, ("x"):rep(100)) end
  local function outer() return aw.timeout(10, write) end
  local reader = aw.spawn(function()
    for _ = 1, 3 do lu.assertEquals(far:read_exact(4), "xxxx") end
  end)
  local accepted = fails("ETIMEDOUT", aw.timeout(0.05, outer))
  lu.assertTrue(reader:is_done())
  lu.assertEquals(accepted, 16)
end)

T.test_nested_timeouts_the_shorter_one_cuts_and_tells_the_count = in_task(function()
  local near = lone_duplex(3)
  lu.assertEquals(fails("ETIMEDOUT", aw.timeout(10, function()
    return aw.timeout(0.005, near.write_all, near, "12345")
  end)), 3)
  local other = lone_duplex(3)
  lu.assertEquals(fails("ETIMEDOUT", aw.timeout(0.005, function()
    return aw.timeout(10, other.write_all, other, "12345")
  end)), 3)
end)

T.test_what_is_ready_beats_a_deadline_that_has_passed = in_task(function()
  local w = aw.memory()
  lu.assertTrue(aw.timeout(0, function() return w:write_all("ready") end))
  lu.assertEquals(w:contents(), "ready")
end)

T.test_an_operation_that_spends_the_budget_still_times_out = in_task(function()
  local w, before = aw.sink(), aw.now()
  fails("ETIMEDOUT", aw.timeout(0.02, function()
    while true do assert(w:write("for ever")) end
  end))
  lu.assertTrue(aw.now() - before < 10)
end)

T.test_a_reader_that_is_always_ready_still_times_out = in_task(function()
  local forever = aw.custom { poll_read = function() return "more" end }
  fails("ETIMEDOUT", aw.timeout(0.02, function() return aw.copy(forever, aw.sink()) end))
end)

-- ---- first ----

T.test_first_returns_the_number_and_results_of_the_first_that_ends_and_drops_the_others = in_task(function()
  local went_on = false
  local function expect(...) lu.assertEquals({ ... }, { 2, "b", "c" }) end
  expect(aw.first(function()
    aw.sleep(0.03)
    went_on = true
  end, function()
    aw.sleep(0.005)
    return "b", "c"
  end))
  aw.sleep(0.05)
  lu.assertFalse(went_on)
end)

T.test_first_does_not_start_what_comes_after_one_that_is_ready_at_once = in_task(function()
  local started = {}
  local which = aw.first(function()
    started[#started + 1] = 1
    aw.sleep(10)
  end, function() started[#started + 1] = 2 end, function() started[#started + 1] = 3 end)
  lu.assertEquals(which, 2)
  lu.assertEquals(started, { 1, 2 })
end)

T.test_first_raises_the_error_of_the_first_that_ends_with_one = in_task(function()
  local dropped = false
  raises(function()
    aw.first(function()
      aw.sleep(0.03)
      dropped = "no"
    end, function()
      aw.yield()
      error("second")
    end)
  end, "second")
  aw.sleep(0.05)
  lu.assertFalse(dropped)
end)

T.test_first_of_two_readers_loses_no_byte_of_the_other = in_task(function()
  local near, far = aw.duplex(16)
  local slow_near, slow_far = aw.duplex(16)
  for i = 1, 20 do
    local byte = ("%d"):format(i % 10)
    aw.spawn(function() far:write_all(byte) end)
    local which, s = aw.first(function() return slow_near:read(1) end, function() return near:read(1) end)
    lu.assertEquals(which, 2)
    lu.assertEquals(s, byte)
  end
  slow_far:close()
end)

-- ---- all ----

T.test_all_runs_everything_at_once_and_returns_the_first_result_of_each = in_task(function()
  local before = aw.now()
  local function expect(...)
    lu.assertEquals(select("#", ...), 3)
    lu.assertEquals({ ... }, { "a", nil, "c" })
  end
  expect(aw.all(function()
    aw.sleep(0.02)
    return "a", "dropped"
  end, function() aw.sleep(0.02) end, function() return "c" end))
  lu.assertTrue(aw.now() - before < 10)
end)

T.test_all_of_nothing_returns_nothing = in_task(function() lu.assertEquals(select("#", aw.all()), 0) end)

T.test_all_drops_the_others_when_one_fails = in_task(function()
  local went_on = false
  raises(function()
    aw.all(function()
      aw.sleep(0.03)
      went_on = true
    end, function()
      aw.yield()
      error("one of all")
    end)
  end, "one of all", "stack traceback:")
  aw.sleep(0.05)
  lu.assertFalse(went_on)
end)

T.test_both_directions_of_one_stream_can_wait_in_all = in_task(function()
  local near, far = full_duplex()
  aw.spawn(function()
    aw.sleep(0.005)
    far:write_all("pong")
    far:read_exact(4)
  end)
  local wrote, got = aw.all(function() return near:write("ping") end, function() return near:read_exact(4) end)
  lu.assertEquals(wrote, 4)
  lu.assertEquals(got, "pong")
end)

-- ---- the cooperative budget ----

-- What a task that never has to wait does, round and round.
local ready_forever = {
  sleep_of_zero = function()
    return function() aw.sleep(0) end
  end,
  timeout_of_zero = function()
    local near = lone_duplex(1)
    return function() aw.timeout(0, near.read, near) end
  end,
  write = function()
    local w = aw.sink()
    return function() w:write("x") end
  end,
  write_all = function()
    local w = aw.sink()
    return function() w:write_all("x", "y") end
  end,
  flush = function()
    local w = aw.sink()
    return function() w:flush() end
  end,
  write_buf = function()
    local w = aw.sink()
    return function() w:write_buf(aw.cursor("x")) end
  end,
  read = function()
    local r = aw.custom { poll_read = function() return "x" end }
    return function() r:read() end
  end,
  duplex = function()
    local near, far = aw.duplex(8)
    return function()
      near:write_all("x")
      far:read_exact(1)
    end
  end,
  mutex = function()
    local m = aw.mutex()
    return function() m:lock():unlock() end
  end,
  notify = function()
    local n = aw.notify()
    return function()
      n:notify_one()
      n:notified()
    end
  end,
  channel = function()
    local ch = aw.channel(1)
    return function()
      ch:send(1)
      ch:recv()
    end
  end,
}

for name, make in pairs(ready_forever) do
  T["test_W12_a_task_always_ready_in_" .. name .. "_lets_a_timer_and_another_task_run"] = in_task(function()
    local operation, rounds, other = make(), 0, 0
    local stop = false
    local busy = aw.spawn(function()
      while not stop do
        operation()
        rounds = rounds + 1
        if rounds > 5000000 then error("nobody else ever ran") end
      end
    end)
    local neighbour = aw.spawn(function()
      while not stop do
        aw.yield()
        other = other + 1
      end
    end)
    aw.sleep(0.01) -- a timer
    stop = true
    busy:join()
    neighbour:join()
    lu.assertTrue(rounds > 0 and other > 0, ("%d rounds, %d of the other task"):format(rounds, other))
  end)
end

T.test_W12_at_most_128_operations_are_ready_before_the_others_run = in_task(function()
  local w, rounds, seen = aw.sink(), 0, {}
  local busy = aw.spawn(function()
    for _ = 1, 1000 do
      assert(w:write("x"))
      rounds = rounds + 1
    end
  end)
  aw.spawn(function()
    while not busy:is_done() do
      seen[#seen + 1] = rounds
      aw.yield()
    end
  end)
  busy:join()
  for i = 2, #seen do lu.assertTrue(seen[i] - seen[i - 1] <= 128, table.concat(seen, " ")) end
  lu.assertTrue(#seen >= 7)
end)

return T
