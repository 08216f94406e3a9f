-- SPDX-License-Identifier: MIT
-- `make run-nginx`: the example configuration, started, asked and stopped.

local lu = require "luaunit"
local aw = require "asyncwrite"
local child = require "support.child"
local nginx = require "support.nginx"

local T = {}

local function free_port()
  return aw.run(function()
    local listener = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = listener:local_addr()
    listener:close()
    return port
  end)
end

local function run(port)
  local why = nginx.missing()
  if why then child.skip(why) end
  child.need("curl")
  return child.sh("PORT=" .. port .. " sh spec/examples/run_nginx.sh", 60)
end

function T.test_nginx_starts_answers_and_stops()
  local result = run(free_port())
  lu.assertEquals(result.out, "/relay: 1000000 bytes arrived\n/lines: line 1000\n", result.err)
  lu.assertEquals(result.code, 0)
end

function T.test_a_port_that_is_taken_is_an_error_that_leaves_nothing_behind()
  aw.run(function()
    local listener = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = listener:local_addr()
    local result = run(port)
    listener:close()
    lu.assertNotEquals(result.code, 0)
    lu.assertStrContains(result.err, "Address already in use")
    lu.assertEquals(result.out, "")
  end)
end

return T
