-- SPDX-License-Identifier: MIT
-- Wakers that count, and wakers that nobody may wake, as in futures-test.

local core = require "asyncwrite.core"
core.library()
local watch = require "asyncwrite.testing.watch"

local M = {}

local Waker = {}
Waker.__index = Waker

-- A waker's function holds the counts and not the object, which holds the waker: that would be a cycle through C.

--- A waker that counts. `waker` is what asyncwrite.with_waker takes.
function M.waker()
  local counts = { woken = 0 }
  local waker = core.waker(function() counts.woken = counts.woken + 1 end)
  return setmetatable({ waker = waker, counts = counts }, Waker)
end

--- A waker that must not be woken: if it is, check, the next poll with it and the end of the run raise who did it.
function M.panic_waker()
  local item = { unfinished = function() end }
  local waker = core.waker(function()
    watch.fail(item, debug.traceback("a waker was woken that must not be", 2), not item.polling)
  end)
  watch.add(item)
  return setmetatable({ waker = waker, item = item, counts = { woken = 0 } }, Waker)
end

local function checked(self, ...)
  if self.item then self.item.polling = false end
  self:check()
  return ...
end

--- f(...) so that its polls register this waker.
function Waker:with(f, ...)
  if self.item then self.item.polling = true end
  return checked(self, core.with_waker(self.waker, f, ...))
end

--- One poll of a stream with this waker: c:poll(w, "poll_write", "hello").
function Waker:poll(stream, method, ...)
  if type(method) ~= "string" or not core.methods[method] then
    core.arg_error("poll", 2, "method", "the name of a poll expected, got " .. tostring(method))
  end
  return self:with(core.methods[method], stream, ...)
end

--- How often it was woken since the last reset. Wakes that come together may be one (W6).
function Waker:count() return self.counts.woken end

function Waker:is_woken() return self.counts.woken > 0 end

--- Counts from 0 again; returns what it was.
function Waker:reset()
  local n = self.counts.woken
  self.counts.woken = 0
  return n
end

--- Wakes it.
function Waker:wake() self.waker:wake() end

--- Would waking one be waking the other?
function Waker:will_wake(other)
  return self.waker:will_wake(type(other) == "table" and other.waker or other)
end

--- Raises if it is a panic_waker that was woken.
function Waker:check()
  local item = self.item
  if not item or not item.failure then return end
  watch.settle(item)
  error(item.failure, 0)
end

return M
