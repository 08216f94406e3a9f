-- SPDX-License-Identifier: MIT
-- The context of a poll: tasks, wakers of foreign schedulers, polls of custom writers; and where one cannot wait (Y).

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local raises, misuse, in_task, settle = check.raises, check.misuse, check.in_task, check.settle
local T = {}

local function full_duplex()
  local near, far = aw.duplex(4)
  assert(near:try_write("full") == 4)
  return near, far
end

-- ---- outside a task ----

function T.test_P11_every_poll_outside_a_task_raises()
  local w, r = aw.memory(), (aw.simplex(1))
  misuse(function() w:poll_write("x") end, "poll_write: not in the context of a task")
  misuse(function() w:poll_write_vectored {} end, "poll_write_vectored: not in the context of a task")
  misuse(function() w:poll_write_buf(aw.cursor("x")) end, "poll_write_buf: not in the context of a task")
  misuse(function() w:poll_flush() end, "poll_flush: not in the context of a task")
  misuse(function() w:poll_shutdown() end, "poll_shutdown: not in the context of a task")
  misuse(function() r:poll_read(1) end, "poll_read: not in the context of a task")
  misuse(function() r:poll_read_until("\n") end, "poll_read_until: not in the context of a task")
  misuse(function() r:poll_fill_buf() end, "poll_fill_buf: not in the context of a task")
  misuse(function() aw.current_waker() end, "current_waker: not in the context of a task")
  lu.assertEquals(w:contents(), "")
end

function T.test_a_waker_is_held_by_what_may_wake_it()
  local near, far = full_duplex()
  local waker = aw.waker(function() end)
  lu.assertFalse(waker:is_held())
  lu.assertFalse(aw.with_waker(waker, near.poll_write, near, "x"))
  lu.assertTrue(waker:is_held())
  far:try_read()
  lu.assertFalse(waker:is_held())
  local forgetful = aw.custom { poll_write = function()
    return aw.current_waker():is_held() and false
  end }
  lu.assertFalse(aw.with_waker(waker, forgetful.poll_write, forgetful, "x"))
  forgetful:close()
  collectgarbage()
  lu.assertFalse(waker:is_held())
  check.run(function()
    local own = aw.current_waker()
    lu.assertFalse(own:is_held())
    near:write("full")
    lu.assertFalse(near:poll_write("x"))
    lu.assertTrue(own:is_held())
    far:read()
    lu.assertTrue(own:is_held()) -- by the wake that is on its way
  end)
end

