-- What pingpong.c does, by the library: pingpong.lua PORT COUNT. The peer takes the time.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local support = dofile((arg[0]:match("^.*/") or "./") .. "support.lua")

local port, count = tonumber(arg[1]), tonumber(arg[2])

aw.run(function()
  local conn = assert(aw.tcp.connect("127.0.0.1", port))
  assert(conn:set_nodelay(true))
  local cpu = os.clock()
  for _ = 1, count do
    assert(conn:write_all("x"))
    assert(conn:read(1))
  end
  cpu = os.clock() - cpu
  support.finish(conn)
  support.result("cpu", cpu, "ops", count)
end)
