-- SPDX-License-Identifier: MIT
-- AsyncWrite over what nginx has: the response body, and cosockets. No descriptor of ours, no turn of our loop.
-- nginx's own operations suspend, a poll may not: poll_write fills a bounded queue, and one light thread of the same
-- request owns print, flush and send. It ends with the run whose task made the writer, after sending what was accepted.

local core = require "asyncwrite.core"
core.library()
local host = require "asyncwrite.host.resty"
local semaphore = require "ngx.semaphore"

local ngx = ngx -- luacheck: ignore
local current_waker = core.current_waker

local M = {}

local LIMIT = 64 * 1024

-- What nginx says, as codes; anything else is EIO.
local CODES = {
  closed = "ECONNRESET", timeout = "ETIMEDOUT", ["client aborted"] = "EPIPE", aborted = "EPIPE",
  ["broken pipe"] = "EPIPE", ["connection reset by peer"] = "ECONNRESET", ["seen eof"] = "EPIPE",
  ["nginx output filter error"] = "EPIPE", ["connection refused"] = "ECONNREFUSED",
}

local function failure(why)
  why = tostring(why)
  local code = CODES[why] or "EIO"
  return { ("%s: nginx: %s"):format(code, why), code }
end

local function options_of(op, options, known)
  if options == nil then return {} end
  if type(options) ~= "table" then core.arg_error(op, 1, "options", "table expected, got " .. type(options)) end
  for key in pairs(options) do
    if not known[key] then core.arg_error(op, 1, "options", "unknown option '" .. tostring(key) .. "'") end
  end
  local limit = options.limit
  if limit ~= nil and (type(limit) ~= "number" or limit < 1 or limit % 1 ~= 0) then
    core.arg_error(op, 1, "options.limit", "integer of at least 1 expected, got " .. tostring(limit))
  end
  return options
end

-- ---- Writing: shared by both ----
local Outlet = {}
Outlet.__index = Outlet

local function kick(self)
  if self.idle then
    self.idle = false
    self.sem:post(1)
  end
end

local function wake(self, slot)
  local waker = self[slot]
  if not waker then return end
  self[slot] = nil
  host.wake(waker)
end

