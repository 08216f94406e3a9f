-- SPDX-License-Identifier: MIT
-- A luv program whose connections are streams: lua luv_echo.lua [PORT]
--
-- luv listens and accepts, as before. from_luv takes a connection over, and what a slow client does not read is not
-- read from it either: memory stays flat, where handle:write would queue without bound.

local port = tonumber(arg[1] or 0)
if not port or port < 0 or port > 65535 or port % 1 ~= 0 or #arg > 1 then
  io.stderr:write("usage: luv_echo.lua [PORT]\n")
  os.exit(2)
end

local uv = require "luv"
local luv = require "asyncwrite.host.luv"
local aw = require "asyncwrite"

local function echo(handle)
  local conn = assert(luv.from_luv(handle))
  local n, message = aw.copy(conn, conn)
  if not n then io.stderr:write(tostring(conn), ": ", message, "\n") end
  conn:close() -- and so the client gets its end of file
end

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", port))
assert(server:listen(128, function(err)
  assert(not err, err)
  local handle = uv.new_tcp()
  server:accept(handle)
  aw.spawn(echo, handle)
end))

local signal = uv.new_signal()
signal:start("sigint", function() -- the connections that are open go on to their end
  server:close()
  signal:close()
end)

io.stdout:setvbuf("line")
print(("listening on 127.0.0.1:%d"):format(server:getsockname().port))
uv.run()
print "done"
