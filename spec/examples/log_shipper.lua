-- SPDX-License-Identifier: MIT
-- Ships the lines of standard input to a server, and keeps trying: lua log_shipper.lua HOST PORT <log; or require it.
--
-- Lines are read only as fast as they go out. A batch counts as shipped when it was flushed to the kernel; when the
-- connection breaks before, the batch is sent again on the next one: a line can arrive twice, and is never lost.

local aw = require "asyncwrite"

local M = { BATCH = 64 * 1024, FIRST_PAUSE = 0.1, LONGEST_PAUSE = 30 } -- bytes, seconds, seconds

-- Up to BATCH bytes of whole lines: those that are there, at least one. nil at the end.
local function next_batch(r)
  local line = r:read_until("\n")
  if not line then return nil end
  local lines, size = { line }, #line
  while size < M.BATCH do
    line = r:poll_read_until("\n")
    if not line then break end
    lines[#lines + 1], size = line, size + #line
  end
  return lines
end

-- A connection, sooner or later.
local function connect(open, log)
  local pause = M.FIRST_PAUSE
  while true do
    local conn, message = open()
    if conn then return conn end
    log(("%s; again in %g s"):format(message, pause))
    aw.sleep(pause)
    pause = math.min(pause * 2, M.LONGEST_PAUSE)
  end
end

local function send(conn, lines)
  local ok, message = conn:write_all_vectored(lines)
  if ok then ok, message = conn:flush() end
  return ok, message
end

--- Ships the lines of r over what open() returns (a stream, or nil and why), until r ends. Returns the lines shipped.
function M.ship(r, open, log)
  local conn, shipped = nil, 0
  for lines in function() return next_batch(r) end do
    while true do
      conn = conn or connect(open, log)
      local ok, message = send(conn, lines)
      if ok then break end
      log(message)
      conn:close()
      conn = nil
    end
    shipped = shipped + #lines
  end
  if conn then
    conn:shutdown()
    conn:close()
  end
  return shipped
end

if ... ~= "log_shipper" then
  local host, port = arg[1], tonumber(arg[2])
  aw.run(function()
    local function log(text) io.stderr:write("log_shipper: ", text, "\n") end
    print(M.ship(aw.stdin(), function() return aw.timeout(10, aw.tcp.connect, host, port) end, log) .. " lines")
  end)
end

return M
