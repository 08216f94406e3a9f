-- SPDX-License-Identifier: MIT
-- Ships the lines of standard input to a server, and keeps trying: lua log_shipper.lua HOST PORT <log; or require it.
--
-- Lines are read only as fast as they go out. A batch counts as shipped when it was flushed to the kernel. When the
-- connection breaks before, the batch is sent again on the next one: a line can arrive twice. When it breaks after, what the
-- server had not read yet is lost: only a protocol in which the server confirms can tell.

local aw = require "asyncwrite"

local M = { BATCH = 64 * 1024, FIRST_PAUSE = 0.1, LONGEST_PAUSE = 30 } -- bytes, seconds, seconds

-- Up to BATCH bytes of whole lines: those that are there. None at the end. And why reading failed, if it did.
local function next_batch(r)
  local lines, size = {}, 0
  local line, message = r:read_until("\n")
  while line do
    lines[#lines + 1], size = line, size + #line
    if size >= M.BATCH then break end
    line, message = r:poll_read_until("\n")
  end
  return lines, message
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

-- Says goodbye: what was sent is followed by the end of file.
local function finish(conn, problem)
  if not conn then return problem end
  local ok, message = conn:shutdown()
  conn:close()
  return problem or not ok and message or nil
end

--- Ships the lines of r over what open() returns (a stream, or nil and why), until r ends. Returns the lines shipped; when
--- r failed, or the last connection at its end, nil, why, and the lines.
function M.ship(r, open, log)
  local conn, shipped, problem = nil, 0, nil
  while not problem do
    local lines
    lines, problem = next_batch(r)
    if #lines == 0 then break end
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
  problem = finish(conn, problem)
  if problem then return nil, problem, shipped end
  return shipped
end

if ... ~= "log_shipper" then
  local host, port = arg[1], tonumber(arg[2])
  aw.run(function()
    local function log(text) io.stderr:write("log_shipper: ", text, "\n") end
    local lines, message, part = M.ship(aw.stdin(), function() return aw.timeout(10, aw.tcp.connect, host, port) end, log)
    if message then log(message) end
    print((lines or part) .. " lines")
    if not lines then os.exit(1) end
  end)
end

return M
