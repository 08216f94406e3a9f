-- SPDX-License-Identifier: MIT
-- Inside a real nginx: asyncwrite.host.resty and asyncwrite.resty, with the module built for LuaJIT in build/luajit.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local nginx_support = require "support.nginx"

local T = { tearDown = nginx_support.stop }

local test, slow_peer = nginx_support.test, nginx_support.slow_peer

T.test_tasks_are_light_threads_that_join_cancel_and_time_out = test(nil, function(nginx)
  lu.assertEquals(nginx:get("/tasks"),
    "ETIMEDOUT 0,500500,ECANCELED,true,false cannot wait here,turns,false lost it")
  nginx:quit()
  nginx:assert_clean()
end)

T.test_threads_that_nginx_kills_leave_no_task = test(nil, function(nginx)
  for _ = 1, 20 do lu.assertEquals(nginx:get("/exit"), "bye") end
  nginx:get("/count")
  lu.assertEquals(nginx:get("/count"), "0")
end)

T.test_the_response_and_a_cosocket_are_writers = test(nil, function(nginx)
  local body = assert(nginx:get("/body?lines=20000"))
  lu.assertEquals(#body, 20000 * 20 - 1)
  lu.assertStrContains(body, ("%018d\r\n%018d\r\n"):format(9999, 10000))
  lu.assertEquals(nginx:get("/cosocket?lines=5000&http=" .. nginx.http), "ENOTSUP all EPIPE ETIMEDOUT")
end)

T.test_phases_that_cannot_wait_say_so = test(nil, function(nginx)
  lu.assertEquals(nginx:get("/phases"), "phases")
  local log = nginx:log()
  for _, phase in ipairs { "access", "rewrite" } do lu.assertStrContains(log, "phase " .. phase .. ": waits") end
  for _, phase in ipairs { "header_filter", "body_filter", "log" } do
    lu.assertStrContains(log, ("phase %s: false nginx's phase '%s' cannot wait"):format(phase, phase))
  end
end)


-- How fast /ping is meanwhile is a matter of `make bench BENCH=nginx`.
T.test_64_requests_stream_to_a_slow_peer_while_ping_answers = test(nil, function(nginx)
  local peer, close = slow_peer(0.02)
  local answered
  nginx:streams(peer, 64, 600000)(function(going) answered = #nginx:pings(going) end)
  close()
  lu.assertTrue(answered > 50, answered)
end)

-- A client that does not read: what the handler may write ahead is bounded by the limits of nginx and ours.
T.test_a_response_to_a_client_that_does_not_read_waits = test(nil, function(nginx)
  local lines = 2000000 -- of 20 bytes
  local worker = nginx:get("/pid")
  local before = check.resident(worker)
  local c = assert(aw.unix.connect(nginx.http))
  assert(c:writef("GET /body?lines=%d HTTP/1.0\r\n\r\n", lines))
  check.eventually(function() return nginx:get("/written") ~= "0" end)
  local written
  repeat -- until it stands still
    written = nginx:get("/written")
    aw.sleep(0.05)
  until nginx:get("/written") == written
  lu.assertTrue(tonumber(written) < 2000000, written)
  lu.assertTrue(check.resident(worker) - before < 4096)
  local text = assert(c:read_to_end())
  c:close()
  lu.assertEquals(#text:match("\r\n\r\n(.*)$"), lines * 20)
end)

T.test_the_body_of_a_request_is_a_stream = test(nil, function(nginx)
  local c = assert(aw.unix.connect(nginx.http))
  local data = check.pattern(300000)
  aw.spawn(function()
    c:writef("POST /upgrade HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", #data)
    c:write_all(data)
  end)
  assert(c:read_until("\r\n\r\n"))
  check.same_bytes(c:read_exact(#data), data)
  lu.assertEquals(c:read_to_end(), "")
  c:close()
end)

T.test_a_timer_of_nginx_runs_tasks = test(nil, function(nginx)
  lu.assertEquals(nginx:get("/timer"), "in a timer")
end)

T.test_an_idle_worker_uses_no_time_and_keeps_one_thread = test(nil, function(nginx)
  lu.assertEquals(nginx:get("/body?lines=10"):sub(1, 18), ("%018d"):format(1))
  local pid = nginx:get("/pid")
  lu.assertEquals(nginx_support.threads(pid), 2)
  local before = nginx_support.cpu(pid)
  aw.sleep(1)
  lu.assertTrue(nginx_support.cpu(pid) - before < 0.005)
end)

-- One that did would take SIGCHLD and others away from nginx.
T.test_no_thread_of_ours_takes_signals = test(nil, function(nginx)
  nginx:get("/resolve")
  local pid = nginx:get("/pid")
  local count = 0
  for tid in child.sh("ls /proc/" .. pid .. "/task").out:gmatch("%d+") do
    local blocked = nginx_support.slurp(("/proc/%s/task/%s/status"):format(pid, tid)):match("SigBlk:%s*(%x+)")
    if tid ~= pid then
      count = count + 1
      lu.assertStrMatches(blocked, "f+[0-9a-f]*fe?[0-9a-f]*ff+", nil, nil, "SigBlk of thread " .. tid .. ": " .. blocked)
    end
  end
  lu.assertTrue(count >= 2, "the helper and a pool's thread")
end)

T.test_nothing_is_made_at_require_time_or_in_the_master = test({
  init = [[init_by_lua_block {
    local aw = require "asyncwrite"
    require "asyncwrite.resty"
    ngx.log(ngx.NOTICE, "in the master: ", select(2, pcall(aw.run, print)))
    ngx.log(ngx.NOTICE, "in the master: ", select(2, pcall(aw.spawn, print)))
    ngx.log(ngx.NOTICE, "in the master: ", aw.now() > 0 and aw.duplex(4):try_write("12345"))
  }]],
}, function(nginx)
  lu.assertEquals(nginx_support.threads(nginx.pid), 1)
  lu.assertEquals(child.sh("ls -l /proc/" .. nginx.pid .. "/fd").out:match("eventpoll"), nil)
  local log = nginx:log()
  for _, op in ipairs { "run", "spawn" } do
    lu.assertStrContains(log, ("in the master: %s: nginx's phase 'init' cannot wait"):format(op))
  end
  lu.assertStrContains(log, "in the master: 4")
  local peer, close = slow_peer(0)
  lu.assertEquals(nginx:get("/stream?size=100000&peer=" .. peer), "100000") -- in the fork
  close()
  nginx:quit()
  nginx:assert_clean()
end)

T.test_files_work_in_a_worker_and_processes_and_signals_are_refused = test({}, function(nginx)
  local path = os.tmpname()
  os.execute("chmod 666 " .. path)
  local answer = assert(nginx:get("/file?path=" .. path))
  os.remove(path)
  local size, spawn, signal = answer:match("^(%d+)\n([^\n]+)\n([^\n]+)")
  lu.assertEquals(size, "100000", answer)
  lu.assertStrContains(spawn, "spawn: not inside nginx: it reaps every child")
  lu.assertStrContains(signal, "signal: not inside nginx")
end)

-- A lua_State per request: many at once in one process, each with a loop and a bridge of its own.
T.test_without_code_cache_each_request_has_a_state_of_its_own = test({ cache = "off", lazy = true }, function(nginx)
  local peer, close = slow_peer(0.001)
  for _ = 1, 3 do nginx:streams(peer, 16, 100000)() end
  close()
  local pid = nginx:get("/pid")
  check.eventually(function() return nginx_support.threads(pid) == 1 end) -- the states are gone, their threads with them
  nginx:quit()
  nginx:assert_clean()
end)

return T
