-- SPDX-License-Identifier: MIT
-- signal: signals as events, and what the process does with them before and after.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local T = { tearDown = child.reap }

local function raise(signal) child.posix().kill(check.pid(), signal) end

T.test_recv_waits_for_the_signal = in_task(function()
  local s = assert(aw.signal("SIGUSR1"))
  lu.assertEquals(tostring(s), "signal SIGUSR1")
  local got = 0
  local receiver = aw.spawn(function()
    while s:recv() do got = got + 1 end
  end)
  check.settle()
  for i = 1, 3 do
    raise(10)
    check.eventually(function() return got == i end)
  end
  receiver:cancel()
  s:close()
end)

T.test_a_signal_that_came_before_recv_is_not_lost_and_several_count_as_one = in_task(function()
  local s = assert(aw.signal(10))
  for _ = 1, 5 do raise(10) end
  aw.sleep(0.001)
  lu.assertTrue(s:recv())
  fails("ETIMEDOUT", aw.timeout(0.01, s.recv, s))
  raise(10)
  lu.assertTrue(s:recv())
  s:close()
end)

T.test_all_listeners_hear_it = in_task(function()
  local a, b, other = assert(aw.signal("SIGUSR1")), assert(aw.signal("SIGUSR1")), assert(aw.signal("SIGUSR2"))
  raise(10)
  lu.assertTrue(a:recv())
  lu.assertTrue(b:recv())
  a:close()
  raise(10)
  lu.assertTrue(b:recv())
  fails("ETIMEDOUT", aw.timeout(0.01, other.recv, other))
  raise(12)
  lu.assertTrue(other:recv())
  b:close()
  other:close()
end)

T.test_close_wakes_who_waits_and_a_closed_one_fails = in_task(function()
  local s = assert(aw.signal("SIGUSR1"))
  local receiver = aw.spawn(function() return s:recv() end)
  aw.yield()
  check.raises(function() s:recv() end, "recv: EBUSY: another task is waiting on it")
  s:close()
  fails("ECANCELED", receiver:join())
  fails("ECANCELED", s:recv())
  s:close()
end)

T.test_a_cancelled_recv_loses_no_signal = in_task(function()
  local s = assert(aw.signal("SIGUSR1"))
  local receiver = aw.spawn(function() return s:recv() end)
  aw.yield()
  receiver:cancel()
  raise(10)
  lu.assertTrue(s:recv())
  s:close()
end)

T.test_misuse_is_named = check.misuses {
  function() aw.signal("INT") end, "bad argument #1 'signal' to 'signal' (unknown signal 'INT')",
  function() aw.signal("SIGKILL") end, "bad argument #1 'signal' to 'signal' (it cannot be waited for)",
  function() aw.signal("SIGSEGV") end, "bad argument #1 'signal' to 'signal' (it cannot be waited for)",
  function() aw.signal(0) end, "bad argument #1 'signal' to 'signal' (it cannot be waited for)",
  function() aw.signal() end, "bad argument #1 'signal' to 'signal' (string or number expected, got nil)",
}

local PRELUDE = [[
  local aw = require "asyncwrite"
  local function pid() return io.open("/proc/self/stat"):read("*n") end
  local function ignored(number)
    for line in io.lines("/proc/self/status") do
      local hex = line:match("^SigIgn:%s*(%x+)")
      if hex then return math.floor(tonumber(hex:sub(-8), 16) / 2 ^ (number - 1)) % 2 == 1 end
    end
  end
]]

function T.test_without_a_listener_the_signal_does_what_it_did_before()
  local closed = child.run(child.posix_text() .. PRELUDE .. [[
    aw.run(function()
      local a, b = aw.signal("SIGTERM"), aw.signal("SIGTERM")
      posix.kill(pid(), 15)
      a:recv() b:recv()
      a:close()
      posix.kill(pid(), 15)
      b:recv()
      b:close()
    end)
    io.write("listened") io.flush()
    posix.kill(pid(), 15)
    io.write("never")
  ]])
  lu.assertEquals(closed.out, "listened")
  lu.assertEquals(closed.code, 143)
  for _, order in ipairs { "a:close() b:close()", "b:close() a:close()" } do
    child.check(PRELUDE .. [[
      assert(ignored(1))
      aw.run(function()
        local a, b = aw.signal("SIGHUP"), aw.signal("SIGHUP")
        assert(not ignored(1))
        ]] .. order .. [[
        assert(ignored(1), "what was ignored before is ignored again")
      end)
    ]], { before = "trap '' HUP;" })
  end
end

function T.test_the_interpreters_own_handler_comes_back()
  if not child.lua:find("lua5.4", 1, true) then child.skip("a script's SIGINT is the interpreter's business in lua5.4") end
  local result = child.run(child.posix_text() .. PRELUDE .. [[
    aw.run(function()
      local s = aw.signal("SIGINT")
      posix.kill(pid(), 2)
      s:recv()
      s:close()
    end)
    print(pcall(function() posix.kill(pid(), 2) for _ = 1, 1e7 do end end))
  ]])
  lu.assertStrContains(result.out, "interrupted!")
end

function T.test_a_server_stops_gracefully_by_SIGINT()
  local peer = child.start [[
    local aw = require "asyncwrite"
    aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local stop = assert(aw.signal("SIGINT"))
      aw.spawn(function()
        stop:recv()
        stop:close()
        listener:close()
      end)
      local _, port = listener:local_addr()
      print(port) io.flush()
      listener:serve(function(s)
        s:write_all("hello\n")
        s:read()
        s:write_all("finished\n")
      end)
      print("no more connections") io.flush()
    end)
    print("ended")
  ]]
  check.run(function()
    local port = tonumber(peer:line())
    local s = assert(aw.tcp.connect("127.0.0.1", port))
    lu.assertEquals(s:read_line(), "hello")
    peer:kill("INT")
    lu.assertEquals(peer:line(), "no more connections")
    s:write_all("x")
    lu.assertEquals(s:read_line(), "finished")
    s:close()
  end)
  lu.assertEquals(peer:wait(), "ended\n")
end

function T.test_a_task_that_waits_for_a_signal_keeps_run_going_and_a_collected_listener_lets_go()
  child.check(child.posix_text() .. PRELUDE .. [[
    aw.run(function()
      local s = aw.signal("SIGUSR1")
      aw.spawn(function() aw.sleep(0.01) posix.kill(pid(), 10) end)
      assert(s:recv())
    end)
    collectgarbage()
    collectgarbage()
    local ok, err = pcall(aw.run, function()
      local s = aw.signal("SIGUSR1") -- an idle listener keeps nothing going
      aw.notify():notified()
    end)
    assert(not ok and err:find("nothing can wake them"), err)
  ]])
end

T.test_listeners_leave_nothing_behind = in_task(function()
  local function round()
    local s = assert(aw.signal("SIGUSR2"))
    raise(12)
    s:recv()
    s:close()
  end
  for _ = 1, 50 do round() end
  collectgarbage()
  local fds, memory = check.fd_count(), check.resident()
  for _ = 1, 500 do round() end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(check.fd_count(), fds)
  if not child.sanitized then lu.assertTrue(check.resident() - memory < 1024) end
end)

return T
