-- SPDX-License-Identifier: MIT
-- lua spec/examples/pour.lua [FILE], as `make run` does: pours a file through buf_writer > tcp on loopback into a second
-- process and says how fast that was, how much memory both took, and whether the bytes that arrived are the file's.
-- Without FILE it pours 128 MiB that it makes once. Exit status: 0, 1 with a message when anything went wrong, or 2.

local aw = require "asyncwrite"
local digest = require "asyncwrite.awcat.digest"
local progress = require "asyncwrite.awcat.progress"
local shell = require "asyncwrite.awcat.shell"

local BUFFER = 256 * 1024
local STEP = 64 * 1024
local PATIENCE = 30 -- seconds without a byte until either side gives up
local ARRIVAL = 10  -- seconds that the receiver waits for its sender, who connects at once
local MADE_MIB = 128
local MiB = 1024 * 1024

local function fail(...) error({ table.concat({ ... }) }, 0) end

-- The most memory this process ever held, in KiB; 0 where there is no /proc.
local function peak_memory()
  local status = io.open("/proc/self/status")
  local kib = status and status:read("*a"):match("VmHWM:%s*(%d+)")
  if status then status:close() end
  return tonumber(kib) or 0
end

-- ---- The receiver: a process of its own ----

-- Reads a connection to its end. How many bytes came.
local function drain(conn, sum)
  local bytes = 0
  while true do
    conn:set_deadline(PATIENCE)
    local s, message, code = conn:read(STEP)
    if code then fail("receiving: ", message) end
    if not s then return bytes end
    local ok, problem = sum.stream:write_all(s)
    if not ok then fail("hashing: ", problem) end
    bytes = bytes + #s
  end
end

local function accept_one()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  io.stdout:write(("PORT %d\n"):format(port)) -- the sender waits for this line
  io.stdout:flush()
  listener:set_deadline(ARRIVAL)
  local conn, message = listener:accept()
  listener:close()
  if not conn then fail("waiting for the sender: ", message) end
  return conn
end

local function receive()
  local bytes, hex = aw.run(function()
    local sum = assert(digest.new())
    local conn = accept_one()
    local n = drain(conn, sum)
    assert(sum.stream:shutdown())
    assert(sum:ended())
    conn:close() -- the end of file that the sender waits for
    return n, sum.hex
  end)
  io.stdout:write(("BYTES %.0f\nSHA256 %s\nPEAK %d\n"):format(bytes, hex, peak_memory()))
end

-- ---- The file ----

local function size_of(path)
  local file = io.open(path, "rb")
  local size = file and file:seek("end")
  if file then file:close() end
  return size
end

-- Noise that is the same on every machine, from a linear congruential generator.
local function noise(size)
  local parts, x = {}, 20240229
  for i = 1, size / 4 do
    x = x * 16807 % 2147483647
    parts[i] = string.char(x % 256, math.floor(x / 256) % 256, math.floor(x / 65536) % 256, math.floor(x / 4194304) % 256)
  end
  return table.concat(parts)
end

-- The default file; made whole or not at all, so that an interrupted run leaves no half of it.
local function make_file()
  local path = "build/pour.bin"
  if size_of(path) == MADE_MIB * MiB then return path end
  print(("making %s, %d MiB of noise ..."):format(path, MADE_MIB))
  if not shell.succeeds("mkdir -p build") then fail("cannot make the folder build") end
  -- A small block, because what it takes is part of the peak memory that is shown.
  local block, unfinished = noise(STEP), ("%s.%d"):format(path, os.time())
  local file, message = io.open(unfinished, "wb")
  if not file then fail(message) end
  for i = 1, MADE_MIB * MiB / STEP do -- turned by another distance each time
    local at = i * 7919 % STEP
    local ok, problem = file:write(block:sub(at + 1), block:sub(1, at))
    if not ok then
      os.remove(unfinished)
      fail(path, ": ", problem)
    end
  end
  file:close()
  assert(os.rename(unfinished, path))
  return path
end

local function open_file(path)
  local file, message = io.open(path, "rb")
  if not file then fail(message) end
  local ok, problem = file:read(0)
  if problem then fail(path, ": ", problem) end
  local size = ok ~= nil and file:seek("end") or 0
  file:seek("set")
  file:setvbuf("no")
  return file, size
end

-- ---- The sender: this process ----

-- What fails is returned, not raised: a task that is dropped by a failure needs no traceback.
local function send(file, w, state)
  while true do
    local s, problem = file:read(STEP)
    if problem then return problem end
    if not s then break end
    local ok, message = w:write_all(s)
    if not ok then return message end
    state.sent = state.sent + #s
  end
  local ok, message = w:shutdown()
  if not ok then return message end
  local rest, lost = w:read() -- the receiver closes when it has everything
  if rest then return "the receiver talks back" end
  return lost
