-- SPDX-License-Identifier: MIT
-- The executor: which tasks live, how they start, park, go on and end. Coroutines by default; a host may bring its own
-- kind of thread. C says which tasks are ready; nothing here knows of writers.

local core = require "asyncwrite.core"
core.library()
local report = require "asyncwrite.report"
local create, resume, status, running, yield =
  coroutine.create, coroutine.resume, coroutine.status, coroutine.running, coroutine.yield
local close_coroutine = coroutine.close -- Lua 5.4
local unpack = table.unpack or unpack
local next_ready, run_ready, pending = core.next_ready, core.run_ready, core.pending
local park, to_park = core.park, core.to_park

local M = {}
local Task = {}
Task.__index = Task
M.Task = Task

local CANCELLED = setmetatable({}, { __tostring = function() return "asyncwrite: task cancelled" end })
local BATCH = 64                                     -- resumes between two turns of the loop, if so many are not ready
local by_thread = setmetatable({}, { __mode = "kv" }) -- coroutine -> task; LuaJIT has no ephemerons
local live, nlive = {}, 0                            -- every task that has not ended
local failures = {}                                  -- tasks that failed while nobody was joining them

M.CANCELLED = CANCELLED

-- ---- The host ----
-- A host is a table; asyncwrite.host.standalone is the default. Fields:
--   name      text
--   run       run(main): returns when every task has ended, or main has failed, or with a message when it gave up.
--             main has been spawned. Raises where the host cannot wait.
--   check     check(op), optional: raises where run, or, if start is there, spawn cannot be.
--   alive     alive(on), optional: the first task is about to come, the last one has gone.
--   warn      warn(text), optional: tells the user; else stderr.
--   busy      busy(), optional: is something under way outside our loop that will wake a task?
-- and, where a task is not a coroutine that the executor resumes (all three, see host.resty):
--   start     start(task, body, soon): runs body() in a thread of its own, at once, or soon: when the caller waits
--   park      park(task): suspends the running task until resume(task) or drop
--   resume    resume(task): lets a parked task go on; dropped: it is to unwind
-- Such a host runs its main task by run_thread. Its threads may suspend without park, and may vanish: then guards tell.
local host

--- Chooses the host; only before the first task.
function M.set_host(new)
  if host == new then return end
  if host and (nlive > 0 or host.used) then
    core.raise("host", ("the host is '%s' already; choose another before the first task"):format(host.name))
  end
  host = new
end

function M.host()
  if not host then
    local nginx = rawget(_G, "ngx")
    M.set_host(require(type(nginx) == "table" and nginx.worker and "asyncwrite.host.resty" or "asyncwrite.host.standalone"))
  end
  return host
end

local function pack(...) return { n = select("#", ...), ... } end

local function current() return by_thread[running()] end
M.current = current

--- The task of the calling coroutine, or an error that names the operation.
function M.need_task(op)
  local task = current()
  if not task then core.raise(op, "not in the context of a task") end
  return task
end

local function warn(text)
  if host and host.warn then return host.warn("asyncwrite: " .. text) end
  io.stderr:write("asyncwrite: ", text, "\n")
end
M.warn = warn

-- ---- The end of a task ----
local function finish(task)
  task.done = true
  live[task] = nil
  nlive = nlive - 1
  task.handle:finish()
  local joiners, finally, group = task.joiners, task.finally, task.group
  task.joiners, task.finally, task.cleanup, task.op, task.on = nil, nil, nil, nil, nil
  if task.parent and task.parent.children then task.parent.children[task] = nil end
  if group then
    group.left = group.left - 1
    if group.left == 0 and group.finally then group:finally() end
  end
  if finally then finally() end
  if joiners then
    for i = 1, #joiners do joiners[i].handle:wake() end
  end
  if nlive == 0 and host.alive then host.alive(false) end
end

-- Its coroutine polls no more. (Not left to the collector: the table would grow with every task until its next cycle.)
local function forget(task)
  if task.co then by_thread[task.co] = nil end
end

local drop

local function drop_children(task)
  if not task.children then return end
  local children = task.children
  task.children = nil
  for child in pairs(children) do drop(child) end
end