function T.test_waiting_operations_outside_a_task_raise_name_themselves_and_write_nothing()
  local w, r = aw.memory(), (aw.simplex(1))
  local operations = {
    write = function() w:write("x") end,
    write_all = function() w:write_all("x") end,
    write_all_vectored = function() w:write_all_vectored { "x" } end,
    write_all_buf = function() w:write_all_buf(aw.cursor("x")) end,
    writef = function() w:writef("x") end,
    write_u16 = function() w:write_u16(1) end,
    flush = function() w:flush() end,
    shutdown = function() w:shutdown() end,
    read = function() r:read() end,
    read_exact = function() r:read_exact(1) end,
    read_until = function() r:read_until("x") end,
    read_line = function() r:read_line() end,
    lines = function() r:lines()() end,
    read_to_end = function() r:read_to_end() end,
    read_u8 = function() r:read_u8() end,
    fill_buf = function() r:fill_buf() end,
    copy = function() aw.copy(r, w) end,
    sleep = function() aw.sleep(0.01) end,
    yield = function() aw.yield() end,
    timeout = function() aw.timeout(1, function() end) end,
    first = function() aw.first(function() end) end,
    all = function() aw.all(function() end) end,
    lock = function() aw.mutex():lock() end,
    notified = function() aw.notify():notified() end,
    send = function() aw.channel(1):send(1) end,
    recv = function() aw.channel(1):recv() end,
    connect = function() aw.tcp.connect("127.0.0.1", 1) end,
    join = function() aw.spawn(function() end):join() end,
  }
  local faults = {}
  for name, operation in pairs(operations) do
    local info = debug.getinfo(operation, "S")
    local expected = ("%s:%d: %s: not in the context of a task"):format(info.short_src, info.linedefined, name)
    local ok, err = pcall(operation)
    if ok or err ~= expected then faults[#faults + 1] = ("%s\n  instead of %s"):format(tostring(err), expected) end
  end
  lu.assertEquals(table.concat(faults, "\n"), "")
  lu.assertEquals(w:contents(), "")
  aw.run(function() end) -- the spawned task ends
end

function T.test_try_write_and_try_read_work_anywhere_and_register_nothing()
  local near, far = full_duplex()
  check.fails("EAGAIN", near:try_write("x"))
  lu.assertEquals(far:try_read(2), "fu")
  lu.assertEquals(near:try_write("xyz"), 2)
  lu.assertEquals(far:try_read(), "llxy")
  check.fails("EAGAIN", far:try_read())
end

-- ---- wakers ----

function T.test_a_poll_under_with_waker_wakes_that_waker_and_no_task_is_needed()
  local near, far = full_duplex()
  local wakes = 0
  local waker = aw.waker(function() wakes = wakes + 1 end)
  lu.assertFalse(aw.with_waker(waker, near.poll_write, near, "more"))
  lu.assertEquals(wakes, 0)
  lu.assertEquals(far:try_read(), "full")
  lu.assertEquals(wakes, 1)
  lu.assertEquals(aw.with_waker(waker, near.poll_write, near, "more"), 4)
end

function T.test_with_waker_returns_all_results_and_hands_arguments_in()
  local waker = aw.waker(function() end)
  local function expect(...)
    lu.assertEquals(select("#", ...), 4)
    lu.assertEquals({ ... }, { 3, "a", nil, "c" })
  end
  expect(aw.with_waker(waker, function(...) return select("#", ...), ... end, "a", nil, "c"))
end

function T.test_W2_the_waker_of_the_latest_poll_wins()
  local near, far = full_duplex()
  local log = {}
  local one, two = aw.waker(function() log[#log + 1] = 1 end), aw.waker(function() log[#log + 1] = 2 end)
  aw.with_waker(one, near.poll_write, near, "x")
  aw.with_waker(two, near.poll_write, near, "x")
  far:try_read()
  lu.assertEquals(log, { 2 })
end

T.test_current_waker_in_a_task_is_the_tasks_own_and_wakes_it = in_task(function()
  local waker
  local task = aw.spawn(function()
    waker = aw.current_waker()
    lu.assertTrue(waker:will_wake(aw.current_waker()))
    aw.park("test")
    return "woken"
  end)
  settle()
  lu.assertFalse(task:is_done())
  lu.assertFalse(waker:will_wake(aw.current_waker()))
  waker:wake()
  lu.assertFalse(task:is_done(), "a wake only enqueues (W14)")
  lu.assertEquals(task:join(), "woken")
  waker:wake() -- of a task that has ended: nothing happens
end)

T.test_current_waker_inside_with_waker_is_that_waker_also_in_a_nested_one = in_task(function()
  local outer, inner = aw.waker(function() end), aw.waker(function() end)
  local own = aw.current_waker()
  aw.with_waker(outer, function()
    lu.assertTrue(aw.current_waker():will_wake(outer))
    aw.with_waker(inner, function() lu.assertTrue(aw.current_waker():will_wake(inner)) end)
    lu.assertTrue(aw.current_waker():will_wake(outer))
    lu.assertFalse(aw.current_waker():will_wake(inner))
  end)
  lu.assertTrue(aw.current_waker():will_wake(own))
end)

T.test_the_frame_of_with_waker_is_popped_on_an_error = in_task(function()
  local own, waker = aw.current_waker(), aw.waker(function() end)
  raises(function() aw.with_waker(waker, function() error("inside") end) end, "inside")
  lu.assertTrue(aw.current_waker():will_wake(own))
  aw.sleep(0.001) -- waiting works again
end)

function T.test_wakes_of_a_function_in_one_poll_may_coalesce_but_never_get_lost()
  local wakes = 0
  local waker = aw.waker(function() wakes = wakes + 1 end)
  for _ = 1, 3 do waker:wake() end
  lu.assertTrue(wakes >= 1 and wakes <= 3)
end

function T.test_W7_the_function_of_a_waker_may_close_the_writer_that_wakes_it()
  local near, far = full_duplex()
  local closed = false
  local waker = aw.waker(function()
    near:close()
    closed = true
  end)
  aw.with_waker(waker, near.poll_write, near, "x")
  lu.assertEquals(far:try_read(2), "fu")
  lu.assertTrue(closed)
  lu.assertEquals(far:try_read(), "ll")
  lu.assertNil((far:try_read()))
end

function T.test_a_waker_function_may_poll_and_be_parked_again()
  local near, far = full_duplex()
  local written, waker = 0, nil
  local function pump()
    local n = aw.with_waker(waker, near.poll_write, near, "abcd")
    while n do
      written = written + n
      n = aw.with_waker(waker, near.poll_write, near, "abcd")
    end
  end
  waker = aw.waker(pump)
  pump()
  local got = {}
  for i = 1, 5 do got[i] = far:try_read() end
  lu.assertEquals(got, { "full", "abcd", "abcd", "abcd", "abcd" })
  lu.assertEquals(written, 20)
end

-- ---- where one cannot wait ----

local INSIDE = "cannot wait inside with_waker or a poll function of a custom writer"
local ACROSS = "cannot wait here: across a C call such as table.sort, string.gsub or require"

T.test_waiting_inside_with_waker_raises = in_task(function()
  local waker, near = aw.waker(function() end), full_duplex()
  raises(function() aw.with_waker(waker, function() aw.sleep(1) end) end, "context_spec.lua:", "sleep: " .. INSIDE)
  raises(function() aw.with_waker(waker, function() aw.yield() end) end, "yield: " .. INSIDE)
  raises(function() aw.with_waker(waker, function() near:write("x") end) end, "write: " .. INSIDE)
  aw.yield()
end)

T.test_waiting_inside_a_poll_of_a_custom_writer_raises_and_the_frame_is_popped = in_task(function()
  local own = aw.current_waker()
  local w = aw.custom {
    poll_write = function(_, s)
      aw.sleep(0.01)
      return #s
    end,
  }
  raises(function() w:write("x") end, "context_spec.lua:", "sleep: " .. INSIDE)
  lu.assertTrue(aw.current_waker():will_wake(own))
  aw.sleep(0.001)
end)

T.test_waiting_in_table_sort_gsub_and_require_raises_a_clear_error = in_task(function()
  local near = full_duplex()
  local function wait() near:write("x") end
  raises(function()
    table.sort({ 3, 2, 1 }, function(a, b)
      wait()
      return a < b
    end)
  end, "context_spec.lua:", "write: " .. ACROSS)
  raises(function() string.gsub("abc", ".", wait) end, "write: " .. ACROSS)
  package.preload["context_spec.waits"] = wait
  raises(function() require "context_spec.waits" end, "write: " .. ACROSS)
end)

T.test_after_a_wait_that_raised_the_task_can_wait_elsewhere = in_task(function()
  local near, far = full_duplex()
  raises(function() string.gsub("a", ".", function() near:write("lost") end) end, ACROSS)
  aw.spawn(function()
    aw.yield()
    far:read_exact(4)
  end)
  lu.assertEquals(near:write("next"), 4)
  lu.assertEquals(far:read_exact(4), "next")
end)

T.test_a_timeout_first_or_all_that_cannot_wait_drops_what_it_had_started = in_task(function()
  local went_on = 0
  local function body()
    aw.yield()
    went_on = went_on + 1
  end
  for _, f in ipairs {
    function() aw.timeout(10, body) end, function() aw.first(body, body) end, function() aw.all(body, body) end,
  } do
    raises(function() string.gsub("a", ".", f) end, ACROSS)
    raises(function() aw.with_waker(aw.waker(print), f) end, "cannot wait")
  end
  settle()
  lu.assertEquals(went_on, 0)
end)

T.test_what_never_has_to_wait_works_across_a_c_call = in_task(function()
  local w = aw.memory()
  string.gsub("abc", ".", function(c) w:write_all(c, "-") end)
  lu.assertEquals(w:contents(), "a-b-c-")
end)

T.test_waiting_in_a_coroutine_nested_in_a_task_raises = in_task(function()
  local near = full_duplex()
  local co = coroutine.wrap(function() near:write("x") end)
  raises(co, "write: not in the context of a task (a coroutine nested in a task is not the task)")
  local sleeper = coroutine.wrap(function() aw.sleep(0.001) end)
  raises(sleeper, "sleep: not in the context of a task")
end)

T.test_Y_waiting_is_possible_in_pcall_metamethods_and_iterators = in_task(function()
  local function wait()
    aw.sleep(0.001)
    return 1
  end
  local object = setmetatable({}, {
    __index = wait, __newindex = wait, __call = wait, __concat = wait, __lt = wait, __eq = wait,
  })
  lu.assertEquals({ pcall(wait) }, { true, 1 })
  lu.assertEquals({ xpcall(wait, function() end) }, { true, 1 })
  lu.assertEquals(object.field, 1)
  object.field = 2
  lu.assertEquals(object(), 1)
  lu.assertEquals(object .. "s", 1)
  lu.assertTrue(object < setmetatable({}, getmetatable(object)))
  local rounds = 0
  for _ in function()
    if wait() and rounds < 3 then return rounds end
  end do
    rounds = rounds + 1
  end
  lu.assertEquals(rounds, 3)
end)

return T
