-- SPDX-License-Identifier: MIT
-- Inside a real nginx: asyncwrite.host.resty and asyncwrite.resty, with the module built for LuaJIT in build/luajit.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local T = {}

local MODULES = os.getenv("NGINX_MODULES") or "/usr/lib/nginx/modules"
local BUILD = os.getenv("NGINX_BUILD") or "build/luajit"
local PING_P99 = 0.005 -- seconds

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

local function missing()
  if not child.has("nginx") then return "nginx is not installed" end
  if not readable(MODULES .. "/ngx_http_lua_module.so") then return "nginx has no module ngx_http_lua" end
  if not readable(BUILD .. "/asyncwrite/core.so") then return BUILD .. " is not built: make LUA=luajit" end
end

-- ---- An nginx of our own ----
local Nginx = {}
Nginx.__index = Nginx
local server -- the one that runs

local function launch(self)
  local result = child.sh(("nginx -p %s -c %s/nginx.conf"):format(self.prefix, self.prefix))
  if result.code ~= 0 then lu.fail("nginx: " .. result.err) end
  self.pid = tonumber(slurp(self.prefix .. "/pid"))
  return self
end

local function start(options)
  options = options or {}
  local why = missing()
  if why then child.skip(why) end
  local prefix = os.tmpname()
  os.remove(prefix)
  os.execute("mkdir -p " .. prefix .. " && chmod 755 " .. prefix)
  local values = {
    ROOT = io.popen("pwd"):read("*l"), BUILD = BUILD, PREFIX = prefix, MODULES = MODULES,
    WORKERS = tostring(options.workers or 1), CACHE = options.cache or "on",
    INIT_WORKER = options.lazy and "" or
      'init_worker_by_lua_block { require("asyncwrite.host.resty").start_worker() }',
  }
  local conf = assert(io.open(prefix .. "/nginx.conf", "wb"))
  conf:write((slurp("spec/interop/nginx/nginx.conf"):gsub("@([A-Z_]+)@", values)))
  conf:close()
  server = setmetatable({ prefix = prefix, http = prefix .. "/http", root = values.ROOT }, Nginx)
  return launch(server)
end

function Nginx:signal(name, pid) os.execute(("kill -%s %d 2>/dev/null"):format(name, pid or self.pid)) end
function Nginx:log() return slurp(self.prefix .. "/error.log") end

local function gone(pid)
  local state = slurp("/proc/" .. pid .. "/stat"):match("%) (%a)")
  return state == nil or state == "Z"
end

function Nginx:quit()
  self:signal("QUIT")
  check.eventually(function() return gone(self.pid) end)
end

-- Every worker has exited by itself with 0, and nginx has nothing to complain of.
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
  lu.assertEquals(child.sh("ls /tmp/asyncwrite-* 2>/dev/null").out, "")
  return exits
end

function T.tearDown()
  if not server then return end
  server:signal("TERM")
  for _ = 1, 100 do
    if gone(server.pid) then break end
    os.execute("sleep 0.05")
  end
  if not gone(server.pid) then server:signal("KILL") end
  os.execute("rm -rf " .. server.prefix)
  server = nil
end

-- ---- A client ----
-- The body of the answer, or nil and what went wrong; asked is called when the request is out.
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

-- A peer that reads slowly what it is sent and answers with the count.
local function slow_peer(pause)
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

