-- SPDX-License-Identifier: MIT
-- Which light threads of nginx go on, and in which order. A woken task's semaphore is posted when a task is about to wait,
-- which is a matter within nginx's posted events: no system call, no turn of any loop.

local core = require "asyncwrite.core"
core.library()
local semaphore = require "ngx.semaphore"

local next_ready, pending = core.next_ready, core.pending

local M = {
  pump = function() end, -- called when nginx's loop and ours must turn first; set by the host
}

local FOREVER = 2000000 -- seconds; about the most that a semaphore takes
local BATCH = 64        -- tasks that tasks may make go on until nginx's loop has its turn

local handed = 0 -- tasks made to go on since the loop turned
local due = 0    -- tasks that nginx has to let run: so many are in posted and in spawning
local posted, spawning = {}, {}
for _, set in ipairs { posted, spawning } do setmetatable(set, { __mode = "k" }) end -- threads may be killed
local crowded = false
local outside = 0 -- operations of nginx under way that will wake a task

M.semaphore = semaphore.new

function M.wait(sem)
  repeat
    local ok, why = sem:wait(FOREVER)
    if not ok and why ~= "timeout" then error("asyncwrite: semaphore: " .. why, 0) end
  until ok
end

--- A task that does not wait just now finds out when it is about to.
function M.resume(task)
  if task.waits and not posted[task] then
    posted[task], due = true, due + 1
    task.sem:post(1)
  elseif task.started then
    task.resumed = true
  end
end

local function remove(set, task)
  if set[task] then set[task], due = nil, due - 1 end
end

-- Tells the core whether the task that runs is alone.
local function look_around()
  if crowded == (due > 0) then return end
  crowded = due > 0
  core.crowded(crowded)
end

--- Lets those go on that tasks have woken, without a turn of nginx's loop; but not for ever. Returns whether own was
--- among them, and whether the loop has to turn first.
function M.flush(own)
  local ready, _, forced = pending()
  if ready == 0 then return false, forced end
  if forced or handed >= BATCH then
    M.pump()
    return false, true
  end
  local mine = false
  for _ = 1, ready do
    local task = next_ready()
    if not task then break end
    handed = handed + 1
    if task == own then mine = true else M.resume(task) end
  end
  return mine, false
end

--- Suspends the task until it is resumed; before_wait() is called when it really does. One that is ready already goes on
--- at once when it is alone; else after the others, when one of these waits or ends.
function M.park(task, before_wait)
  local ready, turn_first = M.flush(task)
  ready = ready or task.resumed
  task.resumed = nil
  if not ready or not task.done and (turn_first or due > 0) then
    if ready then task.handle:wake() end
    before_wait()
    task.waits = true
    M.wait(task.sem)
    task.waits = nil
    remove(posted, task)
  end
  look_around()
  task.handle:refill()
end

--- Starts f in a light thread. parent, if there is one, is the task that runs: it goes on when the thread first waits.
function M.spawn(parent, f)
  if parent then spawning[parent], due = true, due + 1 end
  local thread = ngx.thread.spawn(f) -- luacheck: ignore
  if parent then remove(spawning, parent) end
  look_around()
  return thread
end

--- The loop is about to turn. Threads that were killed count no more.
function M.turning()
  handed = 0
  if due == 0 then return end
  due = 0
  for _, set in ipairs { posted, spawning } do
    for _ in pairs(set) do due = due + 1 end
  end
end

local function left(...)
  outside = outside - 1
  return ...
end

--- f(...), an operation of nginx after which a task is woken.
function M.outside(f, ...)
  outside = outside + 1
  return left(f(...))
end

--- Will a task go on without our loop?
function M.busy() return due > 0 or outside > 0 end

--- Wakes from a light thread that is no task: the woken go on without the detour by the bridge.
function M.wake(waker)
  core.pumping(true)
  waker:wake()
  core.pumping(false)
  M.flush()
end

return M
