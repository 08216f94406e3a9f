-- SPDX-License-Identifier: MIT
-- testing's wakers, assertions and task_harness.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local child = require "support.child"

local M = {}

-- ---- Wakers ----

function M.test_a_waker_counts_and_is_reset()
  local near, far = aw.duplex(1)
  local c = testing.waker()
  lu.assertEquals({ c:count(), c:is_woken() }, { 0, false })
  lu.assertEquals(c:poll(near, "poll_write", "ab"), 1)
  lu.assertFalse(c:poll(near, "poll_write", "b"))
  far:try_read()
  lu.assertEquals({ c:count(), c:is_woken() }, { 1, true })
  c:wake()
  lu.assertEquals({ c:reset(), c:count() }, { 2, 0 })
  lu.assertEquals(c:with(near.poll_write, near, "b"), 1)
end

function M.test_wakers_know_each_other()
  local a, b = testing.waker(), testing.waker()
  lu.assertTrue(a:will_wake(a))
  lu.assertFalse(a:will_wake(b))
  lu.assertTrue(a:will_wake(a.waker))
end

function M.test_a_panic_waker_raises_at_the_poll_that_wakes_it()
  local c = testing.panic_waker()
  local w = aw.custom { poll_write = function()
    aw.current_waker():wake()
    return false
  end }
  check.raises(function() c:poll(w, "poll_write", "x") end, "a waker was woken that must not be", "testing_tools_spec")
  aw.run(function() end) -- it has been told
end

function M.test_a_panic_waker_that_is_woken_by_others_raises_at_the_end_of_the_run()
  check.raises(function()
    aw.run(function()
      local near, far = aw.duplex(1)
      local c = testing.panic_waker()
      c:poll(near, "poll_write", "a")
      lu.assertFalse(c:poll(near, "poll_write", "b"))
      c:check()
      far:read()
    end)
  end, "a waker was woken that must not be", "in function")
end

-- ---- Assertions ----

-- The text of the failure; of a framework's kind.
local function fails(f, ...)
  local ok, err = pcall(f, ...)
  lu.assertFalse(ok)
  if type(err) == "table" then return err.msg end
  lu.assertStrContains(err, "LuaUnit test FAILURE") -- as older versions mark what is no error
  return err
end

function M.test_assertions_tell_pending_ready_and_error_apart()
  lu.assertFalse(testing.assert_pending(false))
  lu.assertEquals({ testing.assert_ready(5) }, { 5 })
  lu.assertEquals({ testing.assert_ready("x", 2) }, { "x", 2 })
  lu.assertNil((testing.assert_ready(nil))) -- the end of file
  lu.assertEquals({ testing.assert_error("EPIPE", nil, "EPIPE: text", "EPIPE", 7) }, { "EPIPE: text", "EPIPE", 7 })
  lu.assertEquals({ testing.assert_error(nil, nil, "EIO: text", "EIO") }, { "EIO: text", "EIO" })
end

function M.test_assertions_show_what_came_instead()
  lu.assertStrContains(fails(testing.assert_pending, 5), "expected NotReady, got Ready: 5")
  lu.assertStrContains(fails(testing.assert_pending, "a\nb"), 'expected NotReady, got Ready: "a\\nb"')
  lu.assertStrContains(fails(testing.assert_pending, nil), "expected NotReady, got Ready: nil, the end of file")
  lu.assertStrContains(fails(testing.assert_pending, nil, "EIO: text", "EIO"), "expected NotReady, got Err: EIO: text (EIO)")
  lu.assertStrContains(fails(testing.assert_ready, false), "expected Ready, got NotReady")
  lu.assertStrContains(fails(testing.assert_ready, nil, "EIO: text", "EIO"), "expected Ready, got Err: EIO: text (EIO)")
  lu.assertStrContains(fails(testing.assert_error, "EIO", true), "expected Err (EIO), got Ready: true")
  lu.assertStrContains(fails(testing.assert_error, nil, false), "expected Err, got NotReady")
  lu.assertStrContains(fails(testing.assert_error, "EIO", nil, "EPIPE: text", "EPIPE"),
    "expected Err (EIO), got Err: EPIPE: text (EPIPE)")
