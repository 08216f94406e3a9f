-- SPDX-License-Identifier: MIT
-- The host of nginx: `require "asyncwrite.host.resty"`, or just run a task there. Tasks are light threads of the request
-- (or timer) that started them, parking is a semaphore. The loop is turned by one more light thread, the pump, which
-- sleeps on a cosocket until the bridge sends it a byte.
--
-- * Nothing happens at require time or in the master. The pump starts with the first task and ends half a second after
--   the last; start_worker() in init_worker_by_lua keeps it for the life of the worker, which is what a server wants.
-- * run(f) runs f in the calling light thread and returns when every task spawned in it has ended. Tasks may also wait
--   by nginx's own means (ngx.sleep, cosockets); a cancelled one unwinds when it next waits by ours.
-- * Waiting works where nginx's own cosockets do; in other phases run and spawn raise.
-- * A worker that is to exit finishes its requests first. After M.drain seconds what is left of tasks is cancelled.
-- * Tasks that nothing in the worker's loop can wake, only a request to come, are told of once in the error log.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"
local ready = require "asyncwrite.host.resty_ready"

local ngx = ngx -- luacheck: ignore
local running = coroutine.running
local pending, to_park = core.pending, core.to_park
local flush, wait = ready.flush, ready.wait
local spawn_thread, wait_thread, kill_thread = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill

local M = {
  name = "resty",
  drain = 60,       -- seconds that tasks of a worker that is to exit may go on
  stuck_after = 10, -- seconds until the error log is told of tasks that nothing can wake; false: never
  folder = "/tmp",  -- where the bridge listens for an instant
}

local LINGER = 0.5      -- seconds without a task after which the pump ends
local HEARTBEAT = 5     -- seconds until a pump with tasks looks after them, and whether the worker is to exit
local NO_WAIT = {}      -- phases
for phase in ("init init_worker set header_filter body_filter log balancer exit_worker ssl_session_store"):gmatch("%S+") do
  NO_WAIT[phase] = true
end

local pump                -- of this worker: { bridge, permanent, group, quit }
local permanent = false   -- start_worker was called

local function log(...) ngx.log(ngx.ERR, "asyncwrite: ", ...) end

function M.warn(text) ngx.log(ngx.ERR, text) end

M.resume, M.wake, M.outside, M.busy = ready.resume, ready.wake, ready.outside, ready.busy

function ready.pump()
  if pump and pump.bridge then pump.bridge:wake() end
end

--- Raises where a task cannot be. ngx.thread.spawn across a C call would crash the worker.
function M.check(op)
  local phase = ngx.get_phase()
  if NO_WAIT[phase] then
    core.raise(op, ("nginx's phase '%s' cannot wait; use ngx.timer.at(0, f) and run in f"):format(phase))
  end
  if executor.current() then return end -- a thread is started when the task waits
  local ok, why = to_park(true)
  if not ok then core.raise(op, why) end
end

-- ---- The pump ----
local function connect(bridge)
  local sock = ngx.socket.tcp()
  sock:settimeouts(1000, 1000, 0x7fffffff)
  local ok, why = sock:connect("unix:" .. bridge:path())
  if ok then
    ok, why = bridge:accept()
  end
  if not ok then return nil, why end
  return sock
end

-- A worker that is to exit: seconds until to look again, or nil when there is nothing left to wait for. Requests that
-- were aborted have left tasks to the collector.
local function draining(self, now)
  if executor.count() == 0 then return nil end
  self.exiting = self.exiting or now
  if not self.collected or now - self.collected > 0.5 then
    collectgarbage()
    collectgarbage()
    self.collected = now
  end
  if now - self.exiting > M.drain then
    if self.dropped then return nil end
    self.dropped = true
    local text, n = executor.report()
    log(n, " task(s) cancelled, because the worker exits:", (text:gsub("^[^\n]*", "")))
    executor.drop_group()
  end
  return executor.count() > 0 and 0.5 or nil
end

-- They may be meant to wait for a request to come: so it is a warning, once for each set of them.
local function look_for_stuck(self)
  local text = M.stuck_after and executor.stuck()
  if text ~= self.stuck then self.stuck, self.stuck_since = text, core.now() end
  if not text or text == self.told or core.now() - self.stuck_since < M.stuck_after then return end
  self.told = text
  ngx.log(ngx.WARN, "asyncwrite: ", text)
end

local function heartbeat() return math.min(HEARTBEAT, math.max(M.stuck_after or HEARTBEAT, 0.05)) end

-- Seconds until the pump must look again, -1 for none, nil when it has to end.
local function rest(self)
  if self.quit then return nil end
  local now = core.now()
  if self.stopping or ngx.worker.exiting() then return draining(self, now) end
  if executor.count() > 0 then
    self.idle = nil
    look_for_stuck(self)
    if now - self.beat >= HEARTBEAT then
      self.beat = now
      collectgarbage("step", 100) -- for threads that nginx has killed: their tasks hold descriptors
    end
    return heartbeat()
  end
  if self.permanent then return -1 end
  self.idle = self.idle or now
  local left = self.idle + LINGER - now
  return left > 0 and left or nil
end

local function work()
  ready.turning()
  core.turn(false)
  executor.run_ready()
end

