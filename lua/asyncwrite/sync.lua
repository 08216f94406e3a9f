-- SPDX-License-Identifier: MIT
-- mutex, notify and channel: how tasks share a writer and talk to each other.

local core = require "asyncwrite.core"
core.library()
local task = require "asyncwrite.task"

local M = {}

local getmetatable = getmetatable
local coop, bad_self = core.coop, task.bad_self

-- ---- A queue of waiting tasks, first come first served. A waiter that is dropped after its turn came passes it on.
local function new_queue() return { first = 1, last = 0, gone = 0 } end

-- Closes the gaps that dropped waiters left, once they are most of the queue: it stays as long as its waiters are many.
local function compact(q)
  if q.gone <= 16 or q.gone * 2 < q.last - q.first + 1 then return end
  local at = 0
  for i = q.first, q.last do
    local entry = q[i]
    q[i] = nil
    if not entry.gone then
      at = at + 1
      q[at] = entry
    end
  end
  q.first, q.last, q.gone = 1, at, 0
end

local function wake_one(q)
  while q.first <= q.last do
    local entry = q[q.first]
    q[q.first] = nil
    q.first = q.first + 1
    if entry.gone then
      q.gone = q.gone - 1
    else
      entry.woken = true
      entry.task.handle:wake()
      return true
    end
  end
  q.first, q.last = 1, 0
  return false
end

local function wake_all(q)
  while wake_one(q) do end -- luacheck: ignore 542
end

local function wait(q, op, on, pass_on)
  local me = task.need_task(op)
  local entry = { task = me }
  q.last = q.last + 1
  q[q.last] = entry
  me.cleanup = function()
    entry.gone = true
    if entry.woken then return pass_on(on) end
    q.gone = q.gone + 1
    compact(q)
  end
  while not entry.woken do
    local ok, err = pcall(task.park, op, on)
    if not ok then -- it cannot wait here, or it unwinds: its place is given up
      if not entry.gone then me.cleanup() end
      me.cleanup = nil
      error(err, 0)
    end
  end
  me.cleanup = nil
end

-- An operation that never has to wait still lets the others run now and then (W12).
local function cooperate(op)
  while not coop() do
    task.need_task(op)
    task.park(op)
  end
end

-- ---- Mutex ----
local Mutex, Guard = {}, {}
Mutex.__index, Guard.__index = Mutex, Guard

--- A lock for sharing a writer between tasks; fair.
function M.mutex() return setmetatable({ queue = new_queue(), locked = false }, Mutex) end

local function release(mutex)
  if not wake_one(mutex.queue) then mutex.locked = false end
end

--- Waits for the lock. Returns a guard: guard:unlock(), or a to-be-closed variable in Lua 5.4.
function Mutex:lock()
  if getmetatable(self) ~= Mutex then bad_self(self, "lock", "mutex") end
  cooperate("lock")
  if self.locked then
    wait(self.queue, "lock", self, release) -- the lock is handed over, it stays locked
  else
    self.locked = true
  end
  return setmetatable({ mutex = self }, Guard)
end

--- A guard if the lock is free now, else nil.
function Mutex:try_lock()
  if getmetatable(self) ~= Mutex then bad_self(self, "try_lock", "mutex") end
  if self.locked then return nil end
  self.locked = true
  return setmetatable({ mutex = self }, Guard)
end

function Mutex:is_locked()
  if getmetatable(self) ~= Mutex then bad_self(self, "is_locked", "mutex") end
  return self.locked
end

local function unlock_after(guard, ok, ...)
  guard:unlock()
  if not ok then error((...), 0) end
  return ...
end

--- f(...) with the lock held; released however f ends.
function Mutex:with(f, ...)
  if getmetatable(self) ~= Mutex then bad_self(self, "with", "mutex") end
  if type(f) ~= "function" then core.arg_error("with", 1, "f", "function expected, got " .. type(f)) end
  local guard = self:lock()
  local me = task.current()
  local outer = me.finally
  me.finally = function()
    guard:unlock()
    if outer then outer() end
  end
  local function done(...)
    me.finally = outer
    return unlock_after(guard, ...)
  end
  return done(pcall(f, ...))
end

function Mutex:__tostring() return "mutex" end

function Guard:unlock()
  if getmetatable(self) ~= Guard then bad_self(self, "unlock", "guard") end
  local mutex = self.mutex
  self.mutex = nil
  if mutex then release(mutex) end