end

function M.test_without_a_framework_they_are_errors()
  local result = child.run [[
    local testing = require "asyncwrite.testing"
    print(select(2, pcall(testing.assert_ready, false)))
  ]]
  lu.assertEquals({ result.out, result.err }, { "a poll: expected Ready, got NotReady\n", "" })
end

function M.test_under_busted_they_are_failures_of_the_test()
  local found = child.run [[os.exit(pcall(require, "busted.runner") and 0 or 3)]]
  if found.code ~= 0 then child.skip("busted is not installed for this Lua") end
  local base = os.tmpname()
  local path = base .. ".lua"
  local file = assert(io.open(path, "w"))
  file:write [[
    local testing = require "asyncwrite.testing"
    describe("a poll", function()
      it("fails", function() testing.assert_ready(false) end)
      it("passes", function() testing.assert_pending(false) end)
    end)
  ]]
  file:close()
  local result = child.run(([[
    arg = { [0] = "busted", "--output=TAP", "--pattern=.", %q }
    require "busted.runner" { standalone = false }
  ]]):format(path))
  os.remove(path)
  os.remove(base)
  lu.assertStrContains(result.out, "not ok 1 - a poll fails")
  lu.assertStrContains(result.out, "# Failure message: ")
  lu.assertStrContains(result.out, "expected Ready, got NotReady")
  lu.assertStrContains(result.out, "ok 2 - a poll passes")
end

-- ---- task_harness ----

