-- SPDX-License-Identifier: MIT
-- Script files: a table in Lua's notation. They are read as data and never run: a recorded peer is not to be trusted with
-- code, and a file that is hand-made fails with its line.

local diff = require "asyncwrite.testing.diff"

local M = {}

local LINE = 64 -- bytes of a string on one line
local DEPTH = 4 -- tables in tables

-- ---- Writing ----

local function show_string(s)
  if #s <= LINE then return '"' .. diff.escape(s) .. '"' end
  local parts = {}
  for at = 1, #s, LINE do parts[#parts + 1] = '"' .. diff.escape(s:sub(at, at + LINE - 1)) .. '"' end
  return "\n    " .. table.concat(parts, " ..\n    ")
end

local function show(value)
  if type(value) == "string" then return show_string(value) end
  if value == math.huge then return "math.huge" end
  if type(value) == "number" then return ("%.17g"):format(value) end
  return tostring(value)
end

--- The text of a script.
function M.write(script)
  local lines = { "return {" }
  for _, field in ipairs { "name", "open", "vectored" } do
    if script[field] ~= nil then lines[#lines + 1] = ("  %s = %s,"):format(field, show(script[field])) end
  end
  for _, action in ipairs(script) do
    local parts = {}
    for i = 1, 3 do parts[i] = action[i] ~= nil and show(action[i]) or nil end
    lines[#lines + 1] = "  { " .. table.concat(parts, ", ") .. " },"
  end
  lines[#lines + 1] = "}\n"
  return table.concat(lines, "\n")
end

-- ---- Reading ----

local escapes = { n = "\n", r = "\r", t = "\t", a = "\a", b = "\b", f = "\f", v = "\v", ["\n"] = "\n" }

local function fail(p, problem)
  local _, lines = p.text:sub(1, p.at - 1):gsub("\n", "")
  error({ ("%s:%d: %s"):format(p.name, lines + 1, problem) }, 0)
end

local function skip(p)
  while true do
    local at = p.text:match("^%s*()", p.at)
    local long = p.text:match("^%-%-%[(=*)%[", at)
    if long then
      local _, stop = p.text:find("]" .. long .. "]", at, true)
      p.at = stop and stop + 1 or #p.text + 1
    elseif p.text:find("^%-%-", at) then
      p.at = p.text:match("^[^\n]*()", at)
    else
      p.at = at
      return
    end
  end
end

local function accept(p, pattern)
  skip(p)
  local found, stop = p.text:match("^(" .. pattern .. ")()", p.at)
  if found then p.at = stop end
  return found
end

local function expect(p, pattern, what)
  local found = accept(p, pattern)
  if not found then fail(p, what .. " expected near '" .. p.text:sub(p.at, p.at + 9):gsub("\n.*", "") .. "'") end
  return found
end

local function unescape(p)
  local digits = p.text:match("^%d%d?%d?", p.at)
  if digits then
    p.at = p.at + #digits
    if tonumber(digits) > 255 then fail(p, "\\" .. digits .. " is no byte") end
    return string.char(tonumber(digits))
  end
  local hex = p.text:match("^x(%x%x)", p.at)
  if hex then
    p.at = p.at + 3
    return string.char(tonumber(hex, 16))
  end
  local c = p.text:sub(p.at, p.at)
  p.at = p.at + 1
  if c == "z" then
    p.at = p.text:match("^%s*()", p.at)
    return ""
  end
  if c:find("^%w") and not escapes[c] then fail(p, "unknown escape \\" .. c) end
  return escapes[c] or c
end

local function quoted(p, quote)
  local parts = {}
  while true do
    local plain, stop = p.text:match("^([^\\\n" .. quote .. "]*)()", p.at)
    parts[#parts + 1] = plain
    p.at = stop
    local c = p.text:sub(stop, stop)
    if c ~= quote and c ~= "\\" then fail(p, "unfinished string") end
    p.at = stop + 1
    if c == quote then return table.concat(parts) end
    parts[#parts + 1] = unescape(p)
  end
end

local function long_string(p, level)
  local text, stop = p.text:match("^\r?\n?(.-)%]" .. level .. "%]()", p.at)
  if not text then fail(p, "unfinished string") end
  p.at = stop
  return text
end

local function string_part(p)
  local quote = accept(p, "[\"']")
  if quote then return quoted(p, quote) end
  local open = accept(p, "%[=*%[")
  return open and long_string(p, open:sub(2, -2))
end

local parse_value

local function parse_table(p, depth)
  local t = {}
  if depth > DEPTH then fail(p, "tables in tables in tables") end
  while not accept(p, "}") do
    local name = accept(p, "[%a_][%w_]*%s*=%f[^=]")
    if name then
      t[name:match("^[%w_]+")] = parse_value(p, depth)
    else
      t[#t + 1] = parse_value(p, depth)
    end
    if not accept(p, "[,;]") then
      expect(p, "}", "'}'")
      break
    end
  end
  return t
end

local words = { ["true"] = true, ["false"] = false, ["math.huge"] = math.huge }

function parse_value(p, depth)
  if accept(p, "{") then return parse_table(p, depth + 1) end
  local s = string_part(p)
  if s then
    local parts = { s }
    while accept(p, "%.%.") do parts[#parts + 1] = string_part(p) or fail(p, "a string expected after ..") end
    return table.concat(parts)
  end
  local word = expect(p, "[%w_.+-]+", "a value")
  local number = tonumber(word)
  if number then return number end
  if words[word] == nil then fail(p, "'" .. word .. "' is no value that a script may have") end
  return words[word]
end

local function parse(p)
  p.text = p.text:gsub("^#[^\n]*", "")
  expect(p, "return%f[^%w_]", "'return'")
  expect(p, "{", "a table")
  local t = parse_table(p, 1)
  accept(p, ";")
  skip(p)
  if p.at <= #p.text then fail(p, "nothing more expected") end
  return t
end

--- The table that the text of a script file is, or nil and what is wrong with it. name is for that.
function M.parse(text, name)
  local ok, result = pcall(parse, { text = text, at = 1, name = name or "script" })
  if ok then return result end
  if type(result) == "table" then return nil, result[1] end
  error(result, 0)
end

--- The same of a file.
function M.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local text = file:read("*a")
  file:close()
  if not text then return nil, path .. ": it cannot be read" end
  return M.parse(text, path)
end

return M
