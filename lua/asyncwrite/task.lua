-- SPDX-License-Identifier: MIT
-- Tasks as users see them: run, spawn, join, cancel, timeout, first, all.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"

local Task, current, need_task, park, drop =
  executor.Task, executor.current, executor.need_task, executor.park, executor.drop
local unpack = table.unpack or unpack

local M = {
  CANCELLED = executor.CANCELLED,
  current = current, need_task = need_task, park = park,
}

--- A method of a class in Lua was called on something else.
function M.bad_self(self, op, name) core.arg_error(op, 0, "self", ("%s expected, got %s"):format(name, type(self))) end

local bad_self = M.bad_self

local background = { left = 0 } -- the group of tasks that were spawned outside any task

--- Starts f(...) as a task; it runs when the caller waits. spawn("name", f, ...) names it.
function M.spawn(name, f, ...)
  if type(name) == "function" then return M.spawn("", name, f, ...) end
  if type(name) ~= "string" then core.arg_error("spawn", 1, "f", "function expected, got " .. type(name)) end
  if type(f) ~= "function" then core.arg_error("spawn", 2, "f", "function expected, got " .. type(f)) end
  local spawner = executor.real_current()
  local task = executor.new(f, name ~= "" and name or nil, spawner and spawner.group or background)
  executor.start_later(task, f, ...)
  return task
end

-- A child lives inside its parent: it is dropped with it. It starts at once, on the parent's budget.
local function start_child(op, parent, f, ...)
  local child = executor.new(f, nil, parent.group)
  child.joined, child.parent, child.joiners, child.by_hand = true, parent, { parent }, parent.by_hand
  parent.children = parent.children or {}
  parent.children[child] = true
  executor.start_now(op, parent, child, f, ...)
  return child
end

local function outcome(task)
  if task.failed then error(task.err, 0) end
  if task.cancelled then return nil, "ECANCELED: the task was cancelled", "ECANCELED" end
  return unpack(task.results, 1, task.results.n)
end

