-- SPDX-License-Identifier: MIT
-- The pump of every guest: a host whose loop belongs to somebody else, who can wait for a descriptor and a timer.
-- It waits until core.backend_fd() is readable or the time is over that pump returned last, and calls pump again.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"

local M = {}

local ROUNDS = 8 -- turns of our loop until the host's other business has its turn

local busy = false

-- Every round ends with a turn: what it leaves in the loop's hands is registered, and its clock is right.
local function rounds()
  core.turn(false)
  for _ = 1, ROUNDS do
    if core.pending() == 0 then return end
    executor.run_ready()
    core.turn(false)
  end
end

--- Runs the tasks that are ready and lets the loop turn. Returns the milliseconds after which to call it again, if
--- core.backend_fd() does not become readable before: 0 is soon, -1 never. Returns nil when it was called from inside
--- itself, by a task that turns the host's loop: then the descriptor is not to be waited for until the outer call ends.
function M.pump()
  if busy then return nil end
  busy = true
  core.pumping(true)
  local ok, err = pcall(rounds)
  core.pumping(false)
  busy = false
  if not ok then error(err, 0) end
  return core.pending() > 0 and 0 or core.backend_timeout()
end

return M