local function failed(task, err)
  if task.co and type(err) == "string" and not err:find("\nstack traceback:", 1, true) then
    err = debug.traceback(task.co, err)
  end
  task.failed, task.err = true, err
  if close_coroutine and task.co and status(task.co) == "dead" then close_coroutine(task.co) end
  drop_children(task)
  finish(task)
  forget(task)
  if not task.joined then failures[#failures + 1] = task end
end

--- What became of a task whose function has returned (ok) or raised.
function M.ended(task, ok, ...)
  if task.done then return forget(task) end
  if not ok then
    if (...) == CANCELLED then
      task.cancelled = true
      drop_children(task)
      finish(task)
      return forget(task)
    end
    return failed(task, (...))
  end
  task.results = pack(...)
  drop_children(task)
  finish(task)
  forget(task)
end

local function after(task, ...)
  if select("#", ...) > 0 then return M.ended(task, ...) end
  if task.cancelling then drop(task) end
end

--- Resumes the task's coroutine.
function M.step(task, ...)
  if not task.started then
    task.started = true
    task.handle:steady(not task.by_hand) -- a test resumes that
  end
  after(task, task.handle:resume(...))
end

local function first_step(task)
  local args = task.args
  task.args = nil
  if args then return M.step(task, unpack(args, 1, args.n)) end
  M.step(task)
end

local function unwound(ok, err)
  if not ok and err ~= CANCELLED then warn("error while a task was cancelled: " .. tostring(err)) end
end

--- Like dropping a future: the task never runs again, its to-be-closed variables run.
function drop(task)
  if task.done then return end
  local co = task.co
  local state = co and status(co)
  local busy = state == "running" or state == "normal"
  if host.resume then busy = task.started and not task.parked end
  if busy or task == current() then
    task.cancelling = true
    task.handle:steady(false)
    return
  end
  task.cancelled = true
  if task.cleanup then task.cleanup() end
  drop_children(task)
  local started = task.started
  finish(task)
  if host.resume then
    if started then host.resume(task) end -- its park raises CANCELLED
  elseif close_coroutine then
    unwound(close_coroutine(co))
    forget(task)
  elseif started and state == "suspended" then
    unwound(resume(co, CANCELLED)) -- its yield in park returns that
    forget(task)
  end
end
M.drop = drop

-- ---- The life of a task ----
--- Polls in co are the task's from now on.
function M.bind(task, co)
  task.co = co
  task.handle:bind(co)
  by_thread[co] = task
end

--- A task for f, not yet started. group counts the tasks of one run.
function M.new(f, name, group)
  if M.host().start and host.check then host.check("spawn") end
  local task = setmetatable({ f = not name and f or nil, label = name, group = group }, Task)
  task.handle = core.task(task)
  if not M.host().start then M.bind(task, create(f)) end
  if nlive == 0 and host.alive then host.alive(true) end
  live[task] = true
  nlive = nlive + 1
  host.used = true
  if group then group.left = group.left + 1 end
  return task
end

local function traced(err)
  if type(err) == "string" then return debug.traceback(err, 2) end
  return err
end

-- A thread of the host that is killed is collected, and with it the guard on its stack; or nginx gives its coroutine to
-- another request. So no task may hold its thread. A finalizer must not use upvalues that lived on that stack.
local guards = setmetatable({}, { __mode = "k" })   -- guard -> task
local threads = setmetatable({}, { __mode = "kv" }) -- task -> coroutine
local new_guard = rawget(_G, "newproxy")
local template = new_guard and new_guard(true)

local vanish
function vanish(task)
  if not task or task.done then return end
  if not threads[task] then task.handle:forget() end
  task.cancelled = true
  if task.cleanup then task.cleanup() end
  drop_children(task)
  finish(task)
  for _, later in ipairs(task.later or {}) do vanish(later[1]) end
end
if template then getmetatable(template).__gc = function(guard) vanish(guards[guard]) end end

--- Runs f(...) as the task, in the calling thread of a host that has threads.
function M.run_thread(task, f, ...)
  local co, guard = running(), template and new_guard(template)
  if guard then guards[guard] = task end
  vanish(by_thread[co])
  task.started, threads[task], by_thread[co] = true, co, task
  task.handle:bind(co)
  M.ended(task, xpcall(f, traced, ...))
  by_thread[co] = nil
  if guard then guards[guard] = nil end
end

--- The task of the calling coroutine, if it really runs there: looks closer where a thread may have been killed.
function M.real_current()
  local task = current()
  if not task or not threads[task] then return task end
  for level = 2, 1000 do
    local info = debug.getinfo(level, "f")
    if not info then break end
    if info.func == M.run_thread then return task end
  end
  vanish(task)
  by_thread[running()] = nil
end

local function start_thread(soon, task, f, ...)
  local args = pack(...)
  host.start(task, function() M.run_thread(task, f, unpack(args, 1, args.n)) end, soon)
end

--- Starts f(...) soon: when the running task waits.
function M.start_later(task, f, ...)
  if host.start then return start_thread(true, task, f, ...) end
  task.args = select("#", ...) > 0 and pack(...) or nil
  task.handle:wake()
end

--- Starts f(...) now, on the budget of the task that runs. A host's threads start only where the caller could wait.
function M.start_now(op, parent, task, f, ...)
  if host.start then
    local ok, why = to_park()
    if not ok then drop(task) core.raise(op, why) end
    start_thread(false, task, f, ...)
  else
    task.handle:enter()
    M.step(task, ...)
  end
  parent.handle:enter()
end

local function refused(op, why)
  local task = current()
  if task and task.done then error(CANCELLED, 0) end
  core.raise(op, why)
end

local function park_thread(op, on, accepted)
  local task, why = to_park()
  if not task then refused(op, why) end
  task.op, task.on, task.accepted = op, on, accepted
  if task.cancelling then drop(task) error(CANCELLED, 0) end
  task.parked = true
  host.park(task)
  task.parked = nil
  if task.done or task.cancelling then error(CANCELLED, 0) end
  task.op, task.on, task.accepted = nil, nil, nil
end

--- Suspends the calling task until it is woken. op and on name the wait in reports; accepted is what timeout tells.
--- A wake is a hint: the caller polls again.
function M.park(op, on, accepted)
  if host and host.park then return park_thread(op, on, accepted) end
  local why = park(op, on, accepted)
  if why == false then -- LuaJIT
    if yield(op, on, accepted) == CANCELLED then error(CANCELLED, 0) end
  elseif why then
    refused(op, why)
  end
end

--- While a task waits: the operation, on what, and how many bytes that has accepted.
function M.waits(task)
  if host.park then return task.op, task.on, task.accepted end
  return task.handle:waits()
end

--- How many bytes the operation that a task waits in has accepted; in a timeout: the operation that it may cut.
function M.accepted(task)
  local op, on, accepted = M.waits(task)
  if op == "timeout" and not on.done then return M.accepted(on) end
  return accepted or 0
end

-- Kept for their run, which raises the first; what belongs to no run would be kept for ever.
local function report_failures()
  local kept = {}
  for i = 1, #failures do
    local task = failures[i]
    if not task.reported and not task.joined then
      task.reported = true
      warn(("task '%s' failed: %s"):format(task:name(), tostring(task.err)))
    end
    if task.group and task.group.runs then kept[#kept + 1] = task end
  end
  failures = kept
end

-- What core.run_ready leaves to the executor. Returns how many steps are left.
local function look_after(left, task, how, ...)
  if not task then return 0 end
  if how == nil and task.by_hand then task:by_hand() -- a test resumes it
  elseif how == nil then first_step(task)
  elseif how == "waits" then drop(task)
  else M.ended(task, how, ...)
  end
  return left
end

local function resume_threads(n)
  for _ = 1, n do
    local task = next_ready()
    if not task then break end
    host.resume(task)
  end
end

--- Lets the tasks that are ready go on, and then some that these made ready. Hosts call it after each turn of the loop.
function M.run_ready()
  local left = math.max(pending(), BATCH)
  if host.resume then resume_threads(left) else
    repeat left = look_after(run_ready(left)) until left == 0
  end
  if #failures > 0 then report_failures() end
end

--- Resumes every parked task of a host with threads: each polls again.
function M.resume_all()
  for task in pairs(live) do
    if task.parked then host.resume(task) end
  end
end

--- How many tasks have not ended.
function M.count() return nlive end

-- ---- Reports ----
--- The message that names every task but that of the caller; how many.
function M.report() return report.text(live, threads, current(), M.waits) end

--- The message, if nothing but the caller can wake any of them; else nil.
function M.stuck()
  local ready, waiting, wants_turn = pending()
  if nlive == 0 or ready > 0 or waiting > 0 or wants_turn or host.busy and host.busy() then return nil end
  local mine = current()
  for task in pairs(live) do
    if host.resume and task ~= mine and not task.parked then return nil end -- it runs, or waits by other means
  end
  local text, n = M.report()
  return n > 0 and text or nil
end

--- Drops every task of a group; of all groups without one.
function M.drop_group(group)
  for task in pairs(live) do
    if not group or task.group == group then drop(task) end
  end
end

--- What failed in a group and was never joined, as an error message; forgets the failures.
function M.unjoined(group)
  local rest, first, n = {}, nil, 0
  for i = 1, #failures do
    local task = failures[i]
    if task.group ~= group then
      rest[#rest + 1] = task
    elseif not task.joined then
      first = first or task
      n = n + 1
    end
  end
  failures = rest
  if first then
    return ("run: %d task(s) failed that nobody joined; the first was '%s': %s"):format(n, first:name(),
      tostring(first.err))
  end
end

return M
