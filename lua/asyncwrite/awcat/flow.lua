-- SPDX-License-Identifier: MIT
-- One direction of a transfer: from one end to another, and to whoever else is to have the same bytes.

local aw = require "asyncwrite"

local M = {}
local Flow = {}
Flow.__index = Flow

local unpack = table.unpack or unpack

local STEP = 64 * 1024 -- bytes per read

local GONE = { EPIPE = true, ECONNRESET = true, ECONNABORTED = true, ENOTCONN = true }

--- A failure at an address, in the words of the message to come.
function M.failure(address, message, code)
  if GONE[code] then message = ("the other side went away (%s)"):format(message) end
  return address.text .. ": " .. tostring(message)
end

-- The stream of a further end. One that is shared does not hear of the end, which would be that of a socket for all.
local function branch_to(other)
  local stream = other.stream
  if not other.shared or stream:kind() == "file" then return stream end
  return aw.custom {
    name = "shared",
    poll_write = function(_, s) return stream:poll_write(s) end,
    poll_flush = function() return stream:poll_flush() end,
    poll_shutdown = function() return stream:poll_flush() end,
    close = function() stream:close() end,
  }
end

--- From one end to another; others: a list of ends that get the same. Their streams become one, to's.
function M.new(from, to, others, options)
  local w = to.stream
  if #others > 0 then
    local branches = { w }
    for i, other in ipairs(others) do branches[i + 1] = branch_to(other) end
    w = aw.tee(branches, { capacity = options.buffer })
  end
  if options.rate then w = aw.throttle(w, options.rate) end
  w = aw.buf_writer(w, options.buffer)
  to.stream = w
  return setmetatable({ from = from, to = to, others = others, w = w, step = math.min(options.buffer, STEP) }, Flow)
end

--- Bytes that have left this process.
function Flow:passed_on() return self.w:stats().written end

-- The failure of a write, by the one of those who are written to whose it is.
function Flow:failed(message, code)
  local whose = self.to
  for i, branch in ipairs(#self.others > 0 and self.w:branches() or {}) do
    if branch.error and i > 1 then whose = self.others[i - 1] end
    if branch.error then break end
  end
  return M.failure(whose.address, message, code)
end

function Flow:flush()
  local ok, message, code = self.w:flush()
  if not ok then return self:failed(message, code) end
end

-- The next bytes, or nothing at the end. What is buffered does not wait for a source that is silent.
local function read(self)
  local from = self.from.stream
  local s, message, code = from:poll_read(self.step)
  if s == false then
    local failed = self:flush()
    if failed then return nil, failed end
    s, message, code = from:read(self.step)
  end
  if not s and code then
    self:flush() -- what came before is no worse for it
    return nil, M.failure(self.from.address, message, code)
  end
  return s
end

-- Sockets say goodbye. What was handed in is shared with others, who may want to write on.
local function finish(self)
  if not self.to.shared then
    local ok, message, code = self.w:shutdown()
    self.is_whole = ok
    return not ok and self:failed(message, code) or nil
  end
  local failed = self:flush()
  if not failed then self.w:close() end
  return failed
end

--- After all has been read and written: nil, or the failure of a part. All are waited for, also where one tells of one.
function Flow:ended()
  local failed
  for _, part in ipairs { self.from, self.to, unpack(self.others) } do
    local ok, message, code = part:ended()
    if not ok then failed = failed or M.failure(part.address, message, code) end
  end
  return failed
end

--- After a failure: a TCP peer hears of it, and does not take what it got for the whole.
function Flow:break_off()
  local is_tcp = self.to.address.kind:find("^tcp")
  if is_tcp and not self.is_whole and not self.w:is_closed() then self.w:set_linger(0) end
end

--- Everything, then its end. nil, or the failure.
function Flow:run()
  while true do
    local s, failed = read(self)
    if failed then return failed end
    if not s then break end
    local ok, message, code = self.w:write_all(s)
    if not ok then return self:failed(message, code) end
  end
  return finish(self)
end

return M
