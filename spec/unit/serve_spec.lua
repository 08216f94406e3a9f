-- SPDX-License-Identifier: MIT
-- serve: accepting in a loop, each connection in a task of its own; many at once and one after the other.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local in_task = check.in_task
local T = {}

local function listen()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  return listener, port
end

local function echo(stream) aw.copy(stream, stream) end

T.test_200_connections_at_once_are_served = in_task(function()
  local listener, port = listen()
  local server = aw.spawn(function() return listener:serve(echo) end)
  local clients = {}
  for i = 1, 200 do
    clients[i] = aw.spawn(function()
      local stream = assert(aw.tcp.connect("127.0.0.1", port))
      for k = 1, 5 do
        local line = ("%d of %d\n"):format(k, i)
        stream:write_all(line)
        lu.assertEquals(stream:read_exact(#line), line)
      end
      stream:shutdown()
      lu.assertNil((stream:read()))
      stream:close()
      return i
    end)
  end
  for i = 1, 200 do lu.assertEquals(clients[i]:join(), i) end
  listener:close()
  lu.assertTrue(server:join())
end)

T.test_serve_runs_at_most_max_tasks_at_once = in_task(function()
  local listener, port = listen()
  local now, most, served = 0, 0, 0
  local server = aw.spawn(function()
    return listener:serve(function(stream)
      now = now + 1
      most = math.max(most, now)
      stream:read_to_end()
      now = now - 1
      served = served + 1
    end, { max = 3 })
  end)
  local clients = {}
  for i = 1, 12 do
    clients[i] = aw.spawn(function()
      local stream = assert(aw.tcp.connect("127.0.0.1", port))
      for _ = 1, 3 do
        stream:write_all("x")
        aw.sleep(0.001)
      end
      stream:shutdown()
      stream:read()
      stream:close()
    end)
  end
  for i = 1, 12 do clients[i]:join() end
  check.eventually(function() return served == 12 end)
  lu.assertEquals(most, 3)
  listener:close()
  lu.assertTrue(server:join())
end)

T.test_serve_closes_the_stream_of_a_task_that_ended_and_ends_with_its_listener = in_task(function()
  local listener, port = listen()
  local server = aw.spawn(function() return listener:serve(function(stream) stream:write_all("bye") end) end)
  local stream = assert(aw.tcp.connect("127.0.0.1", port))
  lu.assertEquals(stream:read_to_end(), "bye")
  listener:close()
  lu.assertTrue(server:join())
  lu.assertTrue(listener:serve(print), "on a closed listener it returns at once")
end)

function T.test_serve_closes_the_stream_of_a_task_that_failed_and_goes_on()
  local ok, err = check.quiet(pcall, check.run, function()
    local listener, port = listen()
    local server = aw.spawn(function() return listener:serve(function() error("a broken handler") end) end)
    for _ = 1, 3 do
      local s, _, code = assert(aw.tcp.connect("127.0.0.1", port)):read()
      lu.assertNil(s)
      lu.assertTrue(code == nil or code == "ECONNRESET")
    end
    listener:close()
    server:join()
  end)
  lu.assertFalse(ok)
  lu.assertStrContains(err, "run: 3 task(s) failed that nobody joined")
  lu.assertStrContains(err, "a broken handler")
end

T.test_serve_whose_listener_was_closed_while_all_tasks_were_busy_ends = in_task(function()
  local listener, port = listen()
  local server = aw.spawn(function() return listener:serve(function(s) s:read() end, { max = 1 }) end)
  local stream = assert(aw.tcp.connect("127.0.0.1", port))
  local waiting = assert(aw.tcp.connect("127.0.0.1", port))
  check.settle()
  listener:close()
  stream:close()
  lu.assertTrue(server:join())
  waiting:close()
end)

T.test_2000_connect_and_close_cycles_leak_neither_descriptors_nor_memory = in_task(function()
  local listener, port = listen()
  local server = aw.spawn(function() return listener:serve(function(stream) stream:read() end) end)
  local function cycle()
    local stream = assert(aw.tcp.connect("127.0.0.1", port))
    stream:set_linger(0)
    stream:close()
  end
  local function held()
    collectgarbage()
    collectgarbage()
    return collectgarbage("count"), check.fd_count()
  end
  for _ = 1, 500 do cycle() end
  check.settle()
  local heap, fds = held()
  for _ = 1, 2000 do cycle() end
  check.eventually(function()
    local kib, count = held()
    return count <= fds and kib - heap < 64
  end)
  listener:close()
  server:join()
end)

return T
