-- SPDX-License-Identifier: MIT
-- What specs check again and again: errors of misuse with their place, failures as triples, a run that must end.

local lu = require "luaunit"
local aw = require "asyncwrite"

local M = {}

M.LIMIT = 30 -- seconds until a test that waits for an event is given up; no test ever gets near it

--- aw.run(f), failing instead of hanging: f is dropped at the limit, or after seconds.
function M.run(f, seconds)
  seconds = seconds or M.LIMIT
  return aw.run(function()
    local ended = false
    local function body()
      local function done(...)
        ended = true
        return ...
      end
      return done(f())
    end
    local function results(...)
      if not ended then lu.fail("the test did not end within " .. seconds .. " s: " .. tostring((select(2, ...)))) end
      return ...
    end
    return results(aw.timeout(seconds, body))
  end)
end

--- A test function: f as the main task of a run.
function M.in_task(f)
  return function() M.run(f) end
end

--- Calls f with the port of a server on loopback that answers no connect: its backlog is full. In a task.
function M.silent_server(f)
  local listener, made = assert(aw.tcp.listen("127.0.0.1", 0, { backlog = 1 })), {}
  local _, port = listener:local_addr()
  for _ = 1, 8 do made[#made + 1] = aw.timeout(0.05, aw.tcp.connect, "127.0.0.1", port) or nil end
  f(port)
  listener:close()
  for _, conn in ipairs(made) do conn:close() end
end

--- f must raise; its error as text must hold all the plain texts. Returns that text.
function M.raises(f, ...)
  local ok, err = pcall(f)
  if ok then lu.fail("no error was raised, expected: " .. tostring((...))) end
  if type(err) == "table" and err.class then error(err, 0) end -- LuaUnit's own
  local text = tostring(err)
  for i = 1, select("#", ...) do
    local expected = select(i, ...)
    if not text:find(expected, 1, true) then lu.fail(("error '%s' does not hold '%s'"):format(text, expected)) end
  end
  return text
end

--- f, written on one line, must raise exactly that text, positioned at that line.
function M.misuse(f, text)
  local info = debug.getinfo(f, "S")
  local ok, err = pcall(f)
  lu.assertFalse(ok, "no error was raised, expected: " .. text)
  lu.assertEquals(err, ("%s:%d: %s"):format(info.short_src, info.linedefined, text))
end

--- A test of a list: functions written on one line, each followed by the text that it must raise at that line. In a
--- task. All faults are shown at once.
function M.misuses(list)
  return M.in_task(function()
    local faults = {}
    for i = 1, #list, 2 do
      local info = debug.getinfo(list[i], "S")
      local expected = ("%s:%d: %s"):format(info.short_src, info.linedefined, list[i + 1])
      local ok, err = pcall(list[i])
      if ok or err ~= expected then
        faults[#faults + 1] = ("%s\n  instead of %s"):format(ok and "no error" or tostring(err), expected)
      end
    end
    if #faults > 0 then lu.fail(table.concat(faults, "\n")) end
  end)
end

--- f(...) with io.stderr silenced.
function M.quiet(f, ...)
  local stderr = io.stderr
  io.stderr = { write = function() end } -- luacheck: ignore
  local function done(...)
    io.stderr = stderr -- luacheck: ignore
    return ...
  end
  return done(f(...))
end

--- What follows are results: they must be nil, "CODE: text", "CODE". Returns what comes after.
function M.fails(code, first, message, got, ...)
  lu.assertNil(first, "a failure was expected: " .. code)
  lu.assertEquals(got, code, tostring(message))
  lu.assertStrMatches(message, "^[A-Z0-9]+: .+", nil, nil, "the message names its code")
  return ...
end

--- Polls f until it holds, letting the loop turn in between.
function M.eventually(f)
  local limit = aw.now() + M.LIMIT
  while not f() do
    if aw.now() > limit then lu.fail("it did not come to be within " .. M.LIMIT .. " s") end
    aw.sleep(0.001)
  end
end

--- Yields until all others that are ready now have run and wait.
function M.settle()
  for _ = 1, 20 do aw.yield() end
end

local function first_number(path)
  local file = io.open(path)
  local n = file and file:read("*n")
  if file then file:close() end
  return n
end

--- The id of this process; nil where there is no /proc.
function M.pid() return first_number("/proc/self/stat") end

--- How many descriptors this process holds open, below 2048. Looks without opening any of them.
function M.fd_count()
  local n = 0
  for fd = 0, 2047 do
    local file = io.open("/proc/self/fdinfo/" .. fd)
    if file then
      n = n + 1
      file:close()
    end
  end
  return n
end

--- Resident memory in KiB; of another process by its id.
function M.resident(pid)
  local file = assert(io.open(("/proc/%s/status"):format(pid or "self"))) -- closed at once: descriptors are counted too
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("VmRSS:%s*(%d+)"))
end

--- n bytes in which no two places look alike.
function M.pattern(n)
  local parts, size, i = {}, 0, 0
  while size < n do
    i = i + 1
    parts[i] = ("%d:%d;"):format(i, (i * 7919) % 65521)
    size = size + #parts[i]
  end
  return table.concat(parts):sub(1, n)
end

--- Equality of long strings without printing them.
function M.same_bytes(got, expected)
  if got == expected then return end
  local at = 1
  while got:byte(at) == expected:byte(at) do at = at + 1 end
  lu.fail(("%d bytes instead of %d, different from byte %d on"):format(#got, #expected, at))
end

return M