end
Guard.__close = Guard.unlock

-- ---- Notify ----
local Notify = {}
Notify.__index = Notify

--- One task tells another that something happened, without a value.
function M.notify() return setmetatable({ queue = new_queue(), permit = false }, Notify) end

--- Wakes one waiter; with none the next notified() returns at once.
function Notify:notify_one()
  if getmetatable(self) ~= Notify then bad_self(self, "notify_one", "notify") end
  if not wake_one(self.queue) then self.permit = true end
end

--- Wakes all that wait now; leaves no permit.
function Notify:notify_waiters()
  if getmetatable(self) ~= Notify then bad_self(self, "notify_waiters", "notify") end
  wake_all(self.queue)
end

--- Waits until notified.
function Notify:notified()
  if getmetatable(self) ~= Notify then bad_self(self, "notified", "notify") end
  cooperate("notified")
  if self.permit then
    self.permit = false
    return
  end
  wait(self.queue, "notified", self, Notify.notify_one)
end

function Notify:__tostring() return "notify" end

-- ---- Channel ----
local Channel = {}
Channel.__index = Channel

--- A queue of at most capacity values between tasks; any number of senders and receivers.
function M.channel(capacity)
  if type(capacity) ~= "number" or capacity < 1 or capacity % 1 ~= 0 then
    core.arg_error("channel", 1, "capacity", "integer of at least 1 expected, got " .. tostring(capacity))
  end
  return setmetatable({ capacity = capacity, first = 1, last = 0, senders = new_queue(), receivers = new_queue() },
    Channel)
end

local function size(ch) return ch.last - ch.first + 1 end

local function pass_room(ch) wake_one(ch.senders) end
local function pass_value(ch) wake_one(ch.receivers) end

local function push(ch, value)
  ch.last = ch.last + 1
  ch[ch.last] = value
  wake_one(ch.receivers)
end

local function pop(ch)
  local value = ch[ch.first]
  ch[ch.first] = nil
  ch.first = ch.first + 1
  wake_one(ch.senders)
  return value
end

local function check_value(op, value)
  if value == nil then core.arg_error(op, 1, "value", "nil cannot be sent") end
end

local function closed() return nil, "EPIPE: the channel is closed", "EPIPE" end

--- Waits for room, then queues value. true, or nil, message, "EPIPE" once the channel is closed.
function Channel:send(value)
  if getmetatable(self) ~= Channel then bad_self(self, "send", "channel") end
  check_value("send", value)
  cooperate("send")
  while not self.is_closed and size(self) >= self.capacity do wait(self.senders, "send", self, pass_room) end
  if self.is_closed then return closed() end
  push(self, value)
  return true
end

--- send without waiting: nil, message, "EAGAIN" when the channel is full.
function Channel:try_send(value)
  if getmetatable(self) ~= Channel then bad_self(self, "try_send", "channel") end
  check_value("try_send", value)
  if self.is_closed then return closed() end
  if size(self) >= self.capacity then return nil, "EAGAIN: the channel is full", "EAGAIN" end
  push(self, value)
  return true
end

--- Waits for a value; nil once the channel is closed and drained.
function Channel:recv()
  if getmetatable(self) ~= Channel then bad_self(self, "recv", "channel") end
  cooperate("recv")
  while size(self) == 0 do
    if self.is_closed then return nil end
    wait(self.receivers, "recv", self, pass_value)
  end
  return pop(self)
end

--- recv without waiting: nil, message, "EAGAIN" when the channel is empty; nil alone when it is closed as well.
function Channel:try_recv()
  if getmetatable(self) ~= Channel then bad_self(self, "try_recv", "channel") end
  if size(self) > 0 then return pop(self) end
  if self.is_closed then return nil end
  return nil, "EAGAIN: the channel is empty", "EAGAIN"
end

--- for value in channel:values() do ... end, until it is closed and drained.
function Channel:values()
  if getmetatable(self) ~= Channel then bad_self(self, "values", "channel") end
  return function() return self:recv() end
end

--- No more sends; what is queued can still be received. Wakes everybody who waits.
function Channel:close()
  if getmetatable(self) ~= Channel then bad_self(self, "close", "channel") end
  self.is_closed = true
  wake_all(self.senders)
  wake_all(self.receivers)
end

function Channel:__tostring() return ("channel(%d)"):format(self.capacity) end

return M