--- Waits for the task's end: its results; its error, raised with its traceback; nil, message, "ECANCELED".
function Task:join()
  if getmetatable(self) ~= Task then bad_self(self, "join", "task") end
  self.joined = true
  if not self.done then
    local task = need_task("join")
    if task == self then core.raise("join", "a task cannot join itself") end
    self.joiners = self.joiners or {}
    self.joiners[#self.joiners + 1] = task
    task.cleanup = function()
      local joiners = self.joiners or {}
      for i = #joiners, 1, -1 do
        if joiners[i] == task then table.remove(joiners, i) end
      end
    end
    while not self.done do park("join", self) end
    task.cleanup = nil
  end
  return outcome(self)
end

--- Drops the task now, or at its next wait when it is running.
function Task:cancel()
  if getmetatable(self) ~= Task then bad_self(self, "cancel", "task") end
  self.joined = true
  drop(self)
end

function Task:is_done()
  if getmetatable(self) ~= Task then bad_self(self, "is_done", "task") end
  return self.done == true
end

function Task:name()
  if getmetatable(self) ~= Task then bad_self(self, "name", "task") end
  if self.label then return self.label end
  local info = self.f and debug.getinfo(self.f, "S")
  return info and ("%s:%d"):format(info.short_src, info.linedefined) or "?"
end

function Task:__tostring()
  local op = not self.done and executor.waits(self)
  local state = self.failed and "failed" or self.cancelled and "cancelled" or self.done and "done"
    or op and "waits in " .. op or "ready"
  return ("task '%s' (%s)"):format(self:name(), state)
end

--- Lets other tasks and the loop run.
function M.yield()
  need_task("yield").handle:wake()
  park("yield")
end

--- Waits for seconds (a float; 0 is yield).
function M.sleep(seconds)
  need_task("sleep")
  local timer = core.timer(seconds)
  if timer:poll() then return M.yield() end
  repeat park("sleep") until timer:poll()
  timer:free()
end

local function check_functions(op, ...)
  for i = 1, select("#", ...) do
    local f = select(i, ...)
    if type(f) ~= "function" then core.arg_error(op, i, "f", "function expected, got " .. type(f)) end
  end
end

-- Parks a task that has children; where it cannot wait they are dropped, as nobody would ever look after them.
local function park_with(children, op, on, accepted)
  local ok, err = pcall(park, op, on, accepted)
  if ok then return end
  for i = 1, #children do drop(children[i]) end
  error(err, 0)
end

--- f(...) under a deadline. Its results; or nil, message, "ETIMEDOUT", and how many bytes the operation that was cut
--- had accepted. f is polled first: what is ready beats a deadline that has passed.
function M.timeout(seconds, f, ...)
  local task = need_task("timeout")
  if type(f) ~= "function" then core.arg_error("timeout", 2, "f", "function expected, got " .. type(f)) end
  local timer = core.timer(seconds, "timeout")
  local child, waited = start_child("timeout", task, f, ...), false
  while not child.done do
    if timer:poll() then
      local accepted = executor.accepted(child)
      drop(child)
      if not waited then M.yield() end -- a loop of these must let the others run (W12)
      return nil, "ETIMEDOUT: connection timed out", "ETIMEDOUT", accepted
    end
    waited = true
    park_with({ child }, "timeout", child, executor.accepted(child))
  end
  timer:free()
  return outcome(child)
end

--- Runs all functions until the first ends: its number and results. The others are dropped.
function M.first(...)
  local task = need_task("first")
  check_functions("first", ...)
  local children, n = {}, select("#", ...)
  if n == 0 then core.raise("first", "no function given") end
  local winner
  for i = 1, n do
    children[i] = start_child("first", task, (select(i, ...)))
    if children[i].done then
      winner = i
      break
    end
  end
  while not winner do
    park_with(children, "first")
    for i = 1, n do
      if children[i].done then
        winner = i
        break
      end
    end
  end
  for i = 1, #children do drop(children[i]) end
  return winner, outcome(children[winner])
end

--- Runs all functions to their end: the first result of each. An error in one drops the others and is raised.
function M.all(...)
  local task = need_task("all")
  check_functions("all", ...)
  local children, results, n = {}, {}, select("#", ...)
  for i = 1, n do children[i] = start_child("all", task, (select(i, ...))) end
  local left = true
  while left do
    left = false
    for i = 1, n do
      if children[i].failed then
        for k = 1, n do drop(children[k]) end
        outcome(children[i])
      end
      left = left or not children[i].done
    end
    if left then park_with(children, "all") end
  end
  for i = 1, n do results[i] = (outcome(children[i])) end
  return unpack(results, 1, n)
end

-- An error with what asyncwrite.testing has to say at the end of a run: what scripted streams met need not have come
-- through the code that is tested.
local function with_report(err, report)
  if err == nil then return report end
  if report == nil or type(err) == "string" and err:find(report, 1, true) then return err end
  if type(err) == "string" then return err .. "\n" .. report end
  executor.warn(report)
  return err
end

--- Runs f(...) as the main task until it and every task spawned by it, or before it, has ended. Returns f's results;
--- raises f's error, the error of a task that nobody joined, or the names of all tasks when nothing can wake them.
function M.run(f, ...)
  if type(f) ~= "function" then core.arg_error("run", 1, "f", "function expected, got " .. type(f)) end
  if executor.real_current() then core.raise("run", "already running; use spawn") end
  local host = executor.host()
  if host.check then host.check("run") end
  local group = { left = 0 }
  if not host.start then -- where there are threads, others' tasks may be of other requests
    group, background = background, group
  end
  group.runs = true
  local main = executor.new(f, "main", group)
  main.joined = true
  local ok, stuck = pcall(host.run, main, group, f, ...)
  if not ok or stuck or main.failed then executor.drop_group(group) end
  local lost = executor.unjoined(group)
  local report = executor.at_end and executor.at_end(group, (main.failed or not ok or lost) and "failed" or stuck and "stuck")
  if main.failed then error(with_report(main.err, report), 0) end
  if not ok then error(with_report(stuck, report), 0) end
  if stuck then core.raise("run", with_report(stuck, report)) end
  lost = with_report(lost, report)
  if lost then error(lost, 0) end
  return outcome(main)
end

M.count = executor.count

return M
