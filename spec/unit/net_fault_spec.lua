-- SPDX-License-Identifier: MIT
-- What goes wrong around sockets: peers that reset or die while we write, and descriptors that run out.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task, settle = check.fails, check.in_task, check.settle
local T = { tearDown = child.reap }

local function listen()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  return listener, port
end

local function connected()
  local listener, port = listen()
  local far = aw.spawn(function() return assert(listener:accept()) end)
  local near = assert(aw.tcp.connect("127.0.0.1", port))
  far = far:join()
  listener:close()
  return near, far
end

-- The failure of a write whose peer is gone: nil, message, code, accepted. Returns accepted.
local function gone(ok, message, code, accepted)
  lu.assertNil(ok)
  lu.assertTrue(code == "EPIPE" or code == "ECONNRESET", tostring(message))
  return accepted
end

T.test_a_peer_that_resets_mid_write_wakes_the_writer_with_an_error_and_the_count = in_task(function()
  local near, far = connected()
  local writer = aw.spawn(function() return near:write_all(("x"):rep(64 * 1024 * 1024)) end)
  settle()
  far:read_exact(1000)
  lu.assertFalse(writer:is_done())
  far:set_linger(0)
  far:close()
  local accepted = gone(writer:join())
  lu.assertTrue(accepted >= 1000 and accepted < 64 * 1024 * 1024, accepted)
  gone(near:write_all("x")) -- it stays broken
end)

T.test_a_peer_that_resets_wakes_the_reader_with_ECONNRESET = in_task(function()
  local near, far = connected()
  local reader = aw.spawn(function() return near:read() end)
  settle()
  far:set_linger(0)
  far:close()
  fails("ECONNRESET", reader:join())
end)

T.test_a_reset_reaches_through_buf_writer_and_the_bytes_it_holds_are_given_back = in_task(function()
  local near, far = connected()
  local w = aw.buf_writer(near, 100)
  lu.assertTrue(w:write_all("kept"))
  far:set_linger(0)
  far:close()
  check.eventually(function() return w:poll_flush() == nil end)
  local _, held = w:into_parts()
  lu.assertTrue(held == "kept" or held == "", held) -- the kernel may have taken it before the reset came
end)

