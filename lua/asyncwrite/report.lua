-- SPDX-License-Identifier: MIT
-- How tasks are named where they are reported.

local core = require "asyncwrite.core"
core.library()

local M = {}

-- The library's, or nginx's way of waiting.
local function is_below(source) return core.is_library(source) or source:find("/ngx/semaphore%.lua$") end

-- The first line of a task outside the library.
local function source_line(co)
  for level = 0, 50 do
    local info = co and debug.getinfo(co, level, "Sl")
    if not info then return "?" end
    if info.currentline > 0 and not is_below(info.source) then
      return info.short_src .. ":" .. info.currentline
    end
  end
  return "?"
end

local function describe(task, co, waits)
  local what, on = waits(task)
  what = what or "nothing: it yielded by itself"
  on = on and " on " .. tostring(on) or ""
  return ("  task '%s' waits in %s%s at %s"):format(task:name(), what, on, source_line(co))
end

--- Names the tasks of a set but mine, each with where it waits, in what operation, on what. threads: task -> coroutine,
--- of those that do not know it. waits(task): executor.waits. Returns how many they are, too.
function M.text(tasks, threads, mine, waits)
  local lines = {}
  for task in pairs(tasks) do
    if task ~= mine and not task.by_hand then lines[#lines + 1] = describe(task, task.co or threads[task], waits) end
  end
  table.sort(lines)
  return ("%d task(s) wait and nothing can wake them:\n%s"):format(#lines, table.concat(lines, "\n")), #lines
end

return M