local function drive(self, sock)
  local bridge = self.bridge
  while true do
    bridge:clear()
    core.pumping(true)
    local fine, problem = pcall(work)
    core.pumping(false)
    if not fine then log(problem) end
    local seconds = rest(self)
    if not seconds then return end
    if pending() > 0 then bridge:wake() end
    bridge:arm(seconds < 0 and -1 or math.ceil(seconds * 1000))
    local data, why = sock:receiveany(64)
    if not data and why ~= "timeout" then return why end
  end
end

local function turn_loop(self)
  local bridge, why = core.bridge(M.folder)
  local sock
  if bridge then
    sock, why = connect(bridge)
  end
  if sock then
    self.bridge = bridge
    why = drive(self, sock)
    self.bridge = nil
    sock:close()
  end
  if bridge then bridge:close() end
  if why and not ngx.worker.exiting() then
    log("the bridge: ", why)
    ngx.sleep(0.1)
  end
  if pump == self then pump = nil end
  executor.resume_all() -- whoever waits starts another
end

local function pump_timer(premature, self)
  if not premature then return turn_loop(self) end
  if pump == self then pump = nil end
end

-- In a worker that is to exit there are no new timers: there the pump is a thread of the request that needs it.
local function need_pump(group)
  if pump then return end
  local self = { permanent = permanent, beat = core.now() }
  pump = self
  local ok, why = ngx.timer.at(0, pump_timer, self)
  if ok then return end
  if group and ngx.worker.exiting() then
    self.group, self.permanent = group, false
    spawn_thread(turn_loop, self)
  else
    pump = nil
    core.raise("run", "the pump could not start: " .. tostring(why))
  end
end

local sentinel
function sentinel(premature)
  if not premature then return ngx.timer.at(86400 * 20, sentinel) end
  if not pump then return end
  pump.stopping = true
  if pump.bridge then pump.bridge:wake() end
end

--- Starts the pump for the life of the worker: for init_worker_by_lua. Once.
function M.start_worker()
  if permanent then return end
  permanent = true
  executor.set_host(M)
  need_pump()
  sentinel(false)
end

function M.alive(on)
  if not on and pump and pump.bridge and ngx.worker.exiting() then pump.bridge:wake() end
end

-- ---- Tasks ----
-- Starts what the task has spawned.
local function start_later(task)
  local later = task.later
  if not later then return end
  task.later = nil
  for i = 1, #later do
    if not later[i][1].done then M.start(later[i][1], later[i][2]) end
  end
end

local function arm_timer()
  local bridge = pump.bridge
  if bridge then bridge:arm_timer(math.ceil(heartbeat() * 1000)) end
end

function M.park(task)
  start_later(task)
  if not pump then need_pump(task.group) end
  ready.park(task, arm_timer)
end

-- nginx keeps a thread that has ended until its parent asks for it.
local function bury(task)
  local ended = task and task.ended
  if not ended then return end
  task.ended = nil
  for i = 1, #ended do wait_thread(ended[i]) end
end

--- Runs f in a light thread that ends with the run of the calling task. stop(failed) is called then, from the calling
--- task's thread, and must make f end, unless it returns true: then the thread is killed.
function M.daemon(op, f, stop)
  local task = executor.need_task(op)
  local ok, why = to_park()
  if not ok then core.raise(op, why) end
  task.daemons = task.daemons or {}
  task.daemons[#task.daemons + 1] = { thread = spawn_thread(f), stop = stop }
  task.handle:enter()
end

local function stop_daemons(task, failed)
  local daemons = task.daemons
  if not daemons then return end
  task.daemons = nil
  for i = 1, #daemons do
    local daemon = daemons[i]
    if daemon.stop(failed) then kill_thread(daemon.thread) else wait_thread(daemon.thread) end
  end
end

-- Daemons live as long as the run of the task that made them: its thread stays for them.
local function keep(task)
  local group = task.group
  if not group.keepers then return stop_daemons(task, task.failed) end -- spawned outside any run
  group.keepers[task] = true
  if group.left > 0 then wait(task.sem) end
  stop_daemons(task, group.failed)
  group.keepers[task] = nil
  group.over:post(1)
end

function M.start(task, body, soon)
  local parent = executor.current()
  if parent and soon then -- at the next wait; besides, ngx.thread.spawn suspends, which a poll may not
    parent.later = parent.later or {}
    parent.later[#parent.later + 1] = { task, body }
    core.pumping(true) -- nobody else could start it
    task.handle:wake() -- it counts as ready: the budget holds
    core.pumping(false)
    return
  end
  task.sem = ready.semaphore()
  task.handle:unready()
  need_pump(task.group)
  bury(parent)
  ready.spawn(parent, function()
    body()
    start_later(task)
    flush()
    bury(task)
    if task.daemons then keep(task) end
    if parent and not parent.done then
      parent.ended = parent.ended or {}
      parent.ended[#parent.ended + 1] = running()
    end
  end)
end

local function wake_run(group) group.over:post(1) end

function M.run(main, group, f, ...)
  need_pump(group)
  main.sem = ready.semaphore()
  group.over, group.keepers = ready.semaphore(), {}
  group.finally = wake_run
  executor.run_thread(main, f, ...)
  start_later(main)
  flush()
  while group.left > 0 and not main.failed do wait(group.over) end
  bury(main)
  group.failed = main.failed
  if main.failed then executor.drop_group(group) end
  stop_daemons(main, main.failed)
  for task in pairs(group.keepers) do task.sem:post(1) end
  while next(group.keepers) do wait(group.over) end
  if pump and pump.group == group then
    pump.quit = true
    if pump.bridge then pump.bridge:wake() end
  end
end

executor.set_host(M)

return M
