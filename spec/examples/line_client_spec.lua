-- SPDX-License-Identifier: MIT
-- How protocol code is tested without a network: the line client against scripts. And as a program, against a server.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local child = require "support.child"
local client = assert(loadfile "spec/examples/line_client.lua")("line_client")

local T = {}

-- A test: f(client) in virtual time, against a server that follows the script.
local function against(script, f)
  return function() testing.run(function() f(client.new(testing.mock(script))) end) end
end

T.test_set_sends_the_value_and_understands_stored = against(
  { { "write", "set k 0 0 5\r\nhello\r\n" }, { "flush" }, { "read", "STORED\r\n" }, { "close" } },
  function(c)
    lu.assertEquals({ c:set("k", "hello") }, { true })
    c:close()
  end)

T.test_a_value_may_hold_line_ends_and_come_in_pieces = against(
  { { "pending" }, { "accept", 3 }, { "write", "get k\r\n" }, { "flush" }, { "read", "VALUE k 0 6\r" },
    { "read", "\na\r\nb" }, { "wait", 9 }, { "read", "cd\r\nEN" }, { "read", "D\r\n" }, { "close" } },
  function(c)
    lu.assertEquals(c:get("k"), "a\r\nbcd")
    c:close()
  end)

T.test_a_missing_value_is_nil_alone = against(
  { { "write", "get k\r\n" }, { "flush" }, { "read", "END\r\n" }, { "close" } },
  function(c)
    lu.assertEquals({ c:get("k") }, {})
    c:close()
  end)

T.test_an_error_of_the_server_leaves_the_connection_usable = against(
  { { "write", "get k\r\n" }, { "flush" }, { "read", "SERVER_ERROR busy\r\n" }, { "write", "get k\r\n" }, { "flush" },
    { "read", "END\r\n" }, { "close" } },
  function(c)
    lu.assertEquals({ c:get("k") }, { nil, "SERVER_ERROR busy" })
    lu.assertEquals({ c:get("k") }, {})
    c:close()
  end)

T.test_a_key_may_look_like_an_error = against(
  { { "write", "get MY_ERROR\r\n" }, { "flush" }, { "read", "VALUE MY_ERROR 0 2\r\nok\r\nEND\r\n" }, { "close" } },
  function(c)
    lu.assertEquals({ c:get("MY_ERROR") }, { "ok" })
    c:close()
  end)

T.test_a_silent_server_is_given_up_after_ten_seconds = against(
  { { "write", "get k\r\n" }, { "flush" }, open = true },
  function(c) lu.assertEquals({ c:get("k") }, { nil, "ETIMEDOUT: connection timed out" }) end)

T.test_a_server_that_hangs_up_or_lies_about_the_length_is_left = against(
  { { "write", "get k\r\n" }, { "flush" }, { "read", "VALUE k 0 2\r\nabcdEND\r\n\r\n" }, { "close" } },
  function(c) lu.assertEquals({ c:get("k") }, { nil, "the value has another length than was said" }) end)

T.test_the_end_of_file_is_told = against(
  { { "write", "get k\r\n" }, { "flush" }, { "eof" }, { "close" } },
  function(c) lu.assertEquals({ c:get("k") }, { nil, "the server hung up" }) end)

T.test_a_broken_connection_is_told = against(
  { { "write_error", "ECONNRESET" }, { "close" } },
  function(c) lu.assertEquals({ c:set("k", "v") }, { nil, "ECONNRESET: connection reset by peer" }) end)

function T.test_a_bad_key_is_misuse()
  testing.run(function()
    local c = client.new(testing.mock {})
    for _, key in ipairs { "", "a b", "a\nb", ("k"):rep(251) } do
      lu.assertStrContains(select(2, pcall(c.get, c, key)), "bad key: " .. key)
    end
    c:close()
  end)
end

-- ---- Over sockets ----

-- Serves what a memcached would say to set and get.
local function serve(conn, values)
  for line in conn:lines() do
    local key, size = line:match("^set (%S+) 0 0 (%d+)$")
    if key then
      values[key] = conn:read_exact(size + 2):sub(1, -3)
      conn:write_all("STORED\r\n")
    else
      local value = values[line:match("^get (%S+)$")]
      conn:write_all(value and ("VALUE k 0 %d\r\n%s\r\n"):format(#value, value) or "", "END\r\n")
    end
  end
end

-- Calls f with the port of such a server.
local function with_server(f)
  check.run(function()
    local server, values = assert(aw.tcp.listen("127.0.0.1", 0)), {}
    aw.spawn(function() server:serve(function(conn) serve(conn, values) end) end)
    f((select(2, server:local_addr())))
    server:close()
  end)
end

-- The client as a program: exit status, stdout, stderr.
local function program(...)
  local c = assert(aw.process.spawn { "sh", "-c", "exec " .. child.lua .. ' spec/examples/line_client.lua "$@"', "sh",
    stdout = "pipe", stderr = "pipe", ... })
  local out, err = aw.all(function() return c.stdout:read_to_end() end, function() return c.stderr:read_to_end() end)
  local status = c:wait()
  c:close()
  return { status, out, err }
end

function T.test_it_speaks_to_a_server_on_loopback()
  with_server(function(port)
    local c = assert(client.connect("127.0.0.1", port))
    lu.assertEquals({ c:get("k") }, {})
    lu.assertTrue(c:set("k", "two\r\nlines"))
    lu.assertEquals(c:get("k"), "two\r\nlines")
    c:close()
  end)
end

function T.test_as_a_program_it_prints_the_value_and_its_status_tells()
  with_server(function(port)
    lu.assertEquals(program("127.0.0.1", port, "get", "k"), { 1, "", "" })
    lu.assertEquals(program("127.0.0.1", port, "set", "k", "a value"), { 0, "", "" })
    lu.assertEquals(program("127.0.0.1", port, "get", "k"), { 0, "a value\n", "" })
  end)
  check.run(function()
    local gone = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = gone:local_addr()
    gone:close()
    lu.assertEquals(program("127.0.0.1", port, "get", "k"), { 1, "", "line_client: ECONNREFUSED: connection refused\n" })
  end)
end

function T.test_a_server_that_does_not_answer_a_connect_is_given_up_after_its_time()
  check.run(function()
    check.silent_server(function(port)
      local patience = client.PATIENCE
      client.PATIENCE = 0.1
      local c, message = client.connect("127.0.0.1", port)
      client.PATIENCE = patience
      lu.assertEquals({ c or false, message }, { false, "ETIMEDOUT: connection timed out" })
    end)
  end)
end

return T
