-- SPDX-License-Identifier: MIT
-- run, spawn, join, cancel: the life of a task.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local raises, misuse, fails, in_task, settle = check.raises, check.misuse, check.fails, check.in_task, check.settle
local T = {}

-- ---- run ----

function T.test_run_returns_all_results_of_its_function_and_hands_arguments_in()
  local results = { aw.run(function(...) return select("#", ...), ... end, "a", nil, "c", nil) }
  lu.assertEquals(select("#", (table.unpack or unpack)(results, 1, 5)), 5)
  lu.assertEquals({ results[1], results[2], results[3], results[4], results[5] }, { 4, "a", nil, "c", nil })
end

function T.test_run_ends_only_when_every_task_has_ended()
  local ended = {}
  local result = aw.run(function()
    aw.spawn(function()
      aw.sleep(0.02)
      ended[#ended + 1] = "late"
      aw.spawn(function()
        aw.yield()
        ended[#ended + 1] = "later"
      end)
    end)
    return "main"
  end)
  lu.assertEquals(result, "main")
  lu.assertEquals(ended, { "late", "later" })
end

function T.test_run_raises_the_error_of_its_function_with_the_traceback_of_the_task()
  local text = raises(function()
    aw.run(function()
      local function the_culprit() error("broken") end
      the_culprit()
      return 1
    end)
  end, "task_spec.lua:", "broken", "stack traceback:", "the_culprit")
  local _, tracebacks = text:gsub("stack traceback:", "")
  lu.assertEquals(tracebacks, 1)
end

function T.test_run_hands_on_an_error_that_is_no_string_as_it_is()
  local problem = {}
  local ok, err = pcall(aw.run, function() error(problem) end)
  lu.assertFalse(ok)
  lu.assertIs(err, problem)
end

function T.test_an_error_of_the_main_task_drops_the_other_tasks()
  local went_on, other = false, nil
  raises(function()
    aw.run(function()
      other = aw.spawn(function()
        aw.sleep(30)
        went_on = true
      end)
      aw.yield()
      error("enough")
    end)
  end, "enough")
  lu.assertFalse(went_on)
  lu.assertTrue(other:is_done())
  lu.assertEquals(aw.run(function() return "a later run works" end), "a later run works")
end

function T.test_run_inside_a_task_raises()
  local f = function() aw.run(function() end) end
  in_task(function() misuse(f, "run: already running; use spawn") end)()
end

function T.test_run_inside_a_coroutine_of_a_task_raises()
  in_task(function()
    local co = coroutine.create(function() aw.run(function() end) end)
    local ok, message = coroutine.resume(co)
    lu.assertFalse(ok)
    lu.assertStrContains(message, "already running")
  end)()
end

function T.test_run_after_run_starts_afresh()
  for i = 1, 3 do
    lu.assertEquals(aw.run(function()
      aw.sleep(0)
      return i
    end), i)
  end
end

function T.test_tasks_spawned_before_run_are_run_by_it()
  local seen = {}
  local early = aw.spawn(function(x) seen[#seen + 1] = x end, "early")
  lu.assertFalse(early:is_done())
  aw.run(function() seen[#seen + 1] = "main" end)
  lu.assertTrue(early:is_done())
  lu.assertEquals(seen, { "early", "main" })
end

-- ---- spawn, join, name ----

T.test_spawn_runs_the_task_when_its_maker_waits_and_not_before = in_task(function()
  local order = {}
  local task = aw.spawn(function() order[#order + 1] = "task" end)
  order[#order + 1] = "maker"
  lu.assertFalse(task:is_done())
  task:join()
  lu.assertTrue(task:is_done())
  lu.assertEquals(order, { "maker", "task" })
end)

T.test_tasks_start_in_the_order_in_which_they_were_spawned = in_task(function()
  local order = {}
  for i = 1, 200 do aw.spawn(function() order[i] = #order + 1 end) end
  settle()
  lu.assertEquals(#order, 200)
  for i = 1, 200 do lu.assertEquals(order[i], i) end
end)

T.test_join_returns_all_results_also_nils_also_again_and_to_several_joiners = in_task(function()
  local task = aw.spawn(function(...)
    aw.sleep(0.005)
    return ..., "end"
  end, nil, 2)
  local joiners, got = {}, {}
  for i = 1, 3 do joiners[i] = aw.spawn(function() got[i] = { task:join() } end) end
  for i = 1, 3 do joiners[i]:join() end
  local function expect(...)
    lu.assertEquals(select("#", ...), 2)
    lu.assertEquals({ ... }, { nil, "end" })
  end
  expect(task:join())
  expect(task:join())
  for i = 1, 3 do lu.assertEquals(got[i], { nil, "end" }) end
end)

T.test_join_raises_the_error_with_the_traceback_of_the_task_that_failed = in_task(function()
  local task = aw.spawn(function()
    local function deep() error("lost the thread") end
    aw.yield()
    deep()
    return 1
  end)
  for _ = 1, 2 do
    raises(function() task:join() end, "task_spec.lua:", "lost the thread", "stack traceback:", "deep'")
  end
end)

T.test_a_task_that_joins_itself_raises = in_task(function()
  local task
  task = aw.spawn(function() task:join() end)
  raises(function() task:join() end, "join: a task cannot join itself")
end)

T.test_a_name_is_the_given_one_or_the_place_of_the_function = in_task(function()
  local named = aw.spawn("reader", function() end)
  local line = debug.getinfo(1, "l").currentline + 1
  local unnamed = aw.spawn(function() end)
  lu.assertEquals(named:name(), "reader")
  lu.assertStrContains(unnamed:name(), "task_spec.lua:" .. line)
  lu.assertEquals(tostring(named), "task 'reader' (ready)")
  settle()
  lu.assertEquals(tostring(named), "task 'reader' (done)")
end)

T.test_tostring_of_a_task_says_what_it_waits_for_and_how_it_ended = in_task(function()
  local sleeper = aw.spawn("sleeper", function() aw.sleep(30) end)
  local broken = aw.spawn("broken", function() error("x") end)
  pcall(broken.join, broken)
  lu.assertEquals(tostring(sleeper), "task 'sleeper' (waits in sleep)")
  lu.assertEquals(tostring(broken), "task 'broken' (failed)")
  sleeper:cancel()
  lu.assertEquals(tostring(sleeper), "task 'sleeper' (cancelled)")
end)

-- ---- errors nobody joins ----

function T.test_an_error_that_nobody_joins_makes_run_fail()
  local ok, err = check.quiet(pcall, aw.run, function()
    aw.spawn("lonely", function() error("unheard") end)
    aw.sleep(0.01)
    return "main is fine"
  end)
  lu.assertFalse(ok)
  lu.assertStrContains(err, "run: 1 task(s) failed that nobody joined; the first was 'lonely':")
  lu.assertStrContains(err, "unheard")
  lu.assertStrContains(err, "stack traceback:")
end

function T.test_an_error_that_nobody_joins_is_reported_once_on_stderr()
  local result = child.run [[
    local aw = require "asyncwrite"
    local ok = pcall(aw.run, function()
      aw.spawn("lonely", function() error("unheard") end)
      for _ = 1, 5 do aw.sleep(0.002) end
    end)
    print(ok)
    aw.run(function() aw.sleep(0) end) -- a later run does not speak of it again
  ]]
  lu.assertEquals(result.out, "false\n")
  local _, reports = result.err:gsub("task 'lonely' failed", "")
  lu.assertEquals(reports, 1, result.err)
  lu.assertStrContains(result.err, "unheard")
  lu.assertStrContains(result.err, "stack traceback:")
  lu.assertEquals(result.code, 0)
end

function T.test_a_script_whose_run_failed_ends_with_an_exit_code()
  local result = child.run [[require("asyncwrite").run(function() error("no luck") end)]]
  lu.assertEquals(result.code, 1)
  lu.assertStrContains(result.err, "no luck")
end

function T.test_an_error_that_is_joined_is_not_reported()
  child.check [[
    local aw = require "asyncwrite"
    aw.run(function()
      local task = aw.spawn(function()
        aw.yield()
        error("expected")
      end)
      assert(not pcall(task.join, task))
    end)
  ]]
end

function T.test_a_failed_task_that_is_joined_late_does_not_make_run_fail()
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.run(function()
      local task = aw.spawn(function() error("expected") end)
      aw.sleep(0.01)
      assert(not pcall(task.join, task))
    end)
    print "fine"
  ]]
  lu.assertEquals(result.out, "fine\n", result.err)
end

-- ---- cancel ----

T.test_a_cancelled_task_never_runs_again = in_task(function()
  local steps = 0
  local task = aw.spawn(function()
    while true do
      steps = steps + 1
      aw.yield()
    end
  end)
  settle()
  local before = steps
  lu.assertTrue(before > 0)
  task:cancel()
  settle()
  lu.assertEquals(steps, before)
  lu.assertTrue(task:is_done())
  fails("ECANCELED", task:join())
end)

T.test_a_task_cancelled_before_it_started_never_starts = in_task(function()
  local started = false
  local task = aw.spawn(function() started = true end)
  task:cancel()
  settle()
  lu.assertFalse(started)
  fails("ECANCELED", task:join())
end)

T.test_cancel_wakes_who_joins = in_task(function()
  local task = aw.spawn(function() aw.sleep(30) end)
  local joiner = aw.spawn(function() return task:join() end)
  settle()
  task:cancel()
  fails("ECANCELED", joiner:join())
end)

T.test_cancel_of_an_ended_task_changes_nothing = in_task(function()
  local task = aw.spawn(function() return "result" end)
  task:join()
  task:cancel()
  lu.assertEquals(task:join(), "result")
end)

T.test_a_task_that_cancels_itself_ends_at_its_next_wait = in_task(function()
  local steps, task = {}, nil
  task = aw.spawn(function()
    steps[#steps + 1] = "before"
    task:cancel()
    steps[#steps + 1] = "still running"
    aw.yield()
    steps[#steps + 1] = "never"
  end)
  fails("ECANCELED", task:join())
  lu.assertEquals(steps, { "before", "still running" })
end)

T.test_cancel_drops_what_the_task_runs_inside_timeout_first_and_all = in_task(function()
  local went_on, started = 0, 0
  local function body()
    started = started + 1
    aw.sleep(0.02)
    went_on = went_on + 1
  end
  local tasks = {
    aw.spawn(function() aw.timeout(10, body) end),
    aw.spawn(function() aw.first(body, body) end),
    aw.spawn(function() aw.all(body, body) end),
  }
  settle()
  lu.assertEquals(started, 5)
  for _, task in ipairs(tasks) do task:cancel() end
  aw.sleep(0.05)
  lu.assertEquals(went_on, 0)
end)

T.test_a_cancelled_wait_frees_its_slot_and_took_nothing = in_task(function()
  local a, b = aw.duplex(4)
  a:write_all("full")
  local task = aw.spawn(function() a:write("cancelled") end)
  settle()
  task:cancel()
  lu.assertEquals(b:read_exact(4), "full")
  lu.assertEquals(a:write("next"), 4)
  lu.assertEquals(b:read_exact(4), "next")
end)

T.test_a_task_inside_timeout_may_cancel_the_task_that_runs_it = in_task(function()
  local outer, after_cancel, never
  outer = aw.spawn(function()
    aw.timeout(10, function()
      aw.yield()
      outer:cancel()
      after_cancel = true
      aw.yield()
      never = true
    end)
    never = true
  end)
  fails("ECANCELED", outer:join())
  settle()
  lu.assertTrue(after_cancel)
  lu.assertNil(never)
end)

T.test_tasks_that_cancel_each_other_end = in_task(function()
  local a, b
  a = aw.spawn(function()
    aw.yield()
    b:cancel()
    aw.sleep(30)
  end)
  b = aw.spawn(function()
    aw.yield()
    aw.yield()
    a:cancel()
    aw.sleep(30)
  end)
  settle()
  lu.assertTrue(b:is_done())
  a:cancel()
  fails("ECANCELED", a:join())
end)

function T.test_a_cancelled_sleeper_does_not_keep_run_going()
  local before = aw.now()
  aw.run(function()
    local task = aw.spawn(function() aw.sleep(100) end)
    aw.yield()
    task:cancel()
  end)
  lu.assertTrue(aw.now() - before < 50)
end

return T
