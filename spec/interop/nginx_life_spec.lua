-- SPDX-License-Identifier: MIT
-- The life of nginx's workers while tasks run in them: reload, quit, kill, the limits of a worker that is to exit.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local nginx_support = require "support.nginx"

local T = { tearDown = nginx_support.stop }

local test, slow_peer = nginx_support.test, nginx_support.slow_peer

-- Streams that are under way while change() happens; all must end well.
local function streams_during(nginx, peer, n, change)
  local finished = nginx:streams(peer, n, 400000)
  check.eventually(function() return tonumber((nginx:get("/streams"))) == n end) -- accepted
  change()
  finished()
end

T.test_three_reloads_under_traffic_fail_no_request = test({ workers = 2 }, function(nginx)
  local peer, close = slow_peer(0.01)
  local going, n = true, 0
  local pinger = aw.spawn(function() n = #nginx:pings(function() return going end) end)
  for _ = 1, 3 do streams_during(nginx, peer, 8, function() nginx:signal("HUP") end) end
  going = false
  pinger:join()
  close()
  lu.assertTrue(n > 50)
  check.eventually(function() return select(2, nginx:log():gsub("exited with code 0", "")) >= 6 end)
  nginx:quit()
  lu.assertTrue(nginx:assert_clean() >= 8)
end)

T.test_three_quits_under_traffic_finish_what_was_accepted = test({ workers = 2 }, function(nginx)
  local peer, close = slow_peer(0.01)
  for round = 1, 3 do
    if round > 1 then nginx:launch() end
    streams_during(nginx, peer, 8, function() nginx:quit() end)
  end
  close()
  lu.assertTrue(nginx:assert_clean() >= 6)
end)

T.test_a_worker_that_is_killed_is_replaced = test(nil, function(nginx)
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

T.test_a_fast_stop_with_tasks_under_way_ends_at_once = test({ workers = 2 }, function(nginx)
  local peer, close = slow_peer(0.01)
  aw.spawn(nginx.get, nginx, "/stream?size=9000000&peer=" .. peer)
  nginx:get("/background?seconds=1000")
  aw.sleep(0.05)
  local start = aw.now()
  nginx:signal("TERM")
  check.eventually(function() return nginx_support.gone(nginx.pid) end)
  lu.assertTrue(aw.now() - start < 5)
  close()
  lu.assertTrue(nginx:assert_clean() >= 2)
end)

T.test_tasks_of_a_worker_that_is_to_exit_are_cancelled_at_the_drain_deadline = test({ drain = 0.5 }, function(nginx)
  lu.assertEquals(nginx:get("/background?seconds=1000"), "started")
  local start = aw.now()
  nginx:quit()
  local took = aw.now() - start
  lu.assertTrue(took >= 0.4 and took < 10, took)
  lu.assertEquals(nginx:assert_clean(), 1)
  lu.assertStrMatches(nginx:log(),
    ".*1 task%(s%) cancelled, because the worker exits:\n +task 'background' waits in sleep at [^\n]*app%.lua:%d+.*")
end)

T.test_the_error_log_tells_once_of_tasks_that_only_a_request_could_wake = test({ stuck_after = 0.05 }, function(nginx)
  lu.assertEquals(nginx:get("/stuck"), "nil")
  local pattern = "%[warn%][^\n]*1 task%(s%) wait and nothing can wake them:\n" ..
    "  task 'waits for a request' waits in recv on channel%(1%) at [^\n]*app%.lua:%d+"
  check.eventually(function() return nginx:log():find(pattern) end)
  aw.sleep(0.3)
  lu.assertEquals(select(2, nginx:log():gsub(pattern, "")), 1)
  lu.assertStrMatches(nginx:get("/stuck?report=1"), "1 task%(s%) wait .*waits for a request.*")
  lu.assertEquals(nginx:get("/stuck?send=1"), "got it")
end)

T.test_a_worker_that_is_to_exit_waits_for_tasks_that_end_in_time = test({ drain = 20 }, function(nginx)
  lu.assertEquals(nginx:get("/background?seconds=0.3"), "started")
  nginx:quit()
  lu.assertEquals(nginx:assert_clean(), 1)
  local log = nginx:log()
  lu.assertStrContains(log, "the background task ended")
  lu.assertNil(log:find("cancelled", 1, true))
end)

-- nginx closes connections then, also the pump's; tasks of requests and of timers go with them.
T.test_worker_shutdown_timeout_ends_requests_and_the_worker = test({ main = "worker_shutdown_timeout 1s;", drain = 5 },
  function(nginx)
    local peer, close = slow_peer(0.05)
    local answer
    local request = aw.spawn(function() answer = nginx:get("/stream?size=90000000&peer=" .. peer) end)
    nginx:get("/background?seconds=1000")
    check.eventually(function() return nginx:get("/streams") == "1" end)
    local start = aw.now()
    nginx:quit()
    lu.assertTrue(aw.now() - start < 10, aw.now() - start)
    request:join()
    close()
    lu.assertNil(answer)
    lu.assertEquals(nginx:assert_clean(), 1)
  end)

return T
