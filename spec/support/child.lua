-- SPDX-License-Identifier: MIT
-- Other processes: Lua scripts with the library, run to their end or kept as a peer that can be killed by its id.

local lu = require "luaunit"

local M = {}

M.lua = os.getenv("SPEC_LUA") or arg[-1] or "lua5.4"
M.build = os.getenv("SPEC_BUILD") or "build/lua5.4"
M.sanitized = M.lua:find("libasan", 1, true) ~= nil

local function slurp(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read("*a")
  file:close()
  os.remove(path)
  return text
end

function M.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- Is that program there?
function M.has(program)
  local pipe = assert(io.popen("command -v " .. program .. " 2>/dev/null"))
  local path = pipe:read("*l")
  pipe:close()
  return path ~= nil
end

--- Skips the running test, saying why on the terminal too.
function M.skip(reason)
  print("\nskipped: " .. reason)
  lu.skip(reason)
end

--- Skips the test where one of the programs is missing or the sanitizers are in the way of preloading.
function M.need(...)
  for i = 1, select("#", ...) do
    if not M.has((select(i, ...))) then M.skip((select(i, ...)) .. " is not installed") end
  end
end

--- Skips the test under the sanitizers.
function M.not_sanitized(what)
  if M.sanitized then M.skip(what .. " and the sanitizers exclude each other") end
end

local function with_preload(so)
  if not so then return M.lua end
  if M.sanitized then return (M.lua:gsub("LD_PRELOAD=(%S+)", "LD_PRELOAD=%1:" .. so)) end
  return "env LD_PRELOAD=" .. M.quote(so) .. " " .. M.lua
end

--- Runs a shell command to its end, at most seconds (60). Returns { code, out, err }; a signal's code is 128 + number.
function M.sh(command, seconds)
  local base = os.tmpname()
  local wrapped = ("{ timeout -k 5 %d sh -c %s ; } >%s.out 2>%s.err </dev/null; echo $? >%s.rc"):format(seconds or 60,
    M.quote(command), base, base, base)
  os.execute(wrapped)
  os.remove(base)
  return { code = tonumber(slurp(base .. ".rc")), out = slurp(base .. ".out"), err = slurp(base .. ".err") }
end

local function write_script(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(script)
  file:close()
  return path
end

--- Runs a Lua script in a process of its own. options: wrap (a command in front of it), preload (a shared object),
--- before (shell words run first, such as "ulimit -n 32;"), seconds. The result has file, the script's name in errors.
function M.run(script, options)
  options = options or {}
  local path = write_script(script)
  local result = M.sh(("%s exec %s %s %s"):format(options.before or "", options.wrap or "", with_preload(options.preload),
    path), options.seconds)
  os.remove(path)
  result.file = path
  return result
end

--- run, which must succeed and say nothing on stderr. Returns what it printed.
function M.check(script, options)
  local result = M.run(script, options)
  if result.code ~= 0 or result.err ~= "" then
    lu.fail(("the child ended with %s\n%s%s"):format(tostring(result.code), result.out, result.err))
  end
  return result.out
end

local Peer = {}
Peer.__index = Peer
local peers = {} -- those that have not been waited for

--- Starts a Lua script beside this process: peer.pid, peer:line() (blocks), peer:kill([signal]), peer:wait(). command:
--- a shell command in which LUA stands for the call of the script. It ends by itself after a minute.
function M.start(script, command)
  local path = write_script(script)
  local call = (command or "LUA"):gsub("LUA", function() return M.lua .. " " .. path end)
  local bounded = "exec timeout -k 1 60 sh -c " .. M.quote("echo $$; exec " .. call .. " </dev/null")
  local pipe = assert(io.popen(bounded, "r"))
  local pid = assert(tonumber(pipe:read("*l")), "no process id")
  local peer = setmetatable({ pipe = pipe, pid = pid, path = path }, Peer)
  peers[peer] = true
  return peer
end

--- The next line that it prints.
function Peer:line() return (assert(self.pipe:read("*l"), "the peer ended early")) end

function Peer:kill(signal) os.execute(("kill -%s %d 2>/dev/null"):format(signal or "KILL", self.pid)) end

--- Waits for its end; what else it printed.
function Peer:wait()
  peers[self] = nil
  local rest = self.pipe:read("*a")
  self.pipe:close()
  os.remove(self.path)
  return rest
end

--- Kills what tests that failed have left running: the tearDown of every spec that starts peers.
function M.reap()
  for peer in pairs(peers) do
    peer:kill()
    peer:wait()
  end
end

--- Compiles a shared object or module from C under spec/support, once per run. Returns its path.
local compiled = {}
function M.compile(name, flags)
  if compiled[name] then return compiled[name] end
  local cc = os.getenv("CC") or "cc"
  if not M.has(cc) then M.skip("no C compiler " .. cc) end
  local pwd = io.popen("pwd")
  local cwd = pwd:read("*l")
  pwd:close()
  local out = ("%s/%s/%s.so"):format(cwd, M.build, name)
  -- Through another name: a second run beside this one may be loading it.
  local result = M.sh(("%s -O1 -g -fPIC -shared -D_GNU_SOURCE -o %s.$$ spec/support/%s.c %s && mv %s.$$ %s"):format(cc,
    out, name, flags or "", out, out))
  if result.code ~= 0 then lu.fail("cc: " .. result.err) end
  compiled[name] = out
  return out
end

--- The module of support/posix.c; in a child: the Lua text that loads it.
function M.posix() return assert(package.loadlib(M.compile("posix"), "luaopen_posix"))() end
function M.posix_text()
  return ("local posix = assert(package.loadlib(%q, 'luaopen_posix'))()\n"):format(M.compile("posix"))
end

return M
