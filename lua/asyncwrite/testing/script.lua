-- SPDX-License-Identifier: MIT
-- The actions of a mock's script: what they are, what they take, how they are shown.

local core = require "asyncwrite.core"
core.library()
local diff = require "asyncwrite.testing.diff"

local M = {}

-- ---- Arguments ----

local function bytes(value)
  if type(value) ~= "string" or value == "" then return "a string that is not empty expected, got " .. diff.show(value) end
end

local function positive(value)
  if type(value) ~= "number" or value < 1 or value % 1 ~= 0 then
    return "an integer of at least 1 expected, got " .. diff.show(value)
  end
end

local function bytes_or_count(value)
  if value == math.huge then return end
  if type(value) == "number" then return positive(value) end
  return bytes(value)
end

local function count_or_none(value)
  if value ~= nil then return positive(value) end
end

local function seconds(value)
  if type(value) ~= "number" or not (value >= 0 and value <= 1e9) then
    return "seconds from 0 to 1e9 expected, got " .. diff.show(value)
  end
end

local function code(value)
  if type(value) ~= "string" or not value:find("^[A-Z][A-Z0-9_]*$") then
    return 'a code such as "EPIPE" expected, got ' .. diff.show(value)
  end
  if value == "EAGAIN" or value == "EINTR" then return value .. " is no error of a poll (P6); see pending" end
end

local function code_or_none(value)
  if value ~= nil then return code(value) end
end

local function nothing(value)
  if value ~= nil then return "nothing more expected, got " .. diff.show(value) end
end

local function direction(value)
  if value ~= nil and value ~= "read" and value ~= "write" then
    return '"read" or "write" expected, got ' .. diff.show(value)
  end
end

local function text_or_none(value)
  if value ~= nil and type(value) ~= "string" then return "a message expected, got " .. diff.show(value) end
end

-- By kind: the direction it concerns ("any": whichever comes), the checks of its arguments.
local KINDS = {
  read = { side = "read", bytes, nothing },
  read_error = { side = "read", code, text_or_none },
  eof = { side = "read", nothing },
  write = { side = "write", bytes_or_count, nothing },
  accept = { side = "write", positive, nothing },
  zero = { side = "write", nothing },
  write_error = { side = "write", code, text_or_none },
  flush = { side = "write", code_or_none, text_or_none },
  shutdown = { side = "write", code_or_none, text_or_none },
  close = { side = "write", nothing },
  pending = { side = "any", count_or_none, direction },
  wait = { side = "any", seconds, nothing },
}
M.KINDS = KINDS

--- The action that {kind, a, b} means, or nil and what is wrong with it.
function M.parse(item)
  if type(item) ~= "table" then return nil, "an action such as {\"read\", \"bytes\"} expected, got " .. diff.show(item) end
  local kind = item[1]
  local rules = KINDS[kind]
  if not rules then return nil, "unknown action " .. diff.show(kind) end
  for i = 1, math.max(#rules, #item - 1) do
    local problem = (rules[i] or nothing)(item[i + 1])
    if problem then return nil, kind .. ": " .. problem end
  end
  local a, b = item[2], item[3]
  local action = { kind = kind, side = rules.side, argument = a }
  if kind == "read" or kind == "write" and type(a) == "string" then action.data, action.at = a, 0
  elseif kind == "write" then action.any = a
  elseif kind == "pending" then action.left, action.side = a or 1, b or "any"
  elseif kind == "wait" then action.seconds = a
  elseif a ~= nil and type(a) == "string" then action.code, action.message = a, b
  end
  return action
end

--- As in a script: write "hello".
function M.show(action)
  local a = action.argument
  if action.kind == "wait" then return ("wait %g"):format(action.seconds) end
  if action.kind == "write" and action.any then
    return "write of " .. (a == math.huge and "any bytes" or ("any %d bytes"):format(a))
  end
  if a == nil then return action.kind end
  local said = type(a) == "string" and diff.quote(a, 24) or tostring(a)
  if action.at and action.at > 0 and not action.done then said = ("%s from byte %d on"):format(said, action.at + 1) end
  return action.kind .. " " .. said
end

--- The triple of an error action.
function M.failure(action)
  if action.message then return nil, action.message, action.code end
  local _, message, known = core.fail(action.code)
  if known ~= action.code then message = action.code .. ": by the script" end
  return nil, message, action.code
end

return M
