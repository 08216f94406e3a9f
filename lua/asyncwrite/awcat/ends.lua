-- SPDX-License-Identifier: MIT
-- The two ends of a transfer under one roof: sockets and pipes wait, files block for a step and yield.
--
-- An end is made by new, checked by prepare (what can fail without a peer), then opened by open (which may wait).
-- Then: read(n) and poll_read(n) as a reader's; write(s, i) -> bytes accepted; flush(); finish(), nothing follows;
-- ended(), a source has been read to its end; held(), bytes accepted that went nowhere yet; waits(), how often and for
-- how many seconds a writer waited, where that is known; close(). Failures are nil, message, code.

local aw = require "asyncwrite"
local shell = require "asyncwrite.awcat.shell"

local M = {}

-- ---- Streams: sockets, and descriptors that can be polled ----
local Stream = {}
Stream.__index = Stream

function Stream:read(n) return self.stream:read(n) end
function Stream:poll_read(n) return self.stream:poll_read(n) end
function Stream:write(s, i) return self.stream:write(s, i) end
function Stream:flush() return self.stream:flush() end
function Stream:held() return self.stream:is_writer() and self.stream:buffered() or 0 end
function Stream:size() return nil end
function Stream:ended() return true end

function Stream:waits()
  local stats = self.stream:stats()
  return stats.waits, stats.stalled
end

--- Sockets say goodbye. A descriptor that was handed in is shared with others, who may want to write on.
function Stream:finish()
  if self.address.socket then return self.stream:shutdown() end
  return self.stream:flush()
end

function Stream:close()
  for _, thing in ipairs { self.stream or false, self.listener or false } do
    if thing and not thing:is_closed() then thing:close() end
  end
end

--- Writes are collected up to size bytes from here on.
function Stream:buffer(size)
  if self.stream:is_writer() then self.stream = aw.buf_writer(self.stream, size) end
end

