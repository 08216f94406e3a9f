-- SPDX-License-Identifier: MIT
-- What needs Lua 5.4: to-be-closed variables of tasks that are dropped, of guards and of writers.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local in_task, settle = check.in_task, check.settle
local T = {}

local function on_close(f) return setmetatable({}, { __close = f }) end

T.test_cancel_runs_the_to_be_closed_variables_innermost_first = in_task(function()
  local log = {}
  local task = aw.spawn(function()
    local outer <close> = on_close(function() log[#log + 1] = "outer" end) -- luacheck: ignore
    local inner <close> = on_close(function() log[#log + 1] = "inner" end) -- luacheck: ignore
    aw.sleep(30)
    log[#log + 1] = "never"
  end)
  settle()
  task:cancel()
  lu.assertEquals(log, { "inner", "outer" })
end)

T.test_a_timeout_runs_the_to_be_closed_variables_before_it_returns = in_task(function()
  local closed = false
  check.fails("ETIMEDOUT", aw.timeout(0.005, function()
    local _ <close> = on_close(function() closed = true end)
    aw.sleep(30)
  end))
  lu.assertTrue(closed)
end)

T.test_first_closes_the_losers_before_it_returns = in_task(function()
  local closed = {}
  local function loser(name)
    return function()
      local _ <close> = on_close(function() closed[name] = true end)
      aw.sleep(30)
    end
  end
  lu.assertEquals({ aw.first(loser "a", loser "b", function()
    aw.sleep(0.002)
    return "won"
  end) }, { 3, "won" })
  lu.assertEquals(closed, { a = true, b = true })
end)

T.test_an_error_runs_the_to_be_closed_variables_of_the_task_and_of_its_children = in_task(function()
  local closed = {}
  local task = aw.spawn(function()
    local _ <close> = on_close(function(_, e) closed.own = e ~= nil end)
    aw.all(function()
      local _ <close> = on_close(function() closed.child = true end)
      aw.sleep(30)
    end, function()
      aw.yield()
      error("broken")
    end)
  end)
  check.raises(function() task:join() end, "broken")
  lu.assertEquals(closed, { own = true, child = true })
end)

T.test_waiting_in_a_to_be_closed_variable_of_a_dropped_task_is_reported_and_the_others_still_run = in_task(function()
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.run(function()
      local closed = false
      local task = aw.spawn(function()
        local outer <close> = setmetatable({}, { __close = function() closed = true end })
        local inner <close> = setmetatable({}, { __close = function() aw.sleep(1) end })
        aw.sleep(30)
      end)
      aw.yield()
      task:cancel()
      print(closed, task:is_done())
    end)
    print "end"
  ]]
  lu.assertEquals(result.out, "true\ttrue\nend\n", result.err)
  lu.assertStrContains(result.err, "sleep:")
end)

T.test_a_writer_as_to_be_closed_variable_is_closed_and_its_peer_sees_it = in_task(function()
  local far
  do
    local near <close>, other = aw.duplex(8)
    far = other
    near:write_all("bye")
  end
  lu.assertEquals(far:read(), "bye")
  lu.assertNil((far:read()))
  check.fails("EPIPE", far:write("x"))
end)

T.test_a_writer_moved_into_a_wrapper_survives_its_to_be_closed_variable = in_task(function()
  local w
  do
    local inner <close> = aw.memory()
    w = aw.buf_writer(inner)
  end
  w:write_all("still here")
  lu.assertTrue(w:flush())
  lu.assertEquals(w:contents(), "still here")
end)

T.test_a_guard_as_to_be_closed_variable_unlocks_also_on_cancel = in_task(function()
  local mutex = aw.mutex()
  local holder = aw.spawn(function()
    local _ <close> = mutex:lock()
    aw.sleep(30)
  end)
  settle()
  lu.assertTrue(mutex:is_locked())
  holder:cancel()
  lu.assertFalse(mutex:is_locked())
  do
    local _ <close> = mutex:lock()
    lu.assertTrue(mutex:is_locked())
  end
  lu.assertFalse(mutex:is_locked())
end)

T.test_the_handler_of_a_dropped_task_may_use_what_does_not_wait = in_task(function()
  local w = aw.memory()
  local task = aw.spawn(function()
    local _ <close> = on_close(function() w:try_write("closed") end)
    aw.sleep(30)
  end)
  settle()
  task:cancel()
  lu.assertEquals(w:contents(), "closed")
end)

T.test_Y_waiting_is_possible_in_a_to_be_closed_variable_of_a_running_task = in_task(function()
  local w = aw.memory()
  do
    local _ <close> = on_close(function()
      aw.sleep(0.001)
      w:write_all("flushed")
    end)
  end
  lu.assertEquals(w:contents(), "flushed")
end)

return T
