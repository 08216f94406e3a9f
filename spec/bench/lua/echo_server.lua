-- What echo_server.c does, by the library: echo_server.lua CONNECTIONS [copy]. One task for each connection, which reads and
-- writes in Lua, or copies. The memory of an
-- idle connection is taken when all are open and none has sent anything yet: all that malloc has given out, which
-- holds the heap of PUC Lua as well; LuaJIT maps its own, so there it is added.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local support = dofile((arg[0]:match("^.*/") or "./") .. "support.lua")

local expected, copies = tonumber(arg[1]), arg[2] == "copy"
local heap = support.probe("heap") or function() return 0 end
local opened, closed = 0, 0
local start, accept_cpu, cpu
local before, idle = {}, {}

local function measure(into)
  collectgarbage()
  collectgarbage()
  into.lua = collectgarbage("count") * 1024
  into.total = heap() + (rawget(_G, "jit") and into.lua or 0)
  into.rss = support.status_kb("VmRSS") * 1024
end

local function each(key)
  return (idle[key] - before[key]) / expected
end

local function on_all_open()
  accept_cpu = os.clock() - start
  aw.sleep(0.3) -- The last task parks in its read; the load sends nothing for a second.
  measure(idle)
  cpu = os.clock()
end

local function on_all_closed()
  support.result("cpu", cpu, "accept_cpu", accept_cpu, "idle_bytes", each("total"), "idle_lua_bytes", each("lua"),
    "idle_rss_bytes", each("rss"))
  os.exit(0)
end

local function echo(conn)
  local s = conn:read(4096)
  while s do
    assert(conn:write_all(s))
    s = conn:read(4096)
  end
end

local function serve(conn)
  opened = opened + 1
  if opened == expected then
    aw.spawn(on_all_open)
  end
  if copies then
    assert(aw.copy(conn, conn, 4096))
  else
    echo(conn)
  end
  if closed == 0 then
    cpu = os.clock() - cpu
  end
  conn:close()
  closed = closed + 1
  if closed == expected then
    on_all_closed()
  end
end

aw.run(function()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  measure(before)
  start = os.clock()
  io.stdout:write("PORT ", ("%d"):format(port), "\n")
  io.stdout:flush()
  listener:serve(serve, { max = 4096 })
end)
