-- SPDX-License-Identifier: MIT
-- The examples that are programs: upper_writer, port_forwarder, chat_server, log_shipper.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local child = require "support.child"

local T = {}

T.tearDown = child.reap

local function start(name, ...)
  local args = {}
  for i = 1, select("#", ...) do args[i] = ("%q"):format((select(i, ...))) end
  local peer = child.start(("arg = { %s } dofile 'spec/examples/%s.lua'"):format(table.concat(args, ", "), name))
  return peer, peer:line():match("^listening on 127.0.0.1:(%d+)$")
end

-- ---- upper_writer ----

function T.test_upper_writer_makes_capitals_of_what_is_copied_through_it()
  local result = child.sh(("printf 'one two\nthree' | %s spec/examples/upper_writer.lua"):format(child.lua))
  lu.assertEquals(result, { code = 0, out = "ONE TWO\nTHREE", err = "" })
end

function T.test_upper_writer_keeps_the_contract()
  package.preload.upper_writer = function() return assert(loadfile("spec/examples/upper_writer.lua"))("upper_writer") end
  local upper_writer = require "upper_writer"
  aw.run(function()
    local near, far = aw.duplex(3)
    local w = upper_writer(near)
    lu.assertEquals(w:poll_write("hello"), 3)
    lu.assertEquals(w:poll_write("lo"), false)
    lu.assertEquals(far:read(), "HEL")
    lu.assertTrue(w:write_all("lo") and w:shutdown())
    lu.assertEquals(far:read_to_end(), "LO")
    check.fails("EPIPE", w:write("x"))
  end)
end

-- ---- port_forwarder ----

local function echo_server(f)
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    aw.spawn(function() server:serve(function(conn) aw.copy(conn, conn) end) end)
    local _, port = server:local_addr()
    f(port)
    server:close()
  end)
end

function T.test_port_forwarder_passes_both_directions_and_both_ends_of_file_on()
  local data = check.pattern(1000000)
  echo_server(function(port)
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port))
    local conn = assert(aw.tcp.connect("127.0.0.1", own))
    local _, back = aw.all(function() return conn:write_all(data) and conn:shutdown() end,
      function() return conn:read_to_end() end)
    check.same_bytes(back, data)
    conn:close()
    lu.assertStrContains(forwarder:line(), ": 1000000 bytes there, 1000000 back")
    forwarder:kill("TERM")
    lu.assertEquals(forwarder:wait(), "stopped, 0 connections cut\n")
  end)
end

function T.test_port_forwarder_tells_of_a_server_that_is_not_there_and_goes_on()
  check.run(function()
    local gone = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = gone:local_addr()
    gone:close()
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port))
    for _ = 1, 2 do
      local conn = assert(aw.tcp.connect("127.0.0.1", own))
      lu.assertNil((conn:read()))
      conn:close()
      lu.assertStrContains(forwarder:line(), "ECONNREFUSED: connection refused")
    end
    local reset = assert(aw.tcp.connect("127.0.0.1", own))
    reset:set_linger(0)
    reset:close() -- before or while it is looked at: it must not be counted as open for ever
    local last = assert(aw.tcp.connect("127.0.0.1", own))
    last:read()
    last:close()
    forwarder:kill("INT")
    lu.assertStrMatches(forwarder:wait(), ".*stopped, 0 connections cut\n")
  end)
end

function T.test_port_forwarder_lets_an_open_connection_end_after_it_was_told_to_stop()
  echo_server(function(port)
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port))
    local conn = assert(aw.tcp.connect("127.0.0.1", own))
    conn:write_all("before")
    lu.assertEquals(conn:read_exact(6), "before")
    forwarder:kill("TERM")
    local another = aw.tcp.connect("127.0.0.1", own)
    while another do -- until the signal has arrived
      another:close()
      another = aw.tcp.connect("127.0.0.1", own)
    end
    conn:write_all("after")
    lu.assertEquals(conn:read_exact(5), "after")
    conn:shutdown()
    lu.assertEquals(conn:read_to_end(), "")
    conn:close()
    lu.assertStrMatches(forwarder:wait(), ".*: 11 bytes there, 11 back\nstopped, 0 connections cut\n")
  end)
end

-- ---- chat_server ----

local function guest(port)
  local conn = assert(aw.tcp.connect("127.0.0.1", port))
  return conn, (conn:read_line():match("^you are (%w+)$"))
end

function T.test_chat_server_tells_everybody_else()
  local server, port = start("chat_server")
  check.run(function()
    local a, a_name = guest(port)
    local b, b_name = guest(port)
    lu.assertEquals(a:read_line(), b_name .. " is here")
    b:write_all("hello\n")
    lu.assertEquals(a:read_line(), ("<%s> hello"):format(b_name))
    a:write_all("good day\n")
    lu.assertEquals(b:read_line(), ("<%s> good day"):format(a_name))
    b:close()
    lu.assertEquals(a:read_line(), b_name .. " has left")
    a:close()
  end)
  server:kill("TERM")
  lu.assertEquals(server:wait(), "2 clients in all\n")
end