function M.test_an_operation_goes_on_only_when_it_is_polled()
  local near, far = aw.duplex(2)
  local steps = {}
  local task = testing.task_harness(function(a, b)
    steps[#steps + 1] = a .. b
    local results = { near:write_all("abcde") }
    steps[#steps + 1] = "written"
    return results[1], "and more"
  end, "with ", "arguments")
  lu.assertEquals(steps, {})
  testing.assert_pending(task:poll())
  lu.assertEquals(steps, { "with arguments" })
  lu.assertEquals({ task:waits() }, { "write_all", near, 2 })
  lu.assertFalse(task:is_woken())
  testing.assert_pending(task:poll()) -- for nothing
  lu.assertEquals(far:try_read(), "ab")
  lu.assertTrue(task:is_woken())
  lu.assertTrue(task:is_woken())
  testing.assert_pending(task:poll())
  lu.assertFalse(task:is_woken())
  lu.assertEquals(far:try_read(), "cd")
  lu.assertEquals({ testing.assert_ready(task:poll()) }, { true, "and more" })
  lu.assertTrue(task:is_done())
  lu.assertNil((task:waits()))
  lu.assertEquals(steps, { "with arguments", "written" })
  check.misuse(function() task:poll() end, "poll: the operation has ended: it must not be polled again")
end

function M.test_failures_and_errors_come_out_of_poll()
  local near, far = aw.duplex(2)
  local failing = testing.task_harness(near.write_all, near, "abc")
  testing.assert_pending(failing:poll())
  far:close()
  lu.assertTrue(failing:is_woken())
  lu.assertEquals(select(3, testing.assert_error("EPIPE", failing:poll())), 2)
  local raising = testing.task_harness(function() error("mine") end)
  check.raises(function() raising:poll() end, "mine", "stack traceback")
  lu.assertTrue(raising:is_done())
  local empty = testing.task_harness(function() end)
  lu.assertTrue(empty:poll())
end

function M.test_wakes_do_not_let_it_go_on_in_a_run()
  aw.run(function()
    local near, far = aw.duplex(1)
    local task = testing.task_harness(near.write_all, near, "ab")
    testing.assert_pending(task:poll())
    far:read()
    for _ = 1, 5 do aw.yield() end
    lu.assertFalse(task:is_done())
    lu.assertTrue(task:is_woken())
    lu.assertTrue(task:poll())
    lu.assertEquals(far:read(), "b")
  end)
end

function M.test_timers_of_the_run_wake_it()
  testing.run(function()
    local task = testing.task_harness(function()
      aw.sleep(5)
      return aw.now()
    end)
    testing.assert_pending(task:poll())
    testing.advance(4)
    lu.assertFalse(task:is_woken())
    aw.sleep(1)
    lu.assertTrue(task:is_woken())
    lu.assertEquals(task:poll(), 5)
  end)
end

function M.test_children_are_polled_with_it()
  local near, far = aw.duplex(1)
  local other = aw.duplex(1)
  other:try_write("x")
  local task = testing.task_harness(function()
    return aw.first(function() return other:write("y") end, function() return aw.timeout(60, near.write_all, near, "abc") end)
  end)
  testing.assert_pending(task:poll())
  for _, expected in ipairs { "a", "b" } do
    lu.assertEquals(far:try_read(), expected)
    lu.assertTrue(task:is_woken())
    local again = task:poll()
    if expected == "a" then testing.assert_pending(again) else lu.assertEquals(again, 2) end
  end
  lu.assertTrue(task:is_done())
  lu.assertEquals(far:try_read(), "c")
end

function M.test_a_yield_is_a_wake()
  local task = testing.task_harness(function()
    aw.yield()
    return "after"
  end)
  testing.assert_pending(task:poll())
  lu.assertTrue(task:is_woken())
  lu.assertEquals(task:poll(), "after")
end

function M.test_the_task_that_polls_stays_the_task()
  aw.run(function()
    local near = aw.duplex(1)
    local task = testing.task_harness(near.write_all, near, "ab")
    testing.assert_pending(task:poll())
    local a, b = aw.duplex(1)
    local reader = aw.spawn(function() return b:read_exact(3) end)
    lu.assertTrue(a:write_all("xyz"))
    lu.assertEquals(reader:join(), "xyz")
    check.raises(function() near:poll_write("c") end, "EBUSY")
    task:drop()
    lu.assertFalse(near:poll_write("c"))
  end)
end

function M.test_outside_of_runs_no_task_stays_behind()
  local near = aw.duplex(1)
  local task = testing.task_harness(near.write_all, near, "ab")
  testing.assert_pending(task:poll())
  check.raises(function() near:poll_write("c") end, "not in the context of a task")
  near:close()
  lu.assertTrue(task:is_woken())
  testing.assert_error("ECANCELED", task:poll())
end

function M.test_what_was_made_in_a_run_is_dropped_at_its_end()
  local unwound = 0
  local task
  aw.run(function()
    local near = aw.duplex(1)
    task = testing.task_harness(near.write_all, near, "ab")
    testing.assert_pending(task:poll())
  end)
  lu.assertTrue(task:is_done())
  lu.assertEquals(unwound, 0)
end

function M.test_a_stuck_run_does_not_count_it_as_waiting()
  local text = check.raises(function()
    aw.run(function()
      local near = aw.duplex(1)
      testing.task_harness(near.write_all, near, "ab"):poll()
      aw.notify():notified()
    end)
  end, "nothing can wake them")
  lu.assertNotStrContains(text, "write_all")
end

M.test_misuse_is_named = check.misuses {
  function() testing.task_harness(5) end, "bad argument #1 'f' to 'task_harness' (function expected, got number)",
  function() testing.waker():poll(aw.sink(), "poll_rite") end,
  "bad argument #2 'method' to 'poll' (the name of a poll expected, got poll_rite)",
  function() testing.assert_error(5, nil) end, "bad argument #1 'code' to 'assert_error' (string or nil expected, got number)",
}

-- ---- The module ----

function M.test_asyncwrite_loads_nothing_of_it()
  local result = child.run [[
    require "asyncwrite"
    for name in pairs(package.loaded) do if name:find("testing", 1, true) then print(name) end end
  ]]
  lu.assertEquals({ result.out, result.err }, { "", "" })
end

function M.test_an_unknown_field_is_nil()
  lu.assertNil(testing.no_such_thing)
end

return M
