-- SPDX-License-Identifier: MIT
-- The host of a plain script: run turns the private loop itself.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"

local M = { name = "standalone" }

local driving = false

function M.check()
  if driving then core.raise("run", "already running; use spawn") end
end

local function drive(main, group)
  while group.left > 0 do
    executor.run_ready()
    if main.failed or group.left == 0 then return end
    local ready, waiting = core.pending()
    if ready > 0 then
      core.turn(false)
    else
      if waiting == 0 then return (executor.report()) end
      core.turn(true)
    end
  end
end

function M.run(main, group, f, ...)
  executor.start_later(main, f, ...)
  driving = true
  local ok, stuck = pcall(drive, main, group)
  driving = false
  if not ok then error(stuck, 0) end
  return stuck
end

return M