T.test_a_reset_during_copy_tells_the_count = in_task(function()
  local near, far = connected()
  local source = aw.custom { poll_read = function(_, max) return ("x"):rep(max) end }
  local copy = aw.spawn(function() return aw.copy(source, near) end)
  check.eventually(function() return #(far:try_read() or "") > 0 end)
  far:set_linger(0)
  far:close()
  lu.assertTrue(gone(copy:join()) > 0)
end)

T.test_a_reset_in_both_directions_of_copy_bidirectional_ends_it = in_task(function()
  local a_near, a_far = connected()
  local b_near, b_far = connected()
  local proxy = aw.spawn(function() return aw.copy_bidirectional(a_far, b_near) end)
  a_near:write_all("x")
  lu.assertEquals(b_far:read_exact(1), "x")
  a_near:set_linger(0)
  a_near:close()
  local there, back = fails("ECONNRESET", proxy:join())
  lu.assertEquals({ there, back }, { 1, 0 })
end)

-- recv stops at urgent data although more is queued behind it: the next read must not wait for it to arrive again.
T.test_a_short_read_at_urgent_data_is_not_taken_for_the_last = in_task(function()
  local near, far = connected()
  local posix = child.posix()
  local reader = aw.spawn(function() return far:read() end)
  settle()
  near:write_all("waited")
  lu.assertEquals(reader:join(), "waited") -- from here on the loop watches the socket
  near:write_all("one")
  posix.send_oob(near:fd(), "!")
  near:write_all("two")
  aw.sleep(0.01) -- the loop has reported all of it
  lu.assertEquals(far:read_exact(6), "onetwo")
end)

-- A process that connects and does what body says, with the stream as its variable.
local function peer_process(port, body)
  return child.start(([[
    local aw = require "asyncwrite"
    aw.run(function()
      local stream = assert(aw.tcp.connect("127.0.0.1", %d))
      %s
    end)
  ]]):format(port, body))
end

T.test_a_peer_killed_mid_write_wakes_the_writer_with_an_error = in_task(function()
  local listener, port = listen()
  local peer = peer_process(port, "stream:read_exact(5000) aw.sleep(60)")
  local stream = assert(listener:accept())
  local writer = aw.spawn(function() return stream:write_all(("x"):rep(64 * 1024 * 1024)) end)
  check.eventually(function() return tostring(writer):find("waits in write_all", 1, true) end)
  settle()
  lu.assertFalse(writer:is_done())
  peer:kill()
  lu.assertTrue(gone(writer:join()) >= 5000)
  peer:wait()
  listener:close()
end)

T.test_a_peer_killed_while_we_read_is_end_of_file_or_a_reset_after_its_last_byte = in_task(function()
  local listener, port = listen()
  local peer = peer_process(port, [[stream:write_all("last words") aw.sleep(60)]])
  local stream = assert(listener:accept())
  lu.assertEquals(stream:read_exact(10), "last words")
  local reader = aw.spawn(function() return stream:read() end)
  settle()
  peer:kill()
  local s, _, code = reader:join()
  lu.assertNil(s)
  lu.assertTrue(code == nil or code == "ECONNRESET", code)
  peer:wait()
  listener:close()
end)

T.test_a_peer_that_is_stopped_is_no_error_and_the_write_goes_on_when_it_continues = in_task(function()
  local listener, port = listen()
  local size = 16 * 1024 * 1024
  local peer = peer_process(port, ("print(#assert(stream:read_exact(%d)))"):format(size))
  local stream = assert(listener:accept())
  peer:kill("STOP")
  local accepted = fails("ETIMEDOUT", aw.timeout(0.2, function() return stream:write_all(("x"):rep(size)) end))
  lu.assertTrue(accepted > 0 and accepted < size)
  peer:kill("CONT")
  lu.assertTrue(stream:write_all(("x"):rep(size - accepted)))
  lu.assertEquals(peer:line(), tostring(size))
  peer:wait()
  listener:close()
end)

-- ---- running out of descriptors ----

T.test_EMFILE_at_accept_is_told_and_serving_goes_on = in_task(function()
  local server = child.start([[
    local aw = require "asyncwrite"
    io.stdout:setvbuf("no")
    aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      print(port)
      local failures, other = 0, nil
      listener:serve(function(stream)
        local line = stream:read_line()
        if line == "stop" then
          print(failures > 0, other)
          return listener:close()
        end
        stream:write_all(line, "\n")
        stream:read()
      end, { on_error = function(_, code)
        if code == "EMFILE" then failures = failures + 1 else other = code end
      end })
    end)
  ]], "sh -c 'ulimit -n 24; exec LUA'")
  local port = tonumber(server:line())
  local clients, served = {}, 0
  for i = 1, 60 do -- all at once: the server cannot hold them together
    clients[i] = aw.spawn(function()
      local stream = assert(aw.tcp.connect("127.0.0.1", port))
      stream:write_all(i, "\n")
      lu.assertEquals(stream:read_line(), tostring(i))
      check.eventually(function() return served >= 6 or i <= 6 end)
      served = served + 1
      stream:close()
    end)
  end
  for i = 1, 60 do clients[i]:join() end
  lu.assertEquals(served, 60)
  assert(aw.tcp.connect("127.0.0.1", port)):write_all("stop\n")
  lu.assertEquals(server:line(), "true\tnil")
  server:wait()
end)

function T.test_EMFILE_is_a_failure_of_every_constructor_and_passes()
  child.check([[
    local aw = require "asyncwrite"
    aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      aw.sleep(0.001)
      local held, makers = {}, {
        function() return aw.unix.pair() end, function() return aw.pipe.pair() end,
        function() return aw.tcp.listen("127.0.0.1", 0) end, function() return aw.unix.listen("\0emfile") end,
        function() return aw.tcp.connect("127.0.0.1", port) end, function() return aw.pipe.open(0) end,
      }
      while true do
        local r, w = aw.pipe.pair()
        if not r then break end
        held[#held + 1], held[#held + 2] = r, w
      end
      local last = aw.pipe.open(0)
      for i, make in ipairs(makers) do
        local value, message, code = make()
        assert(value == nil and code == "EMFILE", i .. ": " .. tostring(message))
      end
      for _, s in ipairs(held) do s:close() end
      if last then last:close() end
      for i, make in ipairs(makers) do
        local a, b = make()
        assert(a, tostring(b))
        a:close()
        if aw.is_stream(b) then b:close() end
      end
    end)
  ]], { before = "ulimit -n 30;" })
end

function T.test_the_loop_itself_without_descriptors_is_a_clear_error_and_works_later()
  child.check([[
    local files = {}
    while true do
      local file = io.open("/dev/null")
      if not file then break end
      files[#files + 1] = file
    end
    -- the module itself is loaded through a descriptor
    files[1]:close()
    files[2]:close()
    local aw = require "asyncwrite"
    files[1], files[2] = io.open("/dev/null"), io.open("/dev/null")
    local ok, message = pcall(aw.run, function() aw.sleep(0.001) end)
    assert(not ok and message:find("the event loop could not be made", 1, true), message)
    for _, file in ipairs(files) do file:close() end
    aw.run(function() aw.sleep(0.001) end)
  ]], { before = "ulimit -n 30;" })
end

return T
