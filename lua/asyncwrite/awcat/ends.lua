-- SPDX-License-Identifier: MIT
-- The ends of a transfer under one roof.
--
-- An end is made by new, checked by prepare (what can fail without a peer), then opened by open (which may wait); from then
-- on it has a stream. size() is what is left to read, where that is known. ended() is called when all has been read or
-- written: only then is a command asked how it went. close(). shared: it was handed in, others may want to write on.
-- Failures are nil, message, code.

local aw = require "asyncwrite"

local M = {}

-- ---- Streams: sockets, and descriptors that can be polled ----
local Stream = {}
Stream.__index = Stream

function Stream:size() return nil end
function Stream:ended() return true end

function Stream:close()
  for _, thing in ipairs { self.stream or false, self.listener or false } do
    if thing and not thing:is_closed() then thing:close() end
  end
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

-- On a terminal it stays in awcat's process group: it may ask for a password, and Ctrl-C reaches all of it. Elsewhere it
-- has a group of its own, so that what the command has started can be ended too.
function Command:open()
  local side = self.writes and "stdin" or "stdout"
  local terminal = aw.file.open("/dev/tty")
  if terminal then terminal:close() end
  local child, message, code = aw.process.spawn { "/bin/sh", "-c", self.address.command, [side] = "pipe",
    kill_on_drop = true, detached = not terminal }
  if not child then return nil, message, code end
  self.child, self.stream, self.detached = child, child[side], not terminal
  return true
end

--- Waits for its end: all of a transfer is only done when the command says so.
function Command:ended()
  local status, signal = self.child:wait()
  if signal then return nil, "it was ended by " .. signal, "ECHILD" end
  if status ~= 0 then return nil, ("its exit status is %d"):format(status), "ECHILD" end
  return true
end

function Command:close()
  Stream.close(self)
  if not self.child then return end
  if self.detached then self.child:kill_group() end
  self.child:close()
end

-- ---- Files ----
local File = setmetatable({}, { __index = Stream })
File.__index = File

-- Opening a named pipe would wait for its other side, which nothing could interrupt; a directory opens, but does not read.
local function check_kind(self)
  local found, message, code = aw.file.metadata(self.path)
  if not found then
    if code == "ENOENT" and self.writes then return true end
    return nil, message, code
  end
  if found.type == "fifo" then return nil, "a named pipe: let the shell open it, and use -", "ESPIPE" end
  if found.type == "directory" then return nil, "EISDIR: it is a directory", "EISDIR" end
  return true
end

-- A destination keeps its bytes until there is something to replace them.
local TRY = { write = true, create = true }

function File:prepare()
  local ok, message, code = check_kind(self)
  if not ok then return nil, message, code end
  if self.shared then return true end
  self.stream, message, code = aw.file.open(self.path, self.writes and TRY or "r")
  if not self.stream then return nil, message, code end
  return true
end

function File:open()
  if self.shared or not self.writes or self.stream:kind() ~= "file" then return true end
  local ok, message, code = self.stream:set_len(0)
  if ok or code == "EINVAL" then return true end -- a device has no length
  return nil, message, code
end

function File:size()
  if self.stream:kind() ~= "file" then return nil end
  local here = self.stream:seek("cur")
  local last = here and self.stream:seek("end")
  if not last then return nil end
  self.stream:seek("set", here)
  return last > here and last - here or nil
end

-- ---- Making them ----
-- What was handed in: something that can be polled, else a file.
local function new_descriptor(address, writes)
  local made, class = { address = address, shared = true }, Stream
  local stream, message, code = aw.pipe.open(address.fd)
  if code == "EPERM" then
    class, made.path = File, ("/dev/fd/%d"):format(address.fd)
    stream, message, code = aw.file.from_fd(address.fd)
  end
  if not stream then return nil, message, code end
  local usable
  if writes then usable = stream:is_writer() else usable = stream:is_reader() end
  if not usable then
    stream:close()
    return nil, writes and "it is not open for writing" or "it is not open for reading", "EBADF"
  end
  made.stream = stream
  return setmetatable(made, class)
end

--- The end at an address; writes: it is the destination.
function M.new(address, writes)
  if address.kind == "descriptor" then return new_descriptor(address, writes) end
  if address.kind == "file" then return setmetatable({ address = address, writes = writes, path = address.path }, File) end
  if address.kind == "exec" then return setmetatable({ address = address, writes = writes }, Command) end
  return setmetatable({ address = address }, Stream)
end

--- Are both the same file? Then writing would eat what is still to be read.
function M.same_file(source, dest)
  if not (source.path and dest.path) then return false end
  local one, other = aw.file.metadata(source.path), aw.file.metadata(dest.path)
  return one and other and one.type == "file" and one.dev == other.dev and one.ino == other.ino
end

return M
