-- SPDX-License-Identifier: MIT
-- task_harness: an operation that is polled by hand, as tokio_test::task::spawn. It is a task like any other, but only
-- poll() lets it go on; a wake is noted. What it runs in timeout, first or all is polled with it.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"
local watch = require "asyncwrite.testing.watch"
local unpack = table.unpack or unpack

local Harness = {}
Harness.__index = Harness

-- It was woken; so is the task that it is part of.
local function note(task)
  task.woken = true
  if task.parent then note(task.parent) end
end

-- Takes the wakes of a task and its children off the ready list.
local function take_wakes(task)
  if core.take_wake(task.handle) then note(task) end
  for child in pairs(task.children or {}) do take_wakes(child) end
end

local function go_on(task, ...)
  task.woken = false
  task.handle:enter()
  task.handle:refill()
  executor.step(task, ...)
end

local function by_age(a, b) return a.age < b.age end

-- The children that were woken, in the order in which they were seen first.
local function poll_children(self, task)
  local list = {}
  for child in pairs(task.children or {}) do
    self.ages = self.ages + 1
    child.age = child.age or self.ages
    list[#list + 1] = child
  end
  table.sort(list, by_age)
  for _, child in ipairs(list) do
    poll_children(self, child)
    if child.woken and not child.done then go_on(child) end
  end
end

local function results_of(task)
  if task.failed then error(task.err, 0) end
  if task.cancelled then return nil, "ECANCELED: the task was cancelled", "ECANCELED" end
  if task.results.n == 0 then return true end
  return unpack(task.results, 1, task.results.n)
end

--- Lets the operation go on until it waits or ends. false: it waits; else its results (true if it has none). Its error is
--- raised. Once it has ended it may not be polled again.
function Harness:poll()
  local task, outer = self.task, executor.current()
  if task.done then core.raise("poll", "the operation has ended: it must not be polled again") end
  if self.busy then core.raise("poll", "the operation is being polled already") end
  self.busy = true
  take_wakes(task)
  poll_children(self, task)
  core.take_wake(task.handle) -- a child that has just ended wakes it for this very poll
  local args = self.args
  self.args = nil
  if args then
    task.started = true
    go_on(task, unpack(args, 1, args.n))
  else
    go_on(task)
  end
  self.busy = false
  if outer then outer.handle:enter() else core.leave() end
  if task.done then return results_of(task) end
  return false
end

--- Was it woken since the last poll?
function Harness:is_woken()
  if self.task.done then return false end
  take_wakes(self.task)
  return self.task.woken == true
end

function Harness:is_done() return self.task.done == true end

--- What it waits in: the operation's name, the stream, and how many bytes were accepted; nil while it does not wait.
function Harness:waits()
  local task = self.task
  if task.done then return nil end
  return executor.waits(task)
end

--- Drops the operation where it waits, as a cancel does.
function Harness:drop()
  self.task.joined = true
  executor.drop(self.task)
end

function Harness:__tostring() return tostring(self.task) end

--- f(...) as a task that is polled by hand, in a run or outside. What was made in a run is dropped at its end.
return function(f, ...)
  if type(f) ~= "function" then core.arg_error("task_harness", 1, "f", "function expected, got " .. type(f)) end
  if executor.host().start then
    core.raise("task_harness", ("tasks of the host '%s' cannot be polled by hand"):format(executor.host().name))
  end
  local task = executor.new(f)
  task.joined, task.by_hand, task.woken = true, note, false
  local self = setmetatable({ task = task, args = { n = select("#", ...), ... }, ages = 0 }, Harness)
  if executor.current() then
    watch.add { unfinished = function() self:drop() end }
  end
  return self
end
