-- SPDX-License-Identifier: MIT
-- mutex, notify, channel.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local raises, fails, in_task, settle = check.raises, check.fails, check.in_task, check.settle
local T = {}

-- n tasks that each note their number when their turn comes.
local function queue_up(n, wait)
  local log, tasks = {}, {}
  for i = 1, n do
    tasks[i] = aw.spawn(function()
      local finish = wait(i)
      log[#log + 1] = i
      if finish then finish() end
    end)
  end
  settle()
  return log, tasks
end

-- ---- mutex ----

T.test_a_mutex_is_held_by_one_task_at_a_time = in_task(function()
  local mutex, inside, most = aw.mutex(), 0, 0
  local tasks = {}
  for i = 1, 20 do
    tasks[i] = aw.spawn(function()
      local guard = mutex:lock()
      inside = inside + 1
      most = math.max(most, inside)
      aw.yield()
      inside = inside - 1
      guard:unlock()
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
  lu.assertEquals(most, 1)
  lu.assertFalse(mutex:is_locked())
end)

T.test_a_mutex_is_fair_first_come_first_served_also_against_its_last_holder = in_task(function()
  local mutex = aw.mutex()
  local guard = mutex:lock()
  local log = queue_up(5, function()
    local mine = mutex:lock()
    return function() mine:unlock() end
  end)
  guard:unlock()
  lu.assertNil(mutex:try_lock(), "it was handed over, not freed")
  mutex:lock():unlock()
  lu.assertEquals(log, { 1, 2, 3, 4, 5 })
end)

T.test_try_lock_gives_a_guard_or_nil = in_task(function()
  local mutex = aw.mutex()
  local guard = mutex:try_lock()
  lu.assertNil(mutex:try_lock())
  guard:unlock()
  guard:unlock() -- a second unlock does nothing
  local other = mutex:try_lock()
  guard:unlock()
  lu.assertTrue(mutex:is_locked(), "a spent guard cannot unlock for another")
  other:unlock()
end)

T.test_a_cancelled_waiter_leaves_the_queue = in_task(function()
  local mutex = aw.mutex()
  local guard = mutex:lock()
  local log, tasks = queue_up(3, function()
    local mine = mutex:lock()
    return function() mine:unlock() end
  end)
  tasks[2]:cancel()
  guard:unlock()
  tasks[3]:join()
  lu.assertEquals(log, { 1, 3 })
end)

T.test_a_waiter_cancelled_after_its_turn_came_hands_the_lock_on = in_task(function()
  local mutex = aw.mutex()
  local guard = mutex:lock()
  local log, tasks = queue_up(3, function()
    local mine = mutex:lock()
    return function() mine:unlock() end
  end)
  guard:unlock() -- task 1 owns it now, but has not run yet
  tasks[1]:cancel()
  tasks[3]:join()
  lu.assertEquals(log, { 2, 3 })
  lu.assertFalse(mutex:is_locked())
end)

T.test_a_lock_cut_by_a_timeout_is_not_left_locked = in_task(function()
  local mutex = aw.mutex()
  local guard = mutex:lock()
  fails("ETIMEDOUT", aw.timeout(0.005, function() mutex:lock() end))
  guard:unlock()
  lu.assertFalse(mutex:is_locked())
end)

T.test_with_unlocks_after_results_errors_cancel_and_timeout = in_task(function()
  local mutex = aw.mutex()
  lu.assertEquals({ mutex:with(function(...) return ..., "r" end, "arg") }, { "arg", "r" })
  lu.assertFalse(mutex:is_locked())
  raises(function() mutex:with(function() error("inside") end) end, "inside")
  lu.assertFalse(mutex:is_locked())
  local task = aw.spawn(function() mutex:with(function() aw.sleep(30) end) end)
  settle()
  lu.assertTrue(mutex:is_locked())
  task:cancel()
  lu.assertFalse(mutex:is_locked())
  fails("ETIMEDOUT", aw.timeout(0.002, function() mutex:with(function() aw.sleep(30) end) end))
  lu.assertFalse(mutex:is_locked())
end)

T.test_nested_with_of_two_mutexes_unlocks_both_on_cancel = in_task(function()
  local a, b = aw.mutex(), aw.mutex()
  local task = aw.spawn(function()
    a:with(function() b:with(function() aw.sleep(30) end) end)
  end)
  settle()
  lu.assertTrue(a:is_locked() and b:is_locked())
  task:cancel()
  lu.assertFalse(a:is_locked() or b:is_locked())
end)

T.test_writers_that_share_a_stream_under_a_mutex_do_not_interleave = in_task(function()
  local near, far = aw.duplex(7)
  local mutex = aw.mutex()
  for i = 1, 10 do
    aw.spawn(function()
      for _ = 1, 5 do mutex:with(near.write_all, near, ("%d"):format(i % 10):rep(20), "\n") end
    end)
  end
  for _ = 1, 50 do
    local line = far:read_line()
    lu.assertEquals(line, line:sub(1, 1):rep(20))
  end
end)

-- ---- notify ----

T.test_notify_one_wakes_one_waiter_in_order = in_task(function()
  local notify = aw.notify()
  local log = queue_up(3, function() notify:notified() end)
  lu.assertEquals(log, {})
  notify:notify_one()
  settle()
  lu.assertEquals(log, { 1 })
  notify:notify_one()
  notify:notify_one()
  settle()
  lu.assertEquals(log, { 1, 2, 3 })
end)

T.test_notify_one_without_a_waiter_leaves_one_permit_however_often = in_task(function()
  local notify = aw.notify()
  for _ = 1, 3 do notify:notify_one() end
  notify:notified() -- at once
  local log, tasks = queue_up(1, function() notify:notified() end)
  lu.assertEquals(log, {})
  tasks[1]:cancel()
end)

T.test_notify_waiters_wakes_all_that_wait_and_leaves_no_permit = in_task(function()
  local notify = aw.notify()
  local log = queue_up(3, function() notify:notified() end)
  notify:notify_waiters()
  settle()
  lu.assertEquals(log, { 1, 2, 3 })
  local later, tasks = queue_up(1, function() notify:notified() end)
  lu.assertEquals(later, {})
  tasks[1]:cancel()
end)

T.test_a_notified_waiter_that_is_cancelled_passes_the_notification_on = in_task(function()
  local notify = aw.notify()
  local log, tasks = queue_up(2, function() notify:notified() end)
  notify:notify_one()
  tasks[1]:cancel()
  settle()
  lu.assertEquals(log, { 2 })
  local _, others = queue_up(1, function() notify:notified() end)
  notify:notify_one()
  others[1]:cancel()
  notify:notified() -- with nobody else waiting it became a permit
end)

-- ---- channel ----

T.test_a_channel_keeps_the_order_and_holds_at_most_its_capacity = in_task(function()
  local ch, sent = aw.channel(3), 0
  local sender = aw.spawn(function()
    for i = 1, 10 do
      lu.assertTrue(ch:send(i))
      sent = i
    end
  end)
  settle()
  lu.assertEquals(sent, 3)
  for i = 1, 10 do
    lu.assertEquals(ch:recv(), i)
    settle()
    lu.assertEquals(sent, math.min(10, i + 3))
  end
  sender:join()
end)

T.test_try_send_and_try_recv_never_wait = in_task(function()
  local ch = aw.channel(1)
  fails("EAGAIN", ch:try_recv())
  lu.assertTrue(ch:try_send(false), "false is a value")
  fails("EAGAIN", ch:try_send(2))
  lu.assertEquals(ch:try_recv(), false)
  ch:close()
  fails("EPIPE", ch:try_send(3))
  lu.assertEquals(select("#", ch:try_recv()), 1)
end)

T.test_close_lets_receivers_drain_then_gives_nil_and_fails_senders = in_task(function()
  local ch = aw.channel(2)
  ch:send("a")
  ch:send("b")
  local blocked = aw.spawn(function() return ch:send("c") end)
  settle()
  ch:close()
  fails("EPIPE", blocked:join())
  fails("EPIPE", ch:send("d"))
  lu.assertEquals({ ch:recv(), ch:recv() }, { "a", "b" })
  lu.assertNil(ch:recv())
  lu.assertNil(ch:recv())
end)

T.test_close_wakes_every_waiting_receiver = in_task(function()
  local ch = aw.channel(1)
  local log = queue_up(3, function() lu.assertNil(ch:recv()) end)
  ch:close()
  ch:close()
  settle()
  lu.assertEquals(log, { 1, 2, 3 })
end)

T.test_values_iterates_until_the_channel_is_closed_and_drained = in_task(function()
  local ch, got = aw.channel(1), {}
  aw.spawn(function()
    for i = 1, 5 do ch:send(i) end
    ch:close()
  end)
  for value in ch:values() do got[#got + 1] = value end
  lu.assertEquals(got, { 1, 2, 3, 4, 5 })
end)

T.test_a_cancelled_receiver_that_was_woken_passes_the_value_on = in_task(function()
  local ch = aw.channel(1)
  local got = {}
  local first = aw.spawn(function() got.first = ch:recv() end)
  local second = aw.spawn(function() got.second = ch:recv() end)
  settle()
  ch:send("value") -- wakes the first
  first:cancel()
  second:join()
  lu.assertEquals(got, { second = "value" })
end)

T.test_a_cancelled_sender_that_was_woken_passes_the_room_on = in_task(function()
  local ch = aw.channel(1)
  ch:send(0)
  local first = aw.spawn(function() ch:send(1) end)
  local second = aw.spawn(function() ch:send(2) end)
  settle()
  lu.assertEquals(ch:recv(), 0) -- wakes the first
  first:cancel()
  lu.assertEquals(ch:recv(), 2)
  second:join()
end)

T.test_a_recv_cut_by_a_timeout_loses_no_value = in_task(function()
  local ch = aw.channel(1)
  fails("ETIMEDOUT", aw.timeout(0.002, ch.recv, ch))
  ch:send("kept")
  lu.assertEquals(ch:recv(), "kept")
end)

T.test_many_senders_and_receivers_move_every_value_once = in_task(function()
  local ch, seen, count = aw.channel(4), {}, 0
  local senders, receivers = {}, {}
  for i = 1, 10 do
    senders[i] = aw.spawn(function()
      for k = 1, 50 do ch:send(i * 1000 + k) end
    end)
    receivers[i] = aw.spawn(function()
      for value in ch:values() do
        lu.assertNil(seen[value])
        seen[value] = true
        count = count + 1
      end
    end)
  end
  for _, task in ipairs(senders) do task:join() end
  ch:close()
  for _, task in ipairs(receivers) do task:join() end
  lu.assertEquals(count, 500)
end)

return T
