-- SPDX-License-Identifier: MIT
-- Bytes as people read them, and how two strings of bytes differ.

local M = {}

local BEFORE, AFTER = 8, 24 -- bytes shown around the first difference

local names = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape(c)
  if names[c] then return names[c] end
  local byte = c:byte()
  if byte >= 32 and byte < 127 then return c end
  return ("\\%03d"):format(byte)
end

--- s with every byte visible, in the escapes of Lua; without quotes.
function M.escape(s) return (s:gsub(".", escape)) end

--- s in quotes, at most max bytes of it (default 40).
function M.quote(s, max)
  max = max or 40
  if #s <= max then return '"' .. M.escape(s) .. '"' end
  return ('"%s"... (%d bytes)'):format(M.escape(s:sub(1, max)), #s)
end

--- Any value, for messages.
function M.show(value)
  if type(value) == "string" then return M.quote(value) end
  return tostring(value)
end

--- The first place where a and b differ, 1-based; nil when they are equal.
function M.first_difference(a, b)
  if a == b then return nil end
  local n = math.min(#a, #b)
  for i = 1, n do
    if a:byte(i) ~= b:byte(i) then return i end
  end
  return n + 1
end

local function text_row(s, from, to)
  return ('%s"%s"%s'):format(from > 1 and "..." or "", M.escape(s:sub(from, to)), to < #s and "..." or "")
end

local function hex_row(s, from, to)
  return (s:sub(from, to):gsub(".", function(c) return ("%02x "):format(c:byte()) end):gsub(" $", ""))
end

--- want and got around their first difference, as text and as hex, with a mark below it; and where it is.
function M.diff(want, got)
  local at = M.first_difference(want, got)
  if not at then return "", nil end
  local from, to = math.max(1, at - BEFORE), at + AFTER
  local shared = want:sub(from, at - 1)
  local column = (from > 1 and 3 or 0) + 1 + #M.escape(shared)
  local lines = {
    "  expected  " .. text_row(want, from, to),
    "  got       " .. text_row(got, from, to),
    "            " .. (" "):rep(column) .. "^",
    "  expected  " .. hex_row(want, from, to),
    "  got       " .. hex_row(got, from, to),
    "            " .. (" "):rep(3 * #shared) .. "^^",
  }
  return table.concat(lines, "\n"), at
end

return M
