-- SPDX-License-Identifier: MIT
-- Tasks: coroutines that wait on polls. C says which are ready, this file resumes them; nothing here knows of writers.

local core = require "asyncwrite.core"
core.library()

local create, resume, status, running, yield =
  coroutine.create, coroutine.resume, coroutine.status, coroutine.running, coroutine.yield
local isyieldable = coroutine.isyieldable
local close_coroutine = coroutine.close -- Lua 5.4
local unpack = table.unpack or unpack
local next_ready, turn, pending = core.next_ready, core.turn, core.pending

local M = {}
local Task = {}
Task.__index = Task

local PARK = {}                                      -- what a parked task yields
local CANCELLED = setmetatable({}, { __tostring = function() return "asyncwrite: task cancelled" end })
local BATCH = 64                                     -- resumes between two turns of the loop, if so many are not ready
local by_thread = setmetatable({}, { __mode = "k" }) -- coroutine -> task
local live, nlive = {}, 0                            -- every task that has not ended
local failures = {}                                  -- tasks that failed while nobody was joining them
local driving = false

M.CANCELLED = CANCELLED

local function pack(...) return { n = select("#", ...), ... } end

local function current() return by_thread[running()] end
M.current = current

--- The task of the calling coroutine, or an error that names the operation.
local function need_task(op)
  local task = current()
  if not task then core.raise(op, "not in the context of a task") end
  return task
end
M.need_task = need_task

-- The first line of a task outside the library, for reports.
local function source_line(co)
  for level = 0, 50 do
    local info = debug.getinfo(co, level, "Sl")
    if not info then return "?" end
    if info.currentline > 0 and not core.is_library(info.source) then
      return info.short_src .. ":" .. info.currentline
    end
  end
  return "?"
end

local function describe(task)
  local what = task.op or "nothing: it yielded by itself"
  local on = task.on and " on " .. tostring(task.on) or ""
  return ("task '%s' waits in %s%s at %s"):format(task:name(), what, on, source_line(task.co))
end

local function finish(task)
  task.done = true
  live[task] = nil
  nlive = nlive - 1
  task.handle:finish()
  local joiners, finally = task.joiners, task.finally
  task.joiners, task.finally, task.cleanup, task.op, task.on = nil, nil, nil, nil, nil
  if task.parent and task.parent.children then task.parent.children[task] = nil end
  if finally then finally() end
  if joiners then
    for i = 1, #joiners do joiners[i].handle:wake() end
  end
end

local function warn(text) io.stderr:write("asyncwrite: ", text, "\n") end

local drop

local function drop_children(task)
  if not task.children then return end
  local children = task.children
  task.children = nil
  for child in pairs(children) do drop(child) end
end

