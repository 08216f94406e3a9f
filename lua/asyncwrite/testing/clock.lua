-- SPDX-License-Identifier: MIT
-- Virtual time, as tokio::time's pause and advance: while the clock is paused no time passes, and when every task waits and
-- only timers could end that, it goes to the first of them at once.
--
-- While a descriptor or a look-up is waited for as well, nobody knows when it will be ready: then waiting takes its real
-- time, and the clock goes with it.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"
local task = require "asyncwrite.task"
local watch = require "asyncwrite.testing.watch"

local M = {}

local ROUNDS = 100 -- turns that advance gives to tasks that are ready again and again

local function check_host(op)
  local host = executor.host()
  if host.name == "standalone" then return host end
  core.raise(op, ("virtual time needs the loop of a plain script; here it is the host's, '%s'"):format(host.name))
end

local function done(ok, ...)
  core.clock_set()
  if not ok then error((...), 0) end
  return ...
end

--- asyncwrite.run in virtual time, from 0 on: sleeps, timeouts and deadlines take none. Timers that were made outside keep
--- the time they have left.
function M.run(f, ...)
  if type(f) ~= "function" then core.arg_error("run", 1, "f", "function expected, got " .. type(f)) end
  if executor.current() then core.raise("run", "already running; use spawn") end
  check_host("run").check("run")
  core.clock_pause()
  core.clock_set(0)
  return done(pcall(task.run, f, ...))
end

--- Stops the clock, until resume or the end of the run.
function M.pause()
  check_host("pause")
  core.clock_pause()
end

--- Lets the clock run on at the real pace, from where it stands.
function M.resume()
  check_host("resume")
  core.clock_resume()
end

function M.is_paused() return core.clock_is_paused() end

-- Lets the others run until all of them wait, as far as the caller can wait.
local function settle()
  if not core.to_park() then return end
  for _ = 1, ROUNDS do
    task.yield()
    if core.pending() == 0 then return end
  end
end

local idle = core.waker(function() end)

--- Moves the paused clock on, from timer to timer: what is due in between happens at its time, and tasks go on until they
--- wait. Outside of tasks timers only wake.
function M.advance(seconds)
  check_host("advance")
  if not core.clock_is_paused() then core.raise("advance", "the clock runs; call pause before, or testing.run") end
  local goal = core.timer(seconds, "advance")
  settle()
  while not core.with_waker(idle, goal.poll, goal) do
    core.clock_jump()
    settle()
  end
end

watch.on_end(core.clock_set)

return M
