-- SPDX-License-Identifier: MIT
-- What must be heard of at the end of a run: things with a failure, or with something left to do. The code under test may
-- have swallowed the error of the poll, or never have polled.
--
-- An item has failure (text, once it failed), unfinished(self, how) (text or nil; how: "ended", "failed", "stuck", said of
-- the run), number, and perhaps release(self), for the end of its run. After the end of its run it is settled: nobody asks again.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"

local M = {}

local of_group = setmetatable({}, { __mode = "k" }) -- of a run: the items that its tasks made, and they live as long
local outside = setmetatable({}, { __mode = "v" })  -- by number: those that were made outside of tasks
local failed = {}                                   -- by number: failed, and nobody was told for sure
local made = 0

--- item will be asked at the end of the run that made it; one that was made outside, at the end of the next.
function M.add(item)
  made = made + 1
  item.number = made
  local task = executor.current()
  local group = task and task.group
  if not group then
    outside[made] = item
    return
  end
  item.in_run = true
  of_group[group] = of_group[group] or {}
  of_group[group][made] = item
end

--- item has failed with this text: it is said at the end of the run, unless the run's own error says it. lonely: nobody
--- who could raise it sees it happen; outside of every run it is warned of.
function M.fail(item, text, lonely)
  item.failure = item.failure or text
  if item.settled then return text end
  failed[item.number] = item
  if lonely and not item.in_run and executor.count() == 0 then executor.warn(item.failure) end
  return item.failure
end

--- Nobody asks any more.
function M.settle(item)
  item.settled = true
  failed[item.number], outside[item.number] = nil, nil
end

local function by_number(a, b) return a.number < b.number end

local function collect(group)
  local items, seen = {}, {}
  for _, list in ipairs { of_group[group] or {}, outside, failed } do
    for _, item in pairs(list) do
      if not seen[item] and not item.settled then items[#items + 1] = item end
      seen[item] = true
    end
  end
  table.sort(items, by_number)
  return items
end

local hooks = {}

--- f() is called at the end of every run.
function M.on_end(f) hooks[#hooks + 1] = f end

-- failed has items of other runs only where runs are many at once, as in nginx; then the first to end tells.
function executor.at_end(group, how)
  local texts = {}
  for _, item in ipairs(collect(group)) do
    texts[#texts + 1] = item.failure or item:unfinished(how or "ended")
    M.settle(item)
    if item.release then item:release() end
  end
  for _, item in pairs(of_group[group] or {}) do -- also those of whom nobody asks
    if item.release then item:release() end
  end
  of_group[group] = nil
  for i = 1, #hooks do hooks[i]() end
  return #texts > 0 and table.concat(texts, "\n") or nil
end

return M
