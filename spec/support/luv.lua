-- SPDX-License-Identifier: MIT
-- Processes in which the library is a guest of luv.

local child = require "support.child"

local M = {}

-- What the children start with.
local PRELUDE = [[
  local uv = require "luv"
  local luv = require "asyncwrite.host.luv"
  local aw = require "asyncwrite"
  local function after(ms, f)
    local timer = uv.new_timer()
    timer:start(ms, 0, function()
      timer:close()
      f()
    end)
  end
  local function raises(text, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok and tostring(err):find(text, 1, true), tostring(err))
  end
  local function handles()
    local all, active = 0, 0
    uv.walk(function(handle)
      all = all + 1
      if handle:is_active() then active = active + 1 end
    end)
    return all, active
  end
]]

local present

--- Skips the running test where there is no luv.
function M.need()
  if present == nil then
    present = child.sh(child.lua .. " -e 'require [[luv]]'").code == 0
  end
  if not present then child.skip("luv is not installed for this Lua (Debian: lua-luv)") end
end

--- Runs a script that must succeed in silence.
function M.check(script)
  M.need()
  return child.check(PRELUDE .. script, { seconds = 30 })
end

--- Runs a script: see child.run.
function M.run(script)
  M.need()
  return child.run(PRELUDE .. script, { seconds = 30 })
end

return M
