-- SPDX-License-Identifier: MIT
-- House rules no tool checks: lua lint.lua FILE... (C sources and headers). Prints what breaks them, exits 1 if any does.
local MAX_FILE, MAX_FUNCTION = 400, 60
local faults = 0

local function fault(file, line, message)
  faults = faults + 1
  io.stderr:write(("%s:%d: %s\n"):format(file, line, message))
end

local function read_lines(file)
  local lines = {}
  for line in io.lines(file) do lines[#lines + 1] = line end
  return lines
end

local function may_include_lua(file)
  return not file:find("^csrc/") or file:find("^csrc/lua/") or file == "csrc/asyncwrite_lua.h"
end

local function check_includes(file, lines)
  if may_include_lua(file) then return end
  for i, line in ipairs(lines) do
    local header = line:match("^%s*#%s*include%s*[<\"]([^>\"]+)")
    if header and (header:match("^lua[^/]*%.h") or header:match("lauxlib%.h") or header:match("asyncwrite_lua%.h")) then
      fault(file, i, "only csrc/lua includes " .. header)
    end
  end
end

-- Counts on clang-format's layout: a definition starts in column one and its body ends with a lone brace there.
local function check_functions(file, lines)
  local start, open, continued
  for i, line in ipairs(lines) do
    local code = line:gsub("%s*/%*.-%*/%s*$", "")
    if continued or code:find("^#") then
      continued = code:find("\\$")
    elseif code:find("^}") then
      local length = start and i - start + 1 or 0
      if code == "}" and length > MAX_FUNCTION then
        fault(file, start, ("a function of %d lines, %d are allowed"):format(length, MAX_FUNCTION))
      end
      start, open = nil, false
    elseif not open then
      if code:find("^[%a_]") then start = start or i end
      open = code:find("{$")
      if code:find("[;}]$") then start = nil end
    end
  end
end

for _, file in ipairs(arg) do
  local lines = read_lines(file)
  check_includes(file, lines)
  if #lines > MAX_FILE then fault(file, MAX_FILE + 1, ("%d lines, %d are allowed"):format(#lines, MAX_FILE)) end
  if file:find("%.c$") then check_functions(file, lines) end
end
os.exit(faults == 0 and 0 or 1)
