-- SPDX-License-Identifier: MIT
-- awcat as a process of its own, in a fresh folder for each test, for which @ stands in arguments and names.

local lu = require "luaunit"
local check = require "support.check"
local child = require "support.child"

local M = {}

local dir
local started = {} -- process ids that a failing test must not leave behind

M.BIG = check.pattern(3000000)

--- The name of a file in the folder.
function M.path(name) return dir .. "/" .. name end

function M.save(name, bytes)
  local file = assert(io.open(M.path(name), "wb"))
  file:write(bytes)
  file:close()
end

function M.load_file(name)
  local file = assert(io.open(M.path(name), "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

function M.exists(name)
  local file = io.open(M.path(name), "rb")
  if file then file:close() end
  return file ~= nil
end

--- Gives the tests T their folder.
function M.fixture(T)
  function T.setUp()
    local pipe = assert(io.popen("mktemp -d"))
    dir = assert(pipe:read("*l"))
    pipe:close()
    M.save("awcat.lua", 'os.exit(require("asyncwrite.awcat").main(arg), true)')
  end

  function T.tearDown()
    for pid in pairs(started) do os.execute(("kill -KILL %s 2>/dev/null"):format(pid)) end
    started = {}
    os.execute("rm -rf " .. child.quote(dir))
  end
end

--- A process that ends with the test.
function M.guard(pid) started[pid] = true end

--- The shell command that runs awcat with these arguments.
function M.command(arguments) return ("%s %s %s"):format(child.lua, M.path("awcat.lua"), (arguments:gsub("@", dir))) end

--- Runs a shell command to its end: { code, out, err }.
function M.sh(command) return child.sh((command:gsub("@", dir)), 60) end

--- Likewise awcat.
function M.run(arguments) return child.sh(M.command(arguments), 60) end

function M.assert_ok(result)
  if result.code ~= 0 then lu.fail(("awcat ended with %s: %s"):format(tostring(result.code), result.err)) end
end

--- It failed with that status, one line on stderr that holds the texts, and nothing on stdout.
function M.assert_failed(result, code, ...)
  lu.assertEquals(result.code, code, result.err)
  lu.assertEquals(result.out or "", "")
  lu.assertStrMatches(result.err, "awcat: [^\n]+\n")
  for i = 1, select("#", ...) do lu.assertStrContains(result.err, (select(i, ...))) end
end

local Running = {}
Running.__index = Running

--- Starts it beside this process; its stdout goes to the file "out". before: words in front of the command.
function M.start(arguments, before)
  local inner = ("echo $$; exec 2>&1 >%s </dev/null; exec %s %s"):format(M.path("out"), before or "", M.command(arguments))
  local pipe = assert(io.popen("exec 2>/dev/null; sh -c " .. child.quote(inner) .. "; echo \"status $?\""))
  local pid = pipe:read("*l")
  started[pid] = true
  return setmetatable({ pipe = pipe, pid = pid }, Running)
end

--- The next line of its stderr; blocks.
function Running:line() return (assert(self.pipe:read("*l"), "awcat ended early")) end

--- Where it listens, as an address to connect to.
function Running:address() return (assert(self:line():match("^awcat: listening on (%S+)$"))) end

function Running:signal(name) os.execute(("kill -%s %s"):format(name, self.pid)) end

--- Waits for its end: its status, and all that was left on its stderr.
function Running:wait()
  local rest, status = self.pipe:read("*a"):match("^(.*)status (%d+)\n$")
  self.pipe:close()
  started[self.pid] = nil
  return tonumber(status), rest
end

return M
