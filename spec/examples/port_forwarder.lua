-- SPDX-License-Identifier: MIT
-- Forwards a port: lua port_forwarder.lua LISTEN_PORT HOST PORT [IDLE [CONNECT]]
--
-- Each connection is two directions that end one by one: the end of file of one side is passed on, the other goes on. What
-- one side breaks off is broken off for the other. A slow side slows the other down; nothing piles up here. HOST is given
-- up where it does not answer within CONNECT seconds (10), and a connection on which nothing has moved for IDLE seconds
-- (300) is closed. SIGTERM or SIGINT: no new connections, those that are open have ten seconds to end.

local aw = require "asyncwrite"

local GRACE = 10 -- seconds for what is open to end

local function usage()
  io.stderr:write("usage: port_forwarder.lua LISTEN_PORT HOST PORT [IDLE_SECONDS [CONNECT_SECONDS]]\n")
  os.exit(2)
end

local function number(text, min, max, fallback)
  local n = tonumber(text or fallback)
  if not n or not (n >= min and n <= max) then usage() end
  return n
end

local function port_number(text, min)
  local n = number(text, min, 65535)
  if n % 1 ~= 0 then usage() end
  return n
end

local listen_port, host, port = port_number(arg[1], 0), arg[2], port_number(arg[3], 1)
local idle, patience = number(arg[4], 0.001, 1e6, 300), number(arg[5], 0.001, 1e6, 10)
if #arg > 5 then usage() end

-- Ends when nothing moves any more. It looks once in that time, so it may take twice as long.
local function watch(stream, seconds)
  local moved
  repeat
    moved = stream:stats()
    aw.sleep(seconds)
    local now = stream:stats()
  until now.read == moved.read and now.written == moved.written
end

local function forward(client)
  local ip, client_port = client:peer_addr()
  if not ip then return end -- it is gone already
  local upstream, message = aw.timeout(patience, aw.tcp.connect, host, port)
  if not upstream then
    print(("%s:%d: %s"):format(ip, client_port, message))
    return
  end
  local winner, there, why = aw.first(function() return aw.copy_bidirectional(client, upstream) end,
    function() watch(client, idle) return nil, ("idle for %g s"):format(idle) end)
  if winner == 1 and not there then -- what broke off must not look like the end of a file to the other side
    client:set_linger(0)
    upstream:set_linger(0)
  end
  local ended, stats = there and "" or why .. " after ", client:stats()
  print(("%s:%d: %s%d bytes there, %d back"):format(ip, client_port, ended, upstream:stats().written, stats.written))
  upstream:close()
end

local function stop_signal()
  local term, int = assert(aw.signal("SIGTERM")), assert(aw.signal("SIGINT"))
  aw.first(function() term:recv() end, function() int:recv() end)
end

io.stdout:setvbuf("line")
aw.run(function()
  local listener = assert(aw.tcp.listen("127.0.0.1", listen_port))
  print(("listening on 127.0.0.1:%d"):format(select(2, listener:local_addr())))
  local open, all_gone = 0, aw.notify()
  local server = aw.spawn("server", function()
    return listener:serve(function(client)
      open = open + 1
      local ok, err = pcall(forward, client)
      open = open - 1
      if open == 0 then all_gone:notify_one() end
      if not ok then error(err, 0) end
    end)
  end)
  stop_signal()
  listener:close()
  aw.timeout(GRACE, function() while open > 0 do all_gone:notified() end end)
  server:cancel()
  print(("stopped, %d connections cut"):format(open))
  os.exit(0)
end)
