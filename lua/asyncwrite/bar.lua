-- SPDX-License-Identifier: MIT
-- A line on the terminal for progress; the one that awcat shows.

local core = require "asyncwrite.core"
core.library()

local M = {}

--- A function for progress that shows a bar on standard error, and nothing where that is no terminal. columns: the width,
--- where the terminal is not to be asked.
function M.new(columns)
  if columns ~= nil and (type(columns) ~= "number" or columns < 1) then
    core.arg_error("progress_bar", 1, "columns", "number of at least 1 expected, got " .. tostring(columns))
  end
  local line = require "asyncwrite.awcat.progress"
  columns = columns or line.terminal()
  return function(p)
    if not columns then return end
    local seconds = p.left
    if p.ended or not p.total then seconds = p.seconds end
    io.stderr:write("\r", line.text(columns, p.bytes, p.total, p.rate, seconds, p.ended), "\27[K", p.ended and "\n" or "")
  end
end

return M