local function percentile(times, p)
  table.sort(times)
  return times[math.max(1, math.ceil(#times * p))]
end

-- f(nginx) in a task with an nginx.
local function with_nginx(options, f)
  return function()
    local nginx = start(options)
    check.run(function() f(nginx) end, 120)
  end
end

T.test_tasks_are_light_threads_that_join_cancel_and_time_out = with_nginx(nil, function(nginx)
  lu.assertEquals(nginx:get("/tasks"),
    "ETIMEDOUT 0,500500,ECANCELED,true,false cannot wait here,turns,false lost it")
  nginx:quit()
  nginx:assert_clean()
end)

T.test_threads_that_nginx_kills_leave_no_task = with_nginx(nil, function(nginx)
  for _ = 1, 20 do lu.assertEquals(nginx:get("/exit"), "bye") end
  nginx:get("/count")
  lu.assertEquals(nginx:get("/count"), "0")
end)

T.test_the_response_and_a_cosocket_are_writers = with_nginx(nil, function(nginx)
  local body = assert(nginx:get("/body?lines=20000"))
  lu.assertEquals(#body, 20000 * 20 - 1)
  lu.assertStrContains(body, ("%018d\r\n%018d\r\n"):format(9999, 10000))
  lu.assertEquals(nginx:get("/cosocket?lines=5000&http=" .. nginx.http), "ENOTSUP all EPIPE ETIMEDOUT")
end)

T.test_phases_that_cannot_wait_say_so = with_nginx(nil, function(nginx)
  lu.assertEquals(nginx:get("/phases"), "phases")
  local log = nginx:log()
  for _, phase in ipairs { "access", "rewrite" } do lu.assertStrContains(log, "phase " .. phase .. ": waits") end
  for _, phase in ipairs { "header_filter", "body_filter", "log" } do
    lu.assertStrContains(log, ("phase %s: false nginx's phase '%s' cannot wait"):format(phase, phase))
  end
end)

local function pings(nginx, going)
  local times = {}
  while going() do
    local before = aw.now()
    lu.assertEquals(nginx:get("/ping"), "pong")
    times[#times + 1] = aw.now() - before
    aw.sleep(0.001)
  end
  return times
end

-- Others may use this machine: the best of three counts.
T.test_64_requests_stream_to_a_slow_peer_while_ping_answers = with_nginx(nil, function(nginx)
  local peer, close = slow_peer(0.02)
  local best, worst = math.huge, nil
  for _ = 1, 3 do
    local left = 64
    for _ = 1, 64 do
      aw.spawn(function()
        local answer = nginx:get("/stream?size=600000&peer=" .. peer)
        left = left - 1
        worst = worst or (answer ~= "600000" and tostring(answer)) or nil
      end)
    end
    best = math.min(best, percentile(pings(nginx, function() return left > 0 end), 0.99))
    if best < PING_P99 then break end
  end
  close()
  lu.assertNil(worst)
  print(("ping p99 beside 64 streams: %.2f ms"):format(best * 1000))
  lu.assertTrue(best < PING_P99, ("ping p99 %.2f ms"):format(best * 1000))
end)

-- Streams that are under way while change() happens; all must end well.
local function streams_during(nginx, peer, n, change)
  local asked, done, bad = 0, 0, nil
  for _ = 1, n do
    aw.spawn(function()
      local answer, why = nginx:get("/stream?size=400000&peer=" .. peer, function() asked = asked + 1 end)
      done = done + 1
      if answer ~= "400000" then bad = tostring(why) end
    end)
  end
  check.eventually(function() return asked == n end)
  aw.sleep(0.1) -- and accepted
  change()
  check.eventually(function() return done == n end)
  lu.assertNil(bad)
end

T.test_three_reloads_under_traffic_fail_no_request = with_nginx({ workers = 2 }, function(nginx)
  local peer, close = slow_peer(0.01)
  local going, n = true, 0
  local pinger = aw.spawn(function() n = #pings(nginx, function() return going end) end)
  for _ = 1, 3 do streams_during(nginx, peer, 8, function() nginx:signal("HUP") end) end
  going = false
  pinger:join()
  close()
  lu.assertTrue(n > 50)
  check.eventually(function() return select(2, nginx:log():gsub("exited with code 0", "")) >= 6 end)
  nginx:quit()
  lu.assertTrue(nginx:assert_clean() >= 8)
end)

T.test_three_quits_under_traffic_finish_what_was_accepted = with_nginx({ workers = 2 }, function(nginx)
  local peer, close = slow_peer(0.01)
  for round = 1, 3 do
    if round > 1 then launch(nginx) end
    streams_during(nginx, peer, 8, function() nginx:quit() end)
  end
  close()
  lu.assertTrue(nginx:assert_clean() >= 6)
end)

T.test_a_worker_that_is_killed_is_replaced = with_nginx(nil, function(nginx)
  local peer, close = slow_peer(0)
  local worker = nginx:get("/pid")
  lu.assertEquals(nginx:get("/stream?size=100000&peer=" .. peer), "100000")
  nginx:signal("KILL", tonumber(worker))
  check.eventually(function()
    local pid = nginx:get("/pid")
    return pid and pid ~= worker
  end)
  lu.assertEquals(nginx:get("/stream?size=100000&peer=" .. peer), "100000")
  close()
  nginx:quit()
  nginx:assert_clean(true)
end)

local function threads(pid) return tonumber(slurp("/proc/" .. pid .. "/status"):match("Threads:%s*(%d+)")) end
local function ticks(pid)
  local user, system = slurp("/proc/" .. pid .. "/stat"):match("%) %a" .. (" %-?%d+"):rep(10) .. " (%d+) (%d+)")
  return user + system
end

T.test_an_idle_worker_uses_no_time_and_keeps_one_thread = with_nginx(nil, function(nginx)
  lu.assertEquals(nginx:get("/body?lines=10"):sub(1, 18), ("%018d"):format(1))
  local pid = nginx:get("/pid")
  lu.assertEquals(threads(pid), 2)
  local before = ticks(pid)
  aw.sleep(1)
  lu.assertTrue(ticks(pid) - before <= 1)
end)

-- A lua_State per request: many at once in one process, each with a loop and a bridge of its own.
T.test_without_code_cache_each_request_has_a_state_of_its_own = with_nginx({ cache = "off", lazy = true }, function(nginx)
  local peer, close = slow_peer(0.001)
  for _ = 1, 3 do
    local left, bad = 16, nil
    for _ = 1, 16 do
      aw.spawn(function()
        local answer, why = nginx:get("/stream?size=100000&peer=" .. peer)
        left = left - 1
        if answer ~= "100000" then bad = tostring(why) end
      end)
    end
    check.eventually(function() return left == 0 end)
    lu.assertNil(bad)
  end
  close()
  local pid = nginx:get("/pid")
  check.eventually(function() return threads(pid) == 1 end) -- the states are gone, and their threads with them
  nginx:quit()
  nginx:assert_clean()
end)

local function spec_files()
  local list = {}
  for file in io.popen("ls spec/conformance/*_spec.lua"):lines() do
    if not file:find("z_table", 1, true) then list[#list + 1] = file end -- a table of what the others found
  end
  return list
end

T.test_the_conformance_specs_pass_in_a_worker = with_nginx(nil, function(nginx)
  local passed, problems = 0, {}
  for _, file in ipairs(spec_files()) do
    local answer = assert(nginx:get(("/spec?root=%s&file=%s"):format(nginx.root, file)))
    local ok, failed = answer:match("(%d+) passed, (%d+) failed")
    passed = passed + (tonumber(ok) or 0)
    if failed ~= "0" then problems[#problems + 1] = file .. "\n" .. answer end
  end
  print(("conformance in a worker of nginx: %d passed"):format(passed))
  if #problems > 0 then lu.fail(table.concat(problems, "\n")) end
end)

return T
