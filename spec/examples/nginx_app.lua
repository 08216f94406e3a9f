-- SPDX-License-Identifier: MIT
-- The handlers of spec/examples/nginx.conf.

local aw = require "asyncwrite"
local ngx = ngx -- luacheck: ignore

local M = {}

--- Sends a megabyte over a socket of libuv's kind, buffered, and answers with what the receiver said.
function M.relay()
  ngx.say((aw.run(function()
    local conn = assert(aw.tcp.connect("127.0.0.1", ngx.var.server_port))
    local w = aw.buf_writer(conn, 64 * 1024)
    assert(w:writef("POST /sink HTTP/1.0\r\nContent-Length: %d\r\n\r\n", 1000000))
    for _ = 1, 1000 do assert(w:write_all(("x"):rep(1000))) end -- waits while the receiver is slow
    assert(w:flush())
    local answer = assert(w:read_to_end())
    w:close()
    return answer:match("\r\n\r\n(.-)%s*$")
  end)))
end

--- Lines of text as the response.
function M.lines()
  local resty = require "asyncwrite.resty"
  aw.run(function()
    local w = aw.buf_writer(resty.response(), 16 * 1024)
    for i = 1, 1000 do assert(w:writef("line %d\n", i)) end
    assert(w:shutdown())
    w:close()
  end)
end

--- Counts the bytes of a request's body.
function M.sink()
  local sock, count = assert(ngx.req.socket()), 0
  while true do
    local data = sock:receiveany(65536)
    if not data then break end
    count = count + #data
  end
  ngx.say(count, " bytes arrived")
end

return M
