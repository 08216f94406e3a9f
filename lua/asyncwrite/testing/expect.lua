-- SPDX-License-Identifier: MIT
-- What a poll has returned, as assertions. They take its results: assert_pending(w:poll_write("x")). Under LuaUnit and
-- busted they are failures of the test, elsewhere errors.

local core = require "asyncwrite.core"
core.library()
local diff = require "asyncwrite.testing.diff"

local M = {}

--- Fails the test that runs.
function M.fail(message)
  local lu, luassert = package.loaded.luaunit, package.loaded.luassert
  if type(lu) == "table" and lu.fail then lu.fail(message) end
  if package.loaded.busted and luassert then luassert(false, message) end
  error(message, 0)
end

local function is_error(n, first, _, code) return n >= 3 and first == nil and type(code) == "string" end

local function describe(...)
  local n = select("#", ...)
  local first, message, code = ...
  if n == 0 or n == 1 and first == nil then return "Ready: nil, the end of file" end
  if first == false and n == 1 then return "NotReady" end
  if is_error(n, ...) then return ("Err: %s (%s)"):format(tostring(message), code) end
  local values = {}
  for i = 1, n do values[i] = diff.show((select(i, ...))) end
  return "Ready: " .. table.concat(values, ", ")
end

local function is_pending(...) return select("#", ...) == 1 and (...) == false end

--- The results of a poll are NotReady.
function M.assert_pending(...)
  if not is_pending(...) then M.fail("a poll: expected NotReady, got " .. describe(...)) end
  return ...
end

--- They are Ready; returns them. The end of file is Ready.
function M.assert_ready(...)
  if is_pending(...) or is_error(select("#", ...), ...) then M.fail("a poll: expected Ready, got " .. describe(...)) end
  return ...
end

--- They are an error with this code; with nil: with any. Returns the message, the code and what follows them.
function M.assert_error(code, ...)
  if code ~= nil and type(code) ~= "string" then
    core.arg_error("assert_error", 1, "code", "string or nil expected, got " .. type(code))
  end
  if not is_error(select("#", ...), ...) or code and select(3, ...) ~= code then
    M.fail(("a poll: expected Err%s, got %s"):format(code and " (" .. code .. ")" or "", describe(...)))
  end
  return select(2, ...)
end

return M
