-- What writer.c does, by the library: writer.lua PORT MODE CHUNK TOTAL [NODELAY]. One mode for each way to say it.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local support = dofile((arg[0]:match("^.*/") or "./") .. "support.lua")

local port, mode, chunk, total = tonumber(arg[1]), arg[2], tonumber(arg[3]), tonumber(arg[4])
local HEADER_SIZE, BUFFER_SIZE = 16, 8192
local s, header = ("p"):rep(chunk), ("h"):rep(HEADER_SIZE)

-- They test what they get without assert, whose call would be a quarter of the cheapest of them, and is not the
-- library's. Each takes the connection and the number of chunks, and returns the bytes it wrote.
local modes = {}

function modes.write_all(conn, count)
  for _ = 1, count do
    if not conn:write_all(s) then
      error("write_all failed")
    end
  end
  return count * chunk
end

function modes.buf_poll_write(conn, count)
  local w = aw.buf_writer(conn, BUFFER_SIZE)
  local bytes = 0
  for _ = 1, count do
    local n = w:poll_write(s)
    if not n then -- NotReady: let the task wait for room.
      n = assert(w:write(s))
    end
    bytes = bytes + n
  end
  assert(w:flush())
  return bytes, w
end

-- The least that a method in C can be: what is above it is ours, what is below it is Lua's.
function modes.bare_poll_write(_, count)
  local w = assert(support.probe("bare"), "no probe.so")(arg[1])
  local bytes = 0
  for _ = 1, count do
    local n = w:poll_write(s)
    if not n then
      error("poll_write failed")
    end
    bytes = bytes + n
  end
  w:finish()
  return bytes
end

-- As who writes a hot loop does: the look-up of the method is a sixth of the call.
function modes.buf_poll_write_local(conn, count)
  local w = aw.buf_writer(conn, BUFFER_SIZE)
  local poll_write = w.poll_write
  local bytes = 0
  for _ = 1, count do
    local n = poll_write(w, s)
    if not n then
      n = assert(w:write(s))
    end
    bytes = bytes + n
  end
  assert(w:flush())
  return bytes, w
end

function modes.buf_write_all(conn, count)
  local w = aw.buf_writer(conn, BUFFER_SIZE)
  for _ = 1, count do
    if not w:write_all(s) then
      error("write_all failed")
    end
  end
  assert(w:flush())
  return count * chunk, w
end

function modes.buf_write_many(conn, count)
  local w = aw.buf_writer(conn, BUFFER_SIZE)
  local calls = math.floor(count / 16)
  for _ = 1, calls do
    if not w:write_all(s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s) then
      error("write_all failed")
    end
  end
  assert(w:flush())
  return calls * 16 * chunk, w
end

function modes.vec_write_all(conn, count)
  for _ = 1, count do
    if not conn:write_all(header, s) then
      error("write_all failed")
    end
  end
  return count * (HEADER_SIZE + chunk)
end

function modes.vec_write_vectored(conn, count)
  local each = HEADER_SIZE + chunk
  for _ = 1, count do
    local n = conn:write_vectored({ header, s })
    if not n then
      error("write_vectored failed")
    elseif n < each then
      assert(conn:write_all((header .. s):sub(n + 1)))
    end
  end
  return count * each
end

local ok, problem = pcall(aw.run, function()
  local conn = not mode:match("^bare_") and assert(aw.tcp.connect("127.0.0.1", port))
  if arg[5] == "1" then
    assert(conn:set_nodelay(true))
  end
  local each = chunk + (mode:match("^vec_") and HEADER_SIZE or 0)
  local count = math.floor(total / each)
  collectgarbage()
  support.reset_peak()
  local rss, cpu = support.status_kb("VmRSS"), os.clock()
  local bytes, w = modes[mode](conn, count)
  cpu = os.clock() - cpu
  local peak = support.status_kb("VmHWM")
  if conn then
    support.finish(w or conn)
  end
  support.result("cpu", cpu, "ops", bytes / each, "bytes", bytes, "grown_kb", peak - rss)
end)
if not ok then
  io.stderr:write("writer.lua: ", tostring(problem), "\n")
  os.exit(1)
end
