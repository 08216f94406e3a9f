-- SPDX-License-Identifier: MIT
-- How protocol code is tested without a network: the line client against scripts.

local lu = require "luaunit"
local testing = require "asyncwrite.testing"
local client = dofile "spec/examples/line_client.lua"

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

return T
