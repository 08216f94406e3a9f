-- SPDX-License-Identifier: MIT
-- The examples that are programs: upper_writer, port_forwarder, chat_server; and what all say to wrong arguments.

local lu = require "luaunit"
local aw = require "asyncwrite"
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

function T.test_port_forwarder_gives_a_server_up_that_does_not_answer()
  check.run(function()
    check.silent_server(function(port)
      local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port), "300", "0.1")
      local conn = assert(aw.tcp.connect("127.0.0.1", own))
      lu.assertNil((conn:read()))
      conn:close()
      lu.assertStrContains(forwarder:line(), ": ETIMEDOUT: connection timed out")
    end)
  end)
end

function T.test_port_forwarder_passes_a_reset_on_in_either_direction_as_no_end_of_file()
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format((select(2, server:local_addr()))))
    for _, from_client in ipairs { true, false } do
      local client = assert(aw.tcp.connect("127.0.0.1", own))
      local conn = assert(server:accept())
      local breaks, hears = conn, client
      if from_client then breaks, hears = client, conn end
      assert(breaks:write_all("half of it"))
      lu.assertEquals(hears:read_exact(10), "half of it")
      breaks:set_linger(0)
      breaks:close()
      check.fails("ECONNRESET", hears:read())
      hears:close()
      lu.assertStrContains(forwarder:line(), "ECONNRESET: connection reset by peer after ")
    end
    server:close()
  end)
end

function T.test_port_forwarder_closes_a_connection_on_which_nothing_moves()
  echo_server(function(port)
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port), "0.2")
    local conn = assert(aw.tcp.connect("127.0.0.1", own))
    conn:write_all("hello")
    lu.assertEquals(conn:read_to_end(), "hello")
    conn:close()
    lu.assertStrContains(forwarder:line(), ": idle for 0.2 s after 5 bytes there, 5 back")
  end)
end

function T.test_port_forwarder_lets_an_open_connection_end_after_it_was_told_to_stop()
  echo_server(function(port)
    local forwarder, own = start("port_forwarder", "0", "127.0.0.1", ("%d"):format(port))
    local first = assert(aw.tcp.connect("127.0.0.1", own))
    first:shutdown()
    first:read_to_end()
    first:close()
    lu.assertStrContains(forwarder:line(), ": 0 bytes there, 0 back") -- once already none was open
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

-- ---- Wrong arguments ----

function T.test_wrong_arguments_are_status_2_and_a_line_that_tells_the_right_ones()
  local programs = {
    upper_writer = { "x" },
    luv_echo = { "x", "0 0", "-1", "65536", "1.5" },
    port_forwarder = { "", "1 localhost", "x localhost 80", "1 localhost 65536", "1 h 80 0", "1 h 80 1 soon", "1 h 80 1 1 1",
      "1.5 h 80", "1 h 80.5", "1 h 80 nan" },
    chat_server = { "x", "65536", "0 0", "0 1 kick", "0 1 drop more", "-1", "1.5", "0 1.5", "0 inf", "nan" },
    log_shipper = { "", "localhost", "localhost http", "localhost 0", "localhost 80 file more", "localhost 80.5" },
    line_client = { "", "localhost 80", "localhost x get k", "localhost 80 get", "localhost 80 set k", "localhost 80 drop k",
      "localhost 80.5 get k", "localhost 80 get 'a b'" },
    pour = { "one two" },
  }
  for name, wrong in pairs(programs) do
    for _, arguments in ipairs(wrong) do
      local result = child.sh(("%s spec/examples/%s.lua %s"):format(child.lua, name, arguments))
      lu.assertEquals({ result.code, result.out }, { 2, "" }, name .. " " .. arguments)
      lu.assertStrMatches(result.err, "usage: " .. name .. "%.lua [^\n]+\n")
    end
  end
end

return T