end

-- Draws the bar, and ends when nothing has moved for too long.
local function watch(state, bar)
  local sent, since = -1, aw.now()
  while true do
    aw.sleep(0.1)
    if bar then bar:draw(state.sent) end
    if state.sent ~= sent then sent, since = state.sent, aw.now() end
    if aw.now() - since > PATIENCE then return ("nothing moved for %d s"):format(PATIENCE) end
  end
end

-- Pours file into the port. The seconds it took.
local function pour(file, size, child)
  local conn, message = aw.tcp.connect("127.0.0.1", child.port)
  if not conn then fail(message) end
  local w = aw.buf_writer(conn, BUFFER)
  child.w = w
  local columns = progress.terminal()
  print(("  %s in process %s"):format(tostring(w), child.pid))
  local bar = columns and progress.new(columns, size)
  local state, start = { sent = 0 }, aw.now()
  local _, problem = aw.first(function() return send(file, w, state) end, function() return watch(state, bar) end)
  if bar then bar:finish(state.sent) end
  if problem then fail("sending: ", problem, (" after %.0f bytes"):format(state.sent)) end
  return aw.now() - start
end

local function interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return os.getenv("SPEC_LUA") or shell.quote(arg[i])
end

-- Starts the receiver and waits for its port.
local function start_receiver()
  local command = ("echo $$; exec %s %s --receive </dev/null"):format(interpreter(), shell.quote(arg[0]))
  local pipe = assert(io.popen(command, "r"))
  local child = { pipe = pipe, pid = pipe:read("*l") }
  child.port = tonumber((pipe:read("*l") or ""):match("^PORT (%d+)$"))
  return child
end

local function read_results(child)
  local text = child.pipe:read("*a")
  child.pipe:close()
  child.ended = true
  local bytes, hex, peak = text:match("BYTES (%d+)\nSHA256 (%x+)\nPEAK (%d+)\n")
  if not bytes then fail("the receiver ended without a result") end
  return { bytes = tonumber(bytes), hex = hex, peak = tonumber(peak) }
end

-- However this ends, the receiver has ended too.
local function stop(child)
  if child.w then child.w:close() end
  if child.ended then return end
  if child.pid then os.execute("kill " .. child.pid .. " 2>/dev/null") end
  child.pipe:close()
end

local function with_receiver(f)
  local child = start_receiver()
  local ok, result = pcall(function()
    if not child.port then fail("the receiver did not start") end
    return f(child)
  end)
  stop(child)
  if not ok then error(result, 0) end
  return result
end

local function digest_of(path)
  local sum, file = assert(digest.new()), assert(aw.file.open(path))
  assert(aw.copy(file, sum.stream, STEP))
  assert(sum.stream:shutdown())
  assert(sum:ended())
  file:close()
  return sum.hex
end

local function report(size, seconds, got, path)
  local ours = { bytes = size, hex = aw.run(digest_of, path), peak = peak_memory() }
  print(("  %s in %.2f s: %.0f MiB/s, hashed on arrival\n"):format(progress.bytes(size), seconds,
    size / MiB / math.max(seconds, 1e-6)))
  for _, side in ipairs { { "sender", ours }, { "receiver", got } } do
    print(("  %-8s  peak memory %6.1f MiB  sha256 %s"):format(side[1], side[2].peak / 1024, side[2].hex))
  end
  if got.bytes ~= size then fail(("%.0f bytes were sent, %.0f arrived"):format(size, got.bytes)) end
  if got.hex ~= ours.hex then fail("the digests differ") end
  print("\n  The digests agree: every byte arrived.")
end

local function main(path)
  if not path or path == "" then path = make_file() end
  local file, size = open_file(path)
  with_receiver(function(child)
    print(("pouring %s (%s) through"):format(path, progress.bytes(size)))
    local seconds = aw.run(pour, file, size, child)
    report(size, seconds, read_results(child), path)
  end)
  file:close()
end

io.stdout:setvbuf("line")
if #arg > 1 then
  io.stderr:write("usage: pour.lua [FILE]\n")
  os.exit(2)
end
local is_receiver = arg[1] == "--receive"
local ok, err = pcall(is_receiver and receive or main, arg[1])
if not ok then
  if type(err) == "string" and err:find("interrupted!", 1, true) then err = { "interrupted" } end
  io.stderr:write(is_receiver and "pour (receiver): " or "pour: ", type(err) == "table" and err[1] or err, "\n")
end
os.exit(ok and 0 or 1, true)
