-- SPDX-License-Identifier: MIT
-- The host of a C program that runs a loop of its own. With a libuv loop the program calls lua_set_loop of
-- asyncwrite_lua.h, which does the rest. With any other loop: require this module before the first task, sleep until
-- backend_fd() is readable, for no longer than turn() said, and call turn() again.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"

local M = { name = "embedded" }

--- run cannot wait here: the program's loop is below, not above.
function M.check() core.raise("run", "the program's own loop drives the tasks; use spawn") end
M.run = M.check

--- Lets ready tasks go on, after the loop has turned. It looks after finished tasks' leftovers too, which would keep
--- the loop alive.
function M.pump()
  executor.run_ready()
  core.pending()
end

--- The descriptor to sleep on, by poll(2) or the like. From the first call on.
M.backend_fd = core.backend_fd

--- Turns the private loop and lets tasks go on. Returns for how many milliseconds at most the program may sleep on
--- backend_fd() (-1: for ever), and how many tasks are left.
function M.turn()
  core.pumping(true)
  local ok, message = pcall(core.turn, false)
  if ok then ok, message = pcall(M.pump) end
  core.pumping(false)
  if not ok then error(message, 0) end
  local ready, _, wants_turn = core.pending()
  return (ready > 0 or wants_turn) and 0 or core.backend_timeout(), executor.count()
end

--- For lua_set_loop: what it calls when something is ready.
function M.install()
  executor.set_host(M)
  return M.pump
end

executor.set_host(M)

return M
