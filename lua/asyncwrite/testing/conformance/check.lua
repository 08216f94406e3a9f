-- SPDX-License-Identifier: MIT
-- Assertions that need no test framework, so that the clauses can become a kit that runs under any.

local M = {}

local function show(value)
  if type(value) ~= "string" then return tostring(value) end
  if #value > 120 then value = value:sub(1, 117) .. "..." end
  return ("%q"):format(value):gsub("\\\n", "\\n")
end

local function first_difference(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    if a:byte(i) ~= b:byte(i) then return i end
  end
  return n + 1
end

local function compare_strings(got, want)
  local at = first_difference(got, want)
  local from = math.max(1, at - 20)
  return ("%d bytes expected, got %d; they differ at byte %d: expected ...%s, got ...%s"):format(#want, #got, at,
    show(want:sub(from, at + 40)), show(got:sub(from, at + 40)))
end

function M.fail(...) error(string.format(...), 0) end

function M.equal(got, want, what)
  if got == want then return end
  what = what or "value"
  if type(got) == "string" and type(want) == "string" and #got + #want > 160 then
    M.fail("%s: %s", what, compare_strings(got, want))
  end
  M.fail("%s: expected %s, got %s", what, show(want), show(got))
end

--- The values, or the error that the first of them being nil or false means.
function M.ok(value, message, ...)
  if not value then error(message or "it should be true", 0) end
  return value, message, ...
end

--- The results of a call, with its code third: nil and this code (or one of a list).
function M.fails(codes, what, value, message, code)
  if value ~= nil then M.fail("%s: expected %s, got %s", what, tostring(codes), show(value)) end
  if type(message) ~= "string" or type(code) ~= "string" then
    M.fail("%s: expected nil, message, code, got nil, %s, %s", what, show(message), show(code))
  end
  if not (" " .. codes .. " "):find(" " .. code .. " ", 1, true) then
    M.fail("%s: expected %s, got %s (%s)", what, codes, code, message)
  end
end

--- A count of bytes of s, as poll_write gives it (P1).
function M.count(s, n, message, code)
  if code == "ECONTRACT" then M.fail("it counts more than it was given: %s (P1)", message) end
  if n == nil and code then M.fail("a count expected, got %s (%s)", code, tostring(message)) end
  if type(n) ~= "number" or n % 1 ~= 0 or n < 0 or n > #s then
    M.fail("a count from 0 to %d expected, got %s (P1)", #s, show(n))
  end
  return n
end

--- f raises an error whose text has all of these parts.
function M.raises(parts, what, f, ...)
  local ok, err = pcall(f, ...)
  if ok then M.fail("%s: it raised nothing, an error with '%s' was expected", what, parts[1]) end
  for _, part in ipairs(parts) do
    if not tostring(err):find(part, 1, true) then M.fail("%s: '%s' is not in its error: %s", what, part, tostring(err)) end
  end
end

--- Two lists of strings, such as a trace.
function M.list(got, want, what)
  local a, b = table.concat(got, "\n  "), table.concat(want, "\n  ")
  if a ~= b then M.fail("%s: expected\n  %s\ngot\n  %s", what or "trace", b, a) end
end

return M
