-- SPDX-License-Identifier: MIT
-- An nginx of our own, in a folder of its own, with the module built for LuaJIT; a client of it; and a slow peer.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local M = {}

M.modules = os.getenv("NGINX_MODULES") or "/usr/lib/nginx/modules"
M.build = os.getenv("NGINX_BUILD") or "build/luajit"

local function readable(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function slurp(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end
M.slurp = slurp

local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("*l")
  pipe:close()
  return line
end

--- Why there is no nginx to test with, or nil.
function M.missing()
  local core = M.build .. "/asyncwrite/core.so"
  if not child.has("nginx") then return "nginx is not installed" end
  if not readable(M.modules .. "/ngx_http_lua_module.so") then
    return "nginx has no module ngx_http_lua (Debian: libnginx-mod-http-lua)"
  end
  if not readable(core) then return core .. " is not built: make LUA=luajit" end
  if child.sh("find csrc -newer " .. core .. " -name '*.[ch]'").out ~= "" then
    return core .. " is older than csrc: make LUA=luajit"
  end
end

local Nginx = {}
Nginx.__index = Nginx
local server -- the one that runs

-- Each nginx of ours has its bridges in its own folder.
local INIT = [[init_by_lua_block {
    require "asyncwrite"
    local host = require "asyncwrite.host.resty"
    host.folder, host.drain, host.stuck_after = "%s", %g, %g
  }]]
local START_WORKER = 'init_worker_by_lua_block { require("asyncwrite.host.resty").start_worker() }'

--- Starts it, again after quit. In the configuration VALUES stand for @NAME@.
function Nginx:launch()
  local result = child.sh(("nginx -p %s -c %s/nginx.conf"):format(self.prefix, self.prefix))
  if result.code ~= 0 then lu.fail("nginx: " .. result.err) end
  self.pid = tonumber(slurp(self.prefix .. "/pid"))
  self:guard()
  return self
end

-- A run that is killed leaves no nginx behind: a shell in the background sees this process go.
function Nginx:guard()
  local me = first_line("echo $PPID")
  os.execute(("(while kill -0 %d; do kill -0 %s || kill -TERM %d; sleep 1; done) >/dev/null 2>&1 </dev/null &")
    :format(self.pid, me, self.pid))
end

--- options: workers (1), cache ("on"), lazy (true: the workers' init does nothing), app (the module that answers),
--- as_root (true: workers may write where this process may), drain (60), stuck_after (10), seconds (30), and
--- configuration: main, init.
function M.start(options)
  options = options or {}
  local why = M.missing()
  if why then child.skip(why) end
  local prefix = os.tmpname()
  os.remove(prefix)
  os.execute("mkdir -p " .. prefix .. " && chmod 1777 " .. prefix)
  local main = options.main or ""
  if options.as_root and first_line("id -u") == "0" then main = main .. " user root;" end
  local values = {
    ROOT = first_line("pwd"), BUILD = M.build, PREFIX = prefix, MODULES = M.modules, MAIN = main,
    WORKERS = tostring(options.workers or 1), CACHE = options.cache or "on", APP = options.app or "app",
    INIT = options.init or INIT:format(prefix, options.drain or 60, options.stuck_after or 10),
    INIT_WORKER = options.lazy and "" or START_WORKER,
  }
  local conf = assert(io.open(prefix .. "/nginx.conf", "wb"))
  conf:write((slurp("spec/interop/nginx/nginx.conf"):gsub("@([A-Z_]+)@", values)))
  conf:close()
  server = setmetatable({ prefix = prefix, http = prefix .. "/http", root = values.ROOT }, Nginx)
  return server:launch()
end

--- For tearDown: stops what still runs and removes its folder.
function M.stop()
  if not server then return end
  server:signal("TERM")
  for _ = 1, 100 do
    if M.gone(server.pid) then break end
    os.execute("sleep 0.05")
  end
  if not M.gone(server.pid) then server:signal("KILL") end
  os.execute("rm -rf " .. server.prefix)
  server = nil
end

--- A test: f(nginx) in a task, with an nginx of these options.
function M.test(options, f)
  return function()
    local nginx = M.start(options)
    check.run(function() f(nginx) end, options and options.seconds)
  end
end

function Nginx:signal(name, pid) os.execute(("kill -%s %d 2>/dev/null"):format(name, pid or self.pid)) end
function Nginx:log() return slurp(self.prefix .. "/error.log") end

--- Has that process ended?
function M.gone(pid)
  local state = slurp("/proc/" .. pid .. "/stat"):match("%) (%a)")
  return state == nil or state == "Z"
end

--- Ends it after the requests it has accepted.
function Nginx:quit()
  self:signal("QUIT")
  check.eventually(function() return M.gone(self.pid) end)
end

--- Every worker has exited by itself with 0, nginx has nothing to complain of, and no path is left. Returns how many
--- have exited. killed: one may have died of SIGKILL.
function Nginx:assert_clean(killed)
  local exits = 0
  for line in self:log():gmatch("[^\n]+") do
    if line:find("%[alert%]") or line:find("%[crit%]") or line:find("%[emerg%]") then
      if not (killed and line:find("exited on signal 9")) then lu.fail(line) end
    end
    local code = line:match("exited with code (%d+)")
    if code then
      exits = exits + 1
      lu.assertEquals(code, "0", line)
    end
  end
  lu.assertEquals(child.sh("ls " .. self.prefix .. "/asyncwrite-* /tmp/asyncwrite-* 2>/dev/null").out, "")
  return exits
end

-- ---- A client ----
--- The body of the answer, or nil and what went wrong; asked is called when the request is out.
function Nginx:get(path, asked)
  local c, message = aw.unix.connect(self.http)
  if not c then return nil, message end
  c:write_all("GET ", path, " HTTP/1.0\r\n\r\n")
  if asked then asked() end
  local text, why = c:read_to_end()
  c:close()
  if not text then return nil, why end
  local status, body = text:match("^HTTP/1%.[01] (%d+).-\r\n\r\n(.*)$")
  if status ~= "200" then return nil, text ~= "" and text or "no answer" end
  return (body:gsub("\n$", ""))
end

--- Asks for /ping until going() is false; the seconds that each answer took.
function Nginx:pings(going)
  local times = {}
  while going() do
    local before = aw.now()
    lu.assertEquals(self:get("/ping"), "pong")
    times[#times + 1] = aw.now() - before
    aw.sleep(0.001)
  end
  return times
end

--- A peer that pauses between its reads, and answers with the count of what it got: its path, and what ends it.
function M.slow_peer(pause)
  local path = os.tmpname()
  os.remove(path)
  local listener = assert(aw.unix.listen(path))
  os.execute("chmod 666 " .. path) -- workers of a master of root are nobody
  local serving = aw.spawn(function()
    listener:serve(function(stream)
      local count = 0
      while true do
        local s = stream:read(32768)
        if not s then break end
        count = count + #s
        aw.sleep(pause)
      end
      stream:write_all(tostring(count))
      stream:shutdown()
    end)
  end)
  return path, function()
    listener:close()
    serving:join()
  end
end

--- n streams of size bytes to the slow peer at once. Returns a function that waits for their end and fails if one has.
function Nginx:streams(peer, n, size)
  local asked, done, bad = 0, 0, nil
  for _ = 1, n do
    aw.spawn(function()
      local answer, why = self:get(("/stream?size=%d&peer=%s"):format(size, peer), function() asked = asked + 1 end)
      done = done + 1
      if answer ~= tostring(size) then bad = tostring(answer or why) end
    end)
  end
  check.eventually(function() return asked == n end)
  return function(beside)
    if beside then beside(function() return done < n end) end
    check.eventually(function() return done == n end)
    lu.assertNil(bad)
  end
end

-- ---- What /proc knows of a process ----
function M.threads(pid) return tonumber(slurp("/proc/" .. pid .. "/status"):match("Threads:%s*(%d+)")) end

--- Seconds of processor time that all its threads have used.
function M.cpu(pid)
  local total = 0
  for line in io.popen("cat /proc/" .. pid .. "/task/*/schedstat 2>/dev/null"):lines() do
    total = total + tonumber(line:match("^%d+"))
  end
  return total / 1e9
end

return M