local function host_port(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

local function listen(self)
  local address = self.address
  local message, code
  if address.kind == "unix-listen" then
    self.listener, message, code = aw.unix.listen(address.path)
  else
    self.listener, message, code = aw.tcp.listen(address.host, address.port, { backlog = 1 })
  end
  if not self.listener then return nil, message, code end
  local name = "unix:" .. (address.path or "")
  if address.kind == "tcp-listen" then name = "tcp://" .. host_port(self.listener:local_addr()) end
  io.stderr:write("awcat: listening on ", name, "\n")
  return true
end

function Stream:prepare()
  if self.address.kind:find("listen", 1, true) then return listen(self) end
  return true
end

function Stream:open()
  local address = self.address
  local message, code
  if self.listener then
    self.stream, message, code = self.listener:accept()
    self.listener:close()
  elseif address.kind == "unix" then
    self.stream, message, code = aw.unix.connect(address.path)
  elseif address.kind == "tcp" then
    self.stream, message, code = aw.tcp.connect(address.host, address.port)
  end
  if not self.stream then return nil, message, code end
  -- Nothing waits in the buffer here while the source is idle; it should not wait in the kernel either.
  if address.kind:find("^tcp") then self.stream:set_nodelay(true) end
  return true
end

-- ---- Commands: what one prints, or what it reads ----
local Command = setmetatable({}, { __index = Stream })
Command.__index = Command

function Command:prepare() return true end

function Command:open()
  local side = self.writes and "stdin" or "stdout"
  local child, message, code = aw.process.spawn { "/bin/sh", "-c", self.address.command, [side] = "pipe", kill_on_drop = true }
  if not child then return nil, message, code end
  self.child, self.stream = child, child[side]
  return true
end

--- Waits for its end: all of a transfer is only done when the command says so.
function Command:ended()
  local status, signal = self.child:wait()
  if signal then return nil, "it was ended by " .. signal, "ECHILD" end
  if status ~= 0 then return nil, ("its exit status is %d"):format(status), "ECHILD" end
  return true
end

function Command:finish()
  local ok, message, code = self.stream:shutdown()
  if not ok then return nil, message, code end
  return self:ended()
end

function Command:close()
  Stream.close(self)
  if self.child then self.child:close() end
end

-- ---- Files ----
local File = {}
File.__index = File

-- Lua's messages start with the name, which the caller puts there itself.
local function plain(self, message)
  local name = self.path .. ": "
  return message:sub(1, #name) == name and message:sub(#name + 1) or message
end

function File:read(n)
  local s, message = self.file:read(n)
  aw.yield()
  if message then return nil, plain(self, message), "EIO" end
  return s
end
File.poll_read = File.read

-- After a failure the position tells how much of s went out.
function File:write(s, i)
  if i > 1 then s = s:sub(i) end
  local ok, message = self.file:write(s)
  if ok then
    self.position = self.position + #s
    aw.yield()
    return #s
  end
  local part = math.max(math.min((self.file:seek("cur") or 0) - self.position, #s), 0)
  return nil, plain(self, message), "EIO", part
end

function File:flush() return true end
function File:held() return 0 end
function File:ended() return true end
function File:waits() end
function File:buffer() end

function File:close()
  if self.file and not self.standard then self.file:close() end
  self.file = nil
end

-- Closing tells of failures that came late. A standard file stays open: it is shared, and Lua does not close it.
function File:finish()
  local ok, message
  if self.standard then
    ok, message = self.file:flush()
  else
    ok, message = self.file:close()
    self.file = nil
  end
  if not ok then return nil, plain(self, message), "EIO" end
  return true
end

--- What is left to read; nil when that cannot be known.
function File:size()
  local here = self.file:seek("cur")
  local last = here and self.file:seek("end")
  if not last then return nil end
  self.file:seek("set", here)
  return last > here and last - here or nil
end

local NOT_A_FILE = "not a regular file: let the shell open it, and use -"

--- Opens a source. A destination is only tried, so that it keeps its bytes until there is something to replace them.
function File:prepare()
  local file = self.standard
  if not file then
    local message
    -- Opening a named pipe would wait for its other side.
    if shell.succeeds("[ -p " .. shell.quote(self.path) .. " ]") then return nil, NOT_A_FILE, "ESPIPE" end
    file, message = io.open(self.path, self.writes and "ab" or "rb")
    if not file then return nil, plain(self, message), "EIO" end
  end
  self.file = file
  if not file:seek("cur") then return nil, NOT_A_FILE, "ESPIPE" end
  file:setvbuf("no")
  if not self.writes then
    local _, problem = file:read(0) -- a directory opens, but does not read
    if problem then return nil, plain(self, problem), "EIO" end
  elseif not self.standard then
    self:close()
  end
  return true
end

function File:open()
  if not self.file then
    local file, message = io.open(self.path, "wb")
    if not file then return nil, plain(self, message), "EIO" end
    file:setvbuf("no")
    self.file = file
  end
  self.position = self.file:seek("cur") or 0
  return true
end

-- ---- Making them ----
local function new_file(address, writes, path, standard)
  return setmetatable({ address = address, writes = writes, path = path, standard = standard }, File)
end

local function new_descriptor(address, writes)
  local stream, message, code = aw.pipe.open(address.fd)
  if stream then
    local usable
    if writes then usable = stream:is_writer() else usable = stream:is_reader() end
    if usable then return setmetatable({ address = address, stream = stream }, Stream) end
    stream:close()
    return nil, writes and "it is not open for writing" or "it is not open for reading", "EBADF"
  end
  if code ~= "EPERM" then return nil, message, code end
  local standard = not writes and address.fd == 0 and io.stdin or writes and address.fd == 1 and io.stdout or nil
  return new_file(address, writes, ("/dev/fd/%d"):format(address.fd), standard)
end

--- The end at an address; writes: it is the destination.
function M.new(address, writes)
  if address.kind == "descriptor" then return new_descriptor(address, writes) end
  if address.kind == "file" then return new_file(address, writes, address.path) end
  if address.kind == "exec" then return setmetatable({ address = address, writes = writes }, Command) end
  return setmetatable({ address = address }, Stream)
end

--- Are both the same file? Then writing would eat what is still to be read.
function M.same_file(source, dest)
  if not (source.path and dest.path) then return false end
  return shell.succeeds(("[ %s -ef %s ]"):format(shell.quote(source.path), shell.quote(dest.path)))
end

return M
