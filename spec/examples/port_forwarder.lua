-- SPDX-License-Identifier: MIT
-- Forwards a port: lua port_forwarder.lua LISTEN_PORT HOST PORT
--
-- Each connection is two directions that end one by one: the end of file of one side is passed on, the other goes on. A
-- slow side slows the other down; nothing piles up here. SIGTERM or SIGINT: no new connections, those that are open have
-- ten seconds to end.

local aw = require "asyncwrite"

local PATIENCE = 10 -- seconds to connect, and to end
local listen_port, host, port = tonumber(arg[1]), arg[2], tonumber(arg[3])
if not (listen_port and host and port) then
  io.stderr:write("usage: port_forwarder.lua LISTEN_PORT HOST PORT\n")
  os.exit(2)
end

local function forward(client)
  local ip, number = client:peer_addr()
  if not ip then return end -- it is gone already
  local name = ("%s:%d"):format(ip, number)
  local upstream, message = aw.timeout(PATIENCE, aw.tcp.connect, host, port)
  if not upstream then
    print(name .. ": " .. message)
    return
  end
  local there, back, _, sent, received = aw.copy_bidirectional(client, upstream)
  if there then
    print(("%s: %d bytes there, %d back"):format(name, there, back))
  else
    print(("%s: %s after %d bytes there, %d back"):format(name, back, sent, received))
  end
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
  if open > 0 then aw.timeout(PATIENCE, function() all_gone:notified() end) end
  server:cancel()
  print(("stopped, %d connections cut"):format(open))
  os.exit(0)
end)