function Outlet:poll_write(s)
  if self.failed then return nil, self.failed[1], self.failed[2] end
  local room = self.limit - self.size
  if room <= 0 then
    self.writer = current_waker()
    return false
  end
  local n = #s
  if n > room then
    n = room
    s = s:sub(1, n)
  end
  self.queue[#self.queue + 1] = s
  self.size = self.size + n
  kick(self)
  return n
end

function Outlet:poll_flush()
  if self.size == 0 and not self.failed then return true end
  if self.failed then return nil, self.failed[1], self.failed[2] end
  self.writer = current_waker()
  return false
end

function Outlet:poll_shutdown()
  if self.ended then return true end
  local failed = self.failed or self.refused
  if failed then return nil, failed[1], failed[2] end
  self.ending = true
  kick(self)
  self.writer = current_waker()
  return false
end

-- Abrupt: what is queued is dropped. Called outside any request: only the threads may touch what is nginx's.
function Outlet:close()
  self.dropped, self.closed = true, true
  kick(self)
  if self.read_sem then self:stop_reading() end
end

local function fail(self, why)
  self.failed = failure(why)
  self.queue, self.size = {}, 0
end

-- The thread. What it is sending still counts against the limit.
local function send_all(self)
  while true do
    if self.dropped then self.queue, self.size = {}, 0 end
    local batch, size = self.queue, self.size
    if size > 0 and not self.failed then
      self.queue = {}
      local ok, why = host.outside(self.send, batch)
      if ok then self.size = self.size - size else fail(self, why) end
      wake(self, "writer")
    elseif self.ending and not (self.ended or self.refused or self.failed or self.dropped) then
      self.refused = host.outside(self.finish)
      self.ended = not self.refused
      wake(self, "writer")
    elseif self.closed then
      if self.last then self.last() end
      return
    else
      self.idle = true
      self.sem:wait(1000)
      self.idle = false
    end
  end
end

local function start(op, self)
  self.queue, self.size, self.sem = {}, 0, semaphore.new()
  host.daemon(op, function() send_all(self) end, function(failed)
    self.closed = true
    if failed then self.dropped = true end
    kick(self)
  end)
end

--- A writer of the response body. flush waits until nginx has handed the bytes to the socket, so a slow client holds
--- the writer back; shutdown ends the response (ngx.eof). For a client of HTTP/1.0 nginx keeps the whole response until
--- its end, unless lua_http10_buffering is off. options: limit (64 KiB accepted and not yet sent).
function M.response(options)
  host.check("response")
  options = options_of("response", options, { limit = true })
  local function send(batch)
    local ok, why = ngx.print(batch)
    if not ok then return nil, why end
    ok, why = ngx.flush(true)
    return ok or why == "buffering" or nil, why
  end
  local function finish()
    local ok, why = ngx.eof()
    return not ok and failure(why) or nil
  end
  local self = setmetatable({ limit = options.limit or LIMIT, name = "nginx response", send = send, finish = finish },
    Outlet)
  start("response", self)
  return core.custom(self)
end

-- ---- Reading a cosocket ----
local Duplex = setmetatable({}, Outlet)
Duplex.__index = Duplex

function Duplex:poll_read(max)
  local data = self.data
  if data then
    if #data <= max then
      self.data = nil
      return data
    end
    self.data = data:sub(max + 1)
    return data:sub(1, max)
  end
  if self.eof then return nil end
  local broken = self.broken
  if broken then
    if broken[2] == "ETIMEDOUT" then self.broken = nil end -- the connection is still there
    return nil, broken[1], broken[2]
  end
  self.reader = current_waker()
  if not self.reading then
    self.reading = true
    self.read_sem:post(1)
  end
  return false
end

function Duplex:stop_reading()
  self.read_stop = true
  if not self.reading then self.read_sem:post(1) end
end

-- Reads only when asked, one piece at a time: what no poll has taken is at most the limit.
local function read_all(self, sock)
  while true do
    repeat local ok = self.read_sem:wait(1000) until ok
    if self.read_stop then return end
    local data, why = host.outside(sock.receiveany, sock, self.limit)
    if data then
      self.data = data
    elseif why == "closed" then
      self.eof = true
    else
      self.broken = failure(why)
    end
    self.reading = false
    wake(self, "reader")
  end
end

--- A stream over a connected cosocket (ngx.socket.tcp, ngx.req.socket(true)), which is its own from now on: nobody else
--- may use it. Deadlines are the library's; the cosocket's own timeouts should be longer and end the stream.
--- options: limit (64 KiB each way); close_on_shutdown (false): ngx_lua cannot close one direction, so shutdown flushes
--- and then fails with ENOTSUP, unless the whole connection may be closed.
function M.cosocket(sock, options)
  if type(sock) ~= "table" or type(sock.send) ~= "function" or type(sock.receiveany) ~= "function" then
    core.arg_error("cosocket", 1, "sock", "connected cosocket expected, got " .. type(sock))
  end
  host.check("cosocket")
  options = options_of("cosocket", options, { limit = true, close_on_shutdown = true })
  local self = setmetatable({ limit = options.limit or LIMIT, name = "nginx cosocket", read_sem = semaphore.new() }, Duplex)
  function self.send(batch) return sock:send(batch) end
  function self.last() -- while it is read it is "busy" and closes with the request
    if sock.close then sock:close() end
  end
  function self.finish()
    if not options.close_on_shutdown then
      return { "ENOTSUP: ngx_lua cannot close one direction of a cosocket", "ENOTSUP" }
    end
    self.last()
  end
  start("cosocket", self)
  host.daemon("cosocket", function() read_all(self, sock) end, function()
    if self.reading then return true end
    self:stop_reading()
  end)
  return core.custom(self)
end

return M