function T.test_chat_server_drops_a_client_that_does_not_read_and_serves_the_others()
  local server, port = start("chat_server", "0", "4")
  check.run(function()
    local slow, slow_name = guest(port)
    local talker = guest(port)
    local dropped = slow_name .. " is too slow and was dropped"
    local line, told = ("x"):rep(500), aw.spawn(function() talker:read_to_end() end)
    -- A megabyte and more fits into the sockets before the queue fills.
    for _ = 1, 40000 do assert(talker:write_all(line, "\n")) end
    talker:shutdown()
    lu.assertEquals(server:line(), dropped)
    slow:read_to_end(2 ^ 40) -- and it is cut off: this ends
    told:join()
    talker:close()
    slow:close()
  end)
end

function T.test_chat_server_skips_lines_for_a_client_that_does_not_read_and_tells_how_many()
  local _, port = start("chat_server", "0", "4", "skip")
  check.run(function()
    local slow = guest(port)
    local talker, talker_name = guest(port)
    local sent, line = 40000, ("x"):rep(500)
    lu.assertEquals(slow:read_line(), talker_name .. " is here")
    for _ = 1, sent do assert(talker:write_all(line, "\n")) end
    talker:close()
    local heard, missed = 0, 0
    repeat
      local text = assert(slow:read_line())
      local skipped = tonumber(text:match("^you missed (%d+) lines$"))
      if skipped then missed = missed + skipped
      elseif text == ("<%s> %s"):format(talker_name, line) then heard = heard + 1
      else lu.assertEquals(text, talker_name .. " has left") end
    until heard + missed >= sent
    lu.assertTrue(missed > 0)
    lu.assertTrue(heard + missed <= sent + 1) -- that the talker left may be missed as well
    slow:close()
  end)
end

function T.test_chat_server_does_not_take_a_burst_for_slowness_of_those_who_listen()
  local _, port = start("chat_server", "0", "10")
  check.run(function()
    local listener = guest(port)
    local talker = guest(port)
    listener:read_line()
    local lines = {}
    for i = 1, 300 do lines[i] = i .. "\n" end
    talker:write_all_vectored(lines)
    for i = 1, 300 do lu.assertStrContains(listener:read_line(), "> " .. i) end
    talker:close()
    listener:close()
  end)
end

-- ---- log_shipper ----

local function shipper()
  local loaded = assert(loadfile("spec/examples/log_shipper.lua"))
  return loaded("log_shipper")
end

function T.test_log_shipper_sends_a_batch_again_that_a_broken_connection_did_not_take()
  testing.run(function()
    local streams = {
      testing.mock { { "write", "one\ntwo\n" }, { "flush" }, { "write_error", "ECONNRESET" }, { "close" } },
      false, false,
      testing.mock { { "write", "three\n" }, { "flush" }, { "shutdown" }, { "close" } },
    }
    local logs, opened = {}, 0
    local input = testing.mock { { "read", "one\ntwo\n" }, { "wait", 1 }, { "read", "three\n" }, { "eof" } }
    local shipped = shipper().ship(input, function()
      opened = opened + 1
      if streams[opened] then return streams[opened] end
      return nil, "ECONNREFUSED: connection refused", "ECONNREFUSED"
    end, function(text) logs[#logs + 1] = text end)
    lu.assertEquals(shipped, 3)
    lu.assertEquals(logs, { "ECONNRESET: connection reset by peer", "ECONNREFUSED: connection refused; again in 0.1 s",
      "ECONNREFUSED: connection refused; again in 0.2 s" })
    lu.assertAlmostEquals(aw.now(), 1.3, 0.01)
  end)
end

function T.test_log_shipper_tells_when_its_input_fails_and_what_it_had_shipped()
  testing.run(function()
    local input = testing.mock { { "read", "one\n" }, { "read_error", "EIO" } }
    local output = testing.mock { { "write", "one\n" }, { "flush" }, { "shutdown" }, { "close" } }
    local lines, message, part = shipper().ship(input, function() return output end, print)
    lu.assertEquals({ lines or false, message, part }, { false, "EIO: i/o error", 1 })
  end)
end

function T.test_log_shipper_never_pauses_longer_than_its_longest_pause()
  testing.run(function()
    local failures, logs = 11, {}
    local output = testing.mock { { "write", "one\n" }, { "flush" }, { "shutdown" }, { "close" } }
    local input = testing.mock { { "read", "one\n" }, { "eof" } }
    local shipped = shipper().ship(input, function()
      failures = failures - 1
      if failures < 0 then return output end
      return nil, "down"
    end, function(text) logs[#logs + 1] = text end)
    lu.assertEquals(shipped, 1)
    lu.assertEquals({ logs[9], logs[10], logs[11] }, { "down; again in 25.6 s", "down; again in 30 s", "down; again in 30 s" })
  end)
end

function T.test_log_shipper_ships_a_file_over_a_socket()
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = server:local_addr()
    local received = aw.spawn(function()
      local conn = assert(server:accept())
      local text = conn:read_to_end()
      conn:close()
      return text
    end)
    local ship = assert(aw.process.spawn { "sh", "-c", ("seq 1 20000 | %s spec/examples/log_shipper.lua 127.0.0.1 %d")
      :format(child.lua, port), stdout = "pipe" })
    local lines = {}
    for i = 1, 20000 do lines[i] = ("%d\n"):format(i) end
    check.same_bytes(received:join(), table.concat(lines))
    lu.assertEquals(ship.stdout:read_to_end(), "20000 lines\n")
    lu.assertEquals(ship:wait(), 0)
    server:close()
    ship:close()
  end)
end

return T
