-- SPDX-License-Identifier: MIT
-- What awcat asks the shell, because Lua itself cannot tell: the same on Lua 5.4 and LuaJIT.

local M = {}

function M.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- Does this command succeed? Its descriptors are those of this process.
function M.succeeds(command)
  local result = os.execute(command)
  return result == true or result == 0
end

--- The first line a command prints, or nil.
function M.line(command)
  local pipe = io.popen(command, "r")
  if not pipe then return nil end
  local line = pipe:read("*l")
  pipe:close()
  return line
end

return M
