-- SPDX-License-Identifier: MIT
-- tcp, unix and pipe: connecting, listening and accept loops, put together from single polls in C.

local core = require "asyncwrite.core"
core.library()
local task = require "asyncwrite.task"

local park = task.park
local methods = core.methods
local poll_accept, is_closed = methods.poll_accept, methods.is_closed

local M = { tcp = {}, unix = {}, pipe = {} }

local ACCEPT_PAUSE = 0.05 -- seconds to wait when descriptors or memory ran out, before accepting again
local MAX_TASKS = 4096    -- default of serve's max

local function check(op, number, name, value, expected)
  if type(value) ~= expected then
    core.arg_error(op, number, name, ("%s expected, got %s"):format(expected, type(value)))
  end
end

local function check_port(op, number, port)
  local n = tonumber(port)
  if not n or n < 0 or n > 65535 or n % 1 ~= 0 then
    core.arg_error(op, number, "port", "integer from 0 to 65535 expected, got " .. tostring(port))
  end
  return ("%d"):format(n)
end

local function check_options(op, number, options, known)
  if options == nil then return {} end
  check(op, number, "options", options, "table")
  for key in pairs(options) do
    if not known[key] then core.arg_error(op, number, "options", "unknown option '" .. tostring(key) .. "'") end
  end
  return options
end

-- A numeric address is there at once, so that listen works outside a task too.
local function resolve(op, host, port, passive)
  local lookup, message, code = core.resolve(host, port, passive)
  if not lookup then return nil, message, code end
  if lookup:count() == 0 then task.need_task(op) end
  while lookup:count() == 0 do
    local ok
    ok, message, code = lookup:poll()
    if ok then break end
    if ok == nil then return nil, message, code end
    park(op)
  end
  return lookup
end

local function wait_connected(stream)
  while true do
    local ok, message, code = stream:poll_connect()
    if ok then return stream end
    if ok == nil then
      stream:close()
      return nil, message, code
    end
    park("connect", stream)
  end
end

--- A stream to host:port. Every address of the name is tried in turn; the last failure is returned.
--- options: bind, the local address to connect from.
function M.tcp.connect(host, port, options)
  check("connect", 1, "host", host, "string")
  port = check_port("connect", 2, port)
  options = check_options("connect", 3, options, { bind = true })
  task.need_task("connect")
  local from, message, code
  if options.bind ~= nil then
    check("connect", 3, "options.bind", options.bind, "string")
    from, message, code = resolve("connect", options.bind, "0", true)
    if not from then return nil, message, code end
  end
  local lookup
  lookup, message, code = resolve("connect", host, port, false)
  if not lookup then return nil, message, code end
  local stream
  for i = 1, lookup:count() do
    stream, message, code = core.tcp_connect(lookup, i, from)
    if stream then
      stream, message, code = wait_connected(stream)
    end
    if stream then return stream end
  end
  return nil, message, code
end

--- A listener at host:port (port 0: the system chooses, see local_addr).
--- options: backlog (1024), reuseport (false).
function M.tcp.listen(host, port, options)
  check("listen", 1, "host", host, "string")
  port = check_port("listen", 2, port)
  options = check_options("listen", 3, options, { backlog = true, reuseport = true })
  local lookup, message, code = resolve("listen", host, port, true)
  if not lookup then return nil, message, code end
  local listener
  for i = 1, lookup:count() do
    listener, message, code = core.tcp_listen(lookup, i, options.backlog, options.reuseport)
    if listener then return listener end
  end
  return nil, message, code
end

--- A stream over a connected tcp socket. It is dup'd; the caller keeps its own.
M.tcp.open = core.tcp_open

--- A stream to the unix socket at path; a leading "\0" names an abstract one (Linux).
function M.unix.connect(path)
  check("connect", 1, "path", path, "string")
  task.need_task("connect")
  local stream, message, code = core.unix_connect(path)
  if not stream then return nil, message, code end
  return wait_connected(stream)
end

--- A listener at path. The file is unlinked at close, if it is still the one made here. options: backlog (1024).
function M.unix.listen(path, options)
  check("listen", 1, "path", path, "string")
  options = check_options("listen", 2, options, { backlog = true })
  return core.unix_listen(path, options.backlog)
end

--- Two streams connected to each other.
M.unix.pair = core.unix_pair

--- A pipe of the operating system: reader, writer.
M.pipe.pair = core.pipe_pair

--- A descriptor of any kind that can be polled: pipe, terminal, socket, device. It is dup'd; the caller keeps its own.
--- Regular files give EPERM.
M.pipe.open = core.pipe_open

-- ---- Listeners ----

--- Waits for a connection.
function methods.accept(listener)
  while true do
    local stream, message, code = poll_accept(listener)
    if stream ~= false then return stream, message, code end
    park("accept", listener)
  end
end

local passing = { EMFILE = true, ENFILE = true, ENOBUFS = true, ENOMEM = true }
local ignored = { ECONNABORTED = true, ECONNRESET = true, EPROTO = true, EPERM = true, ENETDOWN = true, EHOSTDOWN = true,
  EHOSTUNREACH = true, ENETUNREACH = true, ENONET = true, EOPNOTSUPP = true, EINTR = true, ETIMEDOUT = true }

local function close_stream(stream)
  if not stream:is_closed() then stream:close() end
end

--- Accepts for ever, each connection in a task of its own: f(stream). The stream is closed when f ends.
--- When descriptors or memory run out it pauses and goes on. Returns when the listener is closed (true) or fails.
--- options: max (4096 tasks at once), on_error (called with message, code of each failed accept).
function methods.serve(listener, f, options)
  check("serve", 1, "f", f, "function")
  options = check_options("serve", 2, options, { max = true, on_error = true })
  local me, max, count, waiting = task.need_task("serve"), options.max or MAX_TASKS, 0, false
  if type(max) ~= "number" or max < 1 or max % 1 ~= 0 then
    core.arg_error("serve", 2, "options.max", "integer of at least 1 expected, got " .. tostring(max))
  end
  if options.on_error ~= nil then check("serve", 2, "options.on_error", options.on_error, "function") end
  while true do
    while count >= max do
      waiting = true
      park("serve", listener)
    end
    if is_closed(listener) then return true end
    local stream, message, code = methods.accept(listener)
    if stream then
      local child = task.spawn(f, stream)
      count = count + 1
      child.finally = function()
        count = count - 1
        if waiting then
          waiting = false
          me.handle:wake()
        end
        close_stream(stream)
      end
    elseif code == "ECANCELED" then
      return true
    else
      if options.on_error then options.on_error(message, code) end
      if passing[code] then
        task.sleep(ACCEPT_PAUSE)
      elseif not ignored[code] then
        return nil, message, code
      end
    end
  end
end

return M
