-- SPDX-License-Identifier: MIT
-- W11-W14 and P11: wakers and polls as the tasks around them see it.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

local BUDGET = 128      -- ready polls in a row
local ENDLESS = 1000000 -- more of them than any loop may go without a turn

-- ---- P11 ----

local POLLS = { { "poll_write", "x" }, { "poll_write_vectored", { "x" } }, { "poll_flush" }, { "poll_shutdown" } }
local WAITS = { { "write", "x" }, { "write_all", "x" }, { "write_all_vectored", { "x" } }, { "flush" }, { "shutdown" } }

local function raises_outside(t, calls)
  for _, call in ipairs(calls) do
    check.raises({ call[1], "not in the context of a task" }, call[1] .. " outside a task", t.w[call[1]], t.w, call[2])
  end
  if t.r then check.raises({ "poll_read", "not in the context" }, "poll_read outside a task", t.r.poll_read, t.r) end
end

clause("P11", "a_poll_in_a_coroutine_of_its_own_raises", {}, function(t)
  t:keep_ready() -- neither the task that runs nor one that is ready stands in for the coroutine
  aw.yield()
  local co = coroutine.create(function()
    raises_outside(t, POLLS)
    raises_outside(t, WAITS)
    return "done"
  end)
  local ok, result = coroutine.resume(co)
  check.ok(ok, result)
  check.equal(result, "done", "the coroutine")
  if not t.kind.random then check.equal(t.w:try_write("x"), 1, "try_write in it") end
end)

clause("P11", "a_poll_outside_of_run_raises", {}, function(t)
  t.after_run = function()
    raises_outside(t, POLLS)
    raises_outside(t, WAITS)
    if not t.kind.random then check.equal(t.w:try_write("x"), 1, "try_write outside a task") end
  end
end)

-- ---- W12 ----

clause("W12", "a_task_that_never_waits_lets_others_run", { "!behind" }, function(t)
  local others = 0
  t:read_on()
  t:keep_ready(function() others = others + 1 end)
  aw.yield()
  local seen, since = others, 0
  for _ = 1, 1000 do
    t:book("x", check.count("x", t.w:write("x")))
    since = since + 1
    if others ~= seen then seen, since = others, 0 end
    check.ok(since <= BUDGET, since .. " writes and nobody else ran")
  end
  t:finish()
end)

clause("W12", "after_128_ready_polls_comes_a_pending_with_its_wake", { "!full", "!random", "!behind" }, function(t)
  t:keep_ready()
  aw.yield() -- a fresh budget, and somebody else is ready
  local n = 0
  while n < ENDLESS and t.w:poll_write("x") do n = n + 1 end
  check.equal(n, BUDGET, "ready polls in a row")
  aw.park("test", t.w) -- stuck, unless the poll woke the task itself
  check.equal(t.w:poll_write("x"), 1, "a poll on a new budget")
end)

clause("W12", "a_task_that_is_alone_lets_the_loop_turn", { "!full", "!random", "!behind" }, function(t)
  local n = 0
  while n < ENDLESS and t.w:poll_write("x") do n = n + 1 end
  check.ok(n >= BUDGET - 1 and n < ENDLESS, n .. " ready polls in a row")
  aw.park("test", t.w)
end)

clause("W12", "pending_polls_cost_nothing", { "full", "!late" }, function(t)
  t:fill()
  t:keep_ready()
  aw.yield() -- a fresh budget, and somebody else is ready
  for _ = 1, 3 * BUDGET do check.equal(t.w:poll_write("x"), false, "poll_write with no room") end
  check.equal(aw.memory():poll_write("x"), 1, "a write to something else after many pending polls")
end)

-- ---- W13 ----

clause("W13", "a_cancelled_wait_frees_its_slot_at_once", { "full" }, function(t)
  local chunk = D.text(t.kind.fd and 4000000 or 10000)
  for _, how in ipairs { "cancel", "timeout", "first", "parent" } do
    t:fill()
    local big = aw.cursor(chunk) -- tells what was accepted until it was cut
    local function op() return t.w:write_all_buf(big) end
    if how == "cancel" then
      local task = t:spawn(op)
      aw.yield()
      task:cancel()
      check.ok(task:is_done(), "the task is not done")
      check.fails("ECANCELED", "join of a cancelled task", task:join())
    elseif how == "timeout" then
      check.fails("ETIMEDOUT", "write_all_buf", aw.timeout(0.001, op))
    elseif how == "first" then
      aw.first(op, aw.yield)
    else
      local task = t:spawn(function() return aw.timeout(1000, op) end)
      aw.yield()
      task:cancel()
    end
    t:book(chunk, big:position())
    local n = select(2, D.poll(t.w, "poll_write", "x")) -- EBUSY would be raised
    if n then t:book("x", n) end
  end
  t:read_on()
  t:put("after it")
  t:finish()
end)

clause("W13", "a_cancelled_task_lets_go_of_what_it_held", { "full" }, function(t)
  local weak = setmetatable({}, { __mode = "v" })
  t:fill()
  local function start_and_cancel() -- a function of its own, so that nothing stays on the stack
    local held = { "held" }
    weak[1] = held
    local task = aw.spawn(function()
      t.w:write_all(D.text(10))
      return held
    end)
    aw.yield()
    task:cancel()
  end
  start_and_cancel()
  aw.yield()
  collectgarbage()
  collectgarbage()
  check.ok(weak[1] == nil, "what the task held is still there")
end)

clause("W13", "a_wake_for_a_cancelled_task_comes_to_nothing", { "full", "!fd" }, function(t)
  t:fill()
  local task = t:spawn(function()
    t.w:write_all(D.text(10))
    error("it ran on", 0)
  end)
  aw.yield()
  task:cancel()
  t:read_on()
  aw.yield()
  aw.yield()
  t:finish()
end)

-- ---- W14 ----

clause("W14", "a_wake_never_resumes_inside_the_operation_that_woke", { "full", "!fd" }, function(t)
  local order = {}
  t:fill()
  t:spawn(function()
    t.w:write("x")
    order[#order + 1] = "the writer ran"
  end)
  aw.yield()
  for _ = 1, 20 do D.poll(t.peer, "poll_read") end
  order[#order + 1] = "the reads returned"
  t:run_until(function() return #order == 2 end, "the other task")
  check.list(order, { "the reads returned", "the writer ran" }, "order")
end)

clause("W14", "a_write_never_runs_the_reader_it_woke", { "peer", "!fd", "!random" }, function(t)
  local order = {}
  t:spawn(function()
    t.peer:read()
    order[#order + 1] = "the reader ran"
  end)
  aw.yield()
  t:put("x")
  D.poll(t.w, "poll_flush")
  order[#order + 1] = "the write returned"
  t:run_until(function() return #order == 2 end, "the other task")
  check.list(order, { "the write returned", "the reader ran" }, "order")
end)