local function failed(task, err)
  if type(err) == "string" and not err:find("\nstack traceback:", 1, true) then
    err = debug.traceback(task.co, err)
  end
  task.failed, task.err = true, err
  if close_coroutine then close_coroutine(task.co) end
  drop_children(task)
  finish(task)
  if not task.joined then failures[#failures + 1] = task end
end

local function after(task, ok, ...)
  if status(task.co) == "suspended" then
    if task.cancelling then return drop(task) end
    -- A bare coroutine.yield is taken as yield(): nothing else would ever wake the task.
    if ... ~= PARK then task.handle:wake() end
    return
  end
  if not ok then
    if (...) == CANCELLED then return drop(task) end
    return failed(task, (...))
  end
  task.results = pack(...)
  drop_children(task)
  finish(task)
end

local function step(task, ...) return after(task, resume(task.co, ...)) end

--- Like dropping a future: the task never runs again, its to-be-closed variables run.
function drop(task)
  if task.done then return end
  local state = status(task.co)
  if state == "running" or state == "normal" then
    task.cancelling = true
    return
  end
  task.cancelled = true
  if task.cleanup then task.cleanup() end
  drop_children(task)
  local co, started = task.co, task.started
  finish(task)
  if close_coroutine then
    local ok, err = close_coroutine(co)
    if not ok and err ~= CANCELLED then warn("error while a task was cancelled: " .. tostring(err)) end
  elseif started and state == "suspended" then
    local ok, err = resume(co) -- park raises CANCELLED there
    if not ok and err ~= CANCELLED then warn("error while a task was cancelled: " .. tostring(err)) end
  end
end

local function new_task(f, name)
  local co = create(f)
  local task = setmetatable({ co = co, f = not name and f or nil, label = name }, Task)
  task.handle = core.task(co, task)
  by_thread[co] = task
  live[task] = true
  nlive = nlive + 1
  return task
end

--- Starts f(...) as a task; it runs when the caller waits. spawn("name", f, ...) names it.
function M.spawn(name, f, ...)
  if type(name) == "function" then return M.spawn("", name, f, ...) end
  if type(name) ~= "string" then core.arg_error("spawn", 1, "f", "function expected, got " .. type(name)) end
  if type(f) ~= "function" then core.arg_error("spawn", 2, "f", "function expected, got " .. type(f)) end
  local task = new_task(f, name ~= "" and name or nil)
  task.args = select("#", ...) > 0 and pack(...) or nil
  task.handle:wake()
  return task
end

-- A child lives inside its parent: it is dropped with it. It starts at once, on the parent's budget.
local function start_child(parent, f, ...)
  local child = new_task(f)
  child.joined, child.parent, child.joiners = true, parent, { parent }
  parent.children = parent.children or {}
  parent.children[child] = true
  child.started = true
  child.handle:enter()
  step(child, ...)
  parent.handle:enter()
  return child
end

--- Suspends the calling task until it is woken. op and on name the wait in reports; accepted is what timeout tells.
--- A wake is a hint: the caller polls again.
function M.park(op, on, accepted)
  local task = current()
  if not task then core.raise(op, "not in the context of a task") end
  local ok, why = core.can_wait()
  if not ok then core.raise(op, why) end
  if isyieldable and not isyieldable() then
    core.raise(op, "cannot wait here: across a C call such as table.sort, string.gsub or require")
  end
  task.op, task.on, task.accepted = op, on, accepted
  yield(PARK)
  if task.done then error(CANCELLED, 0) end
  task.op, task.on, task.accepted = nil, nil, nil
end

local function outcome(task)
  if task.failed then error(task.err, 0) end
  if task.cancelled then return nil, "ECANCELED: the task was cancelled", "ECANCELED" end
  return unpack(task.results, 1, task.results.n)
end

--- Waits for the task's end: its results; its error, raised with its traceback; nil, message, "ECANCELED".
function Task:join()
  self.joined = true
  if not self.done then
    local task = need_task("join")
    if task == self then core.raise("join", "a task cannot join itself") end
    self.joiners = self.joiners or {}
    self.joiners[#self.joiners + 1] = task
    while not self.done do M.park("join", self) end
  end
  return outcome(self)
end

--- Drops the task now, or at its next wait when it is running.
function Task:cancel()
  self.joined = true
  drop(self)
end

function Task:is_done() return self.done == true end

function Task:name()
  if self.label then return self.label end
  local info = self.f and debug.getinfo(self.f, "S")
  return info and ("%s:%d"):format(info.short_src, info.linedefined) or "?"
end

function Task:__tostring()
  local state = self.failed and "failed" or self.cancelled and "cancelled" or self.done and "done"
    or self.op and "waits in " .. self.op or "ready"
  return ("task '%s' (%s)"):format(self:name(), state)
end

--- Lets other tasks and the loop run.
function M.yield()
  need_task("yield").handle:wake()
  M.park("yield")
end

--- Waits for seconds (a float; 0 is yield).
function M.sleep(seconds)
  need_task("sleep")
  local timer = core.timer(seconds)
  if timer:poll() then return M.yield() end
  repeat M.park("sleep") until timer:poll()
  timer:free()
end

local function check_functions(op, ...)
  for i = 1, select("#", ...) do
    local f = select(i, ...)
    if type(f) ~= "function" then core.arg_error(op, i, "f", "function expected, got " .. type(f)) end
  end
end

--- f(...) under a deadline. Its results; or nil, message, "ETIMEDOUT", and how many bytes the operation that was cut
--- had accepted. f is polled first: what is ready beats a deadline that has passed.
function M.timeout(seconds, f, ...)
  local task = need_task("timeout")
  if type(f) ~= "function" then core.arg_error("timeout", 2, "f", "function expected, got " .. type(f)) end
  local timer = core.timer(seconds, "timeout")
  local child = start_child(task, f, ...)
  while not child.done do
    if timer:poll() then
      local accepted = child.accepted or 0
      drop(child)
      return nil, "ETIMEDOUT: connection timed out", "ETIMEDOUT", accepted
    end
    M.park("timeout", child, child.accepted)
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
    children[i] = start_child(task, (select(i, ...)))
    if children[i].done then
      winner = i
      break
    end
  end
  while not winner do
    M.park("first")
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
  for i = 1, n do children[i] = start_child(task, (select(i, ...))) end
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
    if left then M.park("all") end
  end
  for i = 1, n do results[i] = (outcome(children[i])) end
  return unpack(results, 1, n)
end

local function report_failures()
  for i = 1, #failures do
    local task = failures[i]
    if not task.reported and not task.joined then
      task.reported = true
      warn(("task '%s' failed: %s"):format(task:name(), tostring(task.err)))
    end
  end
end

--- Resumes the tasks that are ready, and then some that these made ready. The hosts call it after each turn of the loop.
function M.run_ready()
  local ready = pending()
  for _ = 1, ready > BATCH and ready or BATCH do
    local task = next_ready()
    if not task then break end
    local args = task.args
    task.started = true
    if args then
      task.args = nil
      step(task, unpack(args, 1, args.n))
    else
      step(task)
    end
  end
  if #failures > 0 then report_failures() end
end

--- How many tasks have not ended.
function M.count() return nlive end

--- The message that names every task when nothing can wake any of them.
function M.stuck()
  local lines = {}
  for task in pairs(live) do lines[#lines + 1] = "  " .. describe(task) end
  table.sort(lines)
  return ("%d task(s) wait and nothing can wake them:\n%s"):format(#lines, table.concat(lines, "\n"))
end

local function drop_all()
  for task in pairs(live) do drop(task) end
end

-- What failed and was never joined, as an error message; forgets the failures.
local function unjoined()
  local list, first, n = failures, nil, 0
  failures = {}
  for i = 1, #list do
    if not list[i].joined then
      first = first or list[i]
      n = n + 1
    end
  end
  if first then
    return ("run: %d task(s) failed that nobody joined; the first was '%s': %s"):format(n, first:name(),
      tostring(first.err))
  end
end

local function drive(main)
  while nlive > 0 do
    M.run_ready()
    if main.failed then return end
    local ready, waiting = pending()
    if ready > 0 then
      turn(false)
    elseif nlive > 0 then
      if waiting == 0 then return M.stuck() end
      turn(true)
    end
  end
end

--- Runs f(...) as the main task and turns the loop until every task has ended. Returns f's results; raises f's error,
--- the error of a task that nobody joined, or the names of all tasks when nothing can wake them.
function M.run(f, ...)
  if type(f) ~= "function" then core.arg_error("run", 1, "f", "function expected, got " .. type(f)) end
  if driving or current() then core.raise("run", "already running; use spawn") end
  local main = M.spawn("main", f, ...)
  main.joined = true
  driving = true
  local ok, stuck = pcall(drive, main)
  driving = false
  if not ok or stuck or main.failed then drop_all() end
  local lost = unjoined()
  if main.failed then error(main.err, 0) end
  if not ok then error(stuck, 0) end
  if stuck then core.raise("run", stuck) end
  if lost then error(lost, 0) end
  return outcome(main)
end

return M
