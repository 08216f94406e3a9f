-- What poll_cost.c does, by the library: poll_cost.lua KIND COUNT. KIND is sink, memory, or empty: a C function that
-- does nothing, which is what the call alone costs in Lua.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local support = dofile((arg[0]:match("^.*/") or "./") .. "support.lua")

local kind, rounds = arg[1], math.floor(tonumber(arg[2]) / 16384)
local s = ("p"):rep(64)

local function empty()
  local noop = assert(support.probe("noop"), "no probe.so")
  for _ = 1, 16384 do
    noop(s)
  end
  return 16384
end

local function poll(make)
  local w = make()
  for _ = 1, 16384 do
    if not w:poll_write(s) then -- The budget of the task is used up: give way.
      assert(w:write(s))
    end
  end
  w:close()
  return 16384
end

aw.run(function()
  local polls, cpu = 0, os.clock()
  for _ = 1, rounds do
    polls = polls + (kind == "empty" and empty() or poll(aw[kind]))
  end
  cpu = os.clock() - cpu
  support.result("cpu", cpu, "ops", polls)
end)
