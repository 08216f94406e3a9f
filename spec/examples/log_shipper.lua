-- SPDX-License-Identifier: MIT
-- Ships lines to a server, and keeps trying: lua log_shipper.lua HOST PORT [FILE]; or require it. Those of standard input
-- until its end; or of FILE from its beginning and as it grows, is truncated or rotated, until SIGTERM or SIGINT.
--
-- Lines are read only as fast as they go out. A batch counts as shipped when it was flushed to the kernel. When the
-- connection breaks before, the batch is sent again on the next one: a line can arrive twice. When it breaks after, what the
-- server had not read yet is lost: only a protocol in which the server confirms can tell.

local aw = require "asyncwrite"

local M = { BATCH = 64 * 1024, -- bytes; all others in seconds
  FIRST_PAUSE = 0.1, LONGEST_PAUSE = 30, INTERVAL = 0.5, GRACE = 2, GOODBYE = 1 }

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

-- Tells of a failure, and waits before the next attempt: longer each time, until the server has taken something.
local function rest(link, message)
  local pause = link.pause
  link.pause = math.max(M.FIRST_PAUSE, math.min(pause * 2, M.LONGEST_PAUSE))
  if pause == 0 then return link.log(message) end
  link.log(("%s; again in %g s"):format(message, pause))
  aw.sleep(pause)
end

-- A connection, sooner or later.
local function connect(link)
  while true do
    local conn, message = link.open()
    if conn then return conn end
    rest(link, message)
  end
end

-- Drops what the server says: unread it would block the server, and make our close a reset that takes what is still on its
-- way with it. True at its end.
local function drop(conn)
  local s, message, code
  repeat s, message, code = conn:read() until not s
  return not code, message, code
end

local function send(conn, lines)
  local _, ok, message = aw.first(function()
    local ok, message = conn:write_all_vectored(lines)
    if ok then ok, message = conn:flush() end
    return ok, message
  end, function()
    drop(conn)
    aw.notify():notified() -- never: writing tells how it goes
  end)
  return ok, message
end

-- Says goodbye: what was sent is followed by the end of file. The server may do so too; one that does not is left.
local function finish(conn, problem)
  if not conn then return problem end
  local ok, message = conn:shutdown()
  if ok then
    local code
    ok, message, code = aw.timeout(M.GOODBYE, drop, conn)
    ok = ok or code == "ETIMEDOUT"
  end
  conn:close()
  return problem or not ok and message or nil
end

--- Ships the lines of r over what open() returns (a stream, or nil and why), until r ends. Returns the lines shipped; when
--- r failed, or the last connection at its end, nil, why, and the lines.
function M.ship(r, open, log)
  local link = { open = open, log = log, pause = M.FIRST_PAUSE }
  local conn, shipped, problem = nil, 0, nil
  while not problem do
    local lines
    lines, problem = next_batch(r)
    if #lines == 0 then break end
    while true do
      conn = conn or connect(link)
      local ok, message = send(conn, lines)
      if ok then break end
      conn:close()
      conn = nil
      rest(link, message)
    end
    link.pause, shipped = 0, shipped + #lines
  end
  problem = finish(conn, problem)
  if problem then return nil, problem, shipped end
  return shipped
end

-- The file of that name, sooner or later. Pipes and the like have no place to go on from.
local function open_file(path)
  while true do
    local named = aw.file.metadata(path)
    if named and named.type ~= "file" then return nil, ("%s: it is no file but a %s"):format(path, named.type) end
    local file, message, code = aw.file.open(path)
    if file or code ~= "ENOENT" then return file, message end
    aw.sleep(M.INTERVAL)
  end
end

-- Has the name gone to another file? While there is none of that name the old one may go on.
local function is_rotated(path, here)
  local named = aw.file.metadata(path)
  return named and (named.ino ~= here.ino or named.dev ~= here.dev)
end

--- Copies the file of that name to w as it grows, looking every INTERVAL. A file that is truncated is read from its start,
--- one that is renamed until another has had its name for an INTERVAL. Returns why it ended.
function M.follow(path, w)
  local file, message, rotated, position
  while true do
    if not file then
      file, message = open_file(path)
      position, rotated = 0, false
    end
    if not file then return message end
    local n
    n, message = aw.copy(file, w)
    if not n then return message end
    position = position + n
    local here = file:metadata()
    if rotated then
      file:close()
      file = nil
    elseif here and here.size < position then
      position = file:seek("set", 0)
    else
      rotated = here and is_rotated(path, here)
      aw.sleep(M.INTERVAL)
    end
  end
end

local function stop_signal()
  local term, int = assert(aw.signal("SIGTERM")), assert(aw.signal("SIGINT"))
  aw.first(function() term:recv() end, function() int:recv() end)
end

-- Ships the file until a signal; what was read by then has GRACE seconds to go out.
local function ship_file(path, open, log)
  local r, w = aw.simplex(M.BATCH)
  local failed = false
  local follower = aw.spawn("follower", function()
    log(M.follow(path, w))
    failed = true
    w:shutdown()
  end)
  local _, lines, message, part = aw.first(function() return M.ship(r, open, log) end, function()
    stop_signal()
    follower:cancel()
    w:shutdown()
    aw.sleep(M.GRACE)
    return nil, "stopped before the server had taken everything"
  end)
  follower:cancel()
  if failed then return nil, message, lines or part end
  return lines, message, part
end

local function main(host, port, path)
  local function log(text) io.stderr:write("log_shipper: ", text, "\n") end
  local function open() return aw.timeout(10, aw.tcp.connect, host, port) end
  local lines, message, part
  if path then lines, message, part = ship_file(path, open, log) else lines, message, part = M.ship(aw.stdin(), open, log) end
  if message then log(message) end
  if lines or part then print((lines or part) .. " lines") end
  return lines and 0 or 1
end

if ... ~= "log_shipper" then
  local host, port = arg[1], tonumber(arg[2])
  if not port or port < 1 or port > 65535 or port % 1 ~= 0 or #arg > 3 then
    io.stderr:write("usage: log_shipper.lua HOST PORT [FILE]\n")
    os.exit(2)
  end
  os.exit(aw.run(main, host, port, arg[3]), true)
end

return M
