-- SPDX-License-Identifier: MIT
-- One writer under test: the writer, who reads it, and a book of what it has accepted and what has arrived.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"

local Fixture = {}
Fixture.__index = Fixture

local CHUNK = 4096
local MOST = 64 * 1024 * 1024 -- what is not full then never will be

function Fixture.new(kind, random)
  return setmetatable({ kind = kind, random = random, accepted = {}, total = 0, received = {}, have = 0, tasks = {} },
    Fixture)
end

--- Takes a double for the writer: what it accepts has arrived.
function Fixture:use(double)
  self.double, self.w = double, double.w
  double.w = nil
  self.contents = function() return double:bytes() end
end

--- Makes the writer and its peer; in a task.
function Fixture:build()
  self.kind.make(self)
  if self.kind.half then
    self.r = self.r or self.w
    self.back = self.back or self.peer
  end
end

-- ---- Writing, with a book of what was accepted ----

--- n bytes of s were accepted.
function Fixture:book(s, n)
  if n > 0 then self.accepted[#self.accepted + 1] = s:sub(1, n) end
  self.total = self.total + n
  return n
end

--- The next n bytes of the text that this test writes: no byte is like its neighbours before or after.
function Fixture:text(n) return D.text(n, self.total + 1) end

function Fixture:booked() return table.concat(self.accepted) end

--- One poll_write, waited for; the count of what it took.
function Fixture:write(s) return self:book(s, check.count(s, D.ready(self.w, "poll_write", s))) end

function Fixture:write_vectored(list)
  local s = table.concat(list)
  return self:book(s, check.count(s, D.ready(self.w, "poll_write_vectored", list)))
end

--- Writes all of s, by polls.
function Fixture:put(s)
  local done = 0
  while done < #s do
    local n = self:write(s:sub(done + 1))
    check.ok(n > 0, "poll_write took nothing")
    done = done + n
  end
end

--- Writes until it is NotReady, first in big pieces, then byte by byte; the counter of the waker that is parked then.
function Fixture:fill()
  local c, n
  for _, size in ipairs { CHUNK, 1 } do
    repeat
      local s = self:text(size)
      c, n = D.poll(self.w, "poll_write", s)
      if n then self:book(s, check.count(s, n)) end
      check.ok(self.total < MOST, "it takes bytes without end")
    until not n
    check.equal(n, false, "a poll_write with no room")
  end
  return c
end

-- ---- Reading ----

function Fixture:keep(s)
  self.received[#self.received + 1] = s
  self.have = self.have + #s
end

--- What has arrived until now, without waiting for more.
function Fixture:arrived()
  if self.contents then return self.contents() end
  return table.concat(self.received)
end

--- Waits until at least n bytes have arrived.
function Fixture:await(n)
  if self.contents or self.kind.blind then return end
  while self.have < n do
    local s = check.ok(self.peer:read())
    self:keep(s)
  end
end

--- Waits for everything booked, and that it is just that.
function Fixture:expect_all()
  local want = self:booked()
  self:await(#want)
  if not self.kind.blind then check.equal(self:arrived(), want, "what arrived") end
end

--- A task that reads all there is, to end of file or an error, so that there is always room.
function Fixture:read_on()
  if not self.peer then return end
  self.reading = aw.spawn("reader", function()
    while true do
      local s, _, code = self.peer:read()
      if not s then
        self.read_code = code
        return
      end
      self:keep(s)
    end
  end)
end

function Fixture:stop_reading()
  if self.reading then self.reading:cancel() end
  self.reading = nil
end

--- Reads until the waker of a counter is woken, and stops then.
function Fixture:make_room(c)
  aw.first(function() c:wait() end, function()
    while true do self:keep(check.ok(self.peer:read())) end
  end)
end

--- Waits until whoever reads has seen end of file.
function Fixture:await_eof()
  if not self.peer then return end
  if not self.reading then self:read_on() end
  self.reading:join()
  self.reading = nil
  check.equal(self.read_code, nil, "the code that reading ended with")
end

--- Shuts the writer down; all that was booked has arrived then, and nothing else.
function Fixture:finish()
  if self.peer and not self.reading then self:read_on() end
  check.equal(D.ready(self.w, "poll_shutdown"), true, "poll_shutdown")
  self:await_eof()
  if not self.kind.blind then check.equal(self:arrived(), self:booked(), "what arrived") end
end

--- Writes s behind all that was accepted, while somebody reads, and finishes.
function Fixture:put_and_finish(s)
  self:read_on()
  self:put(s)
  self:finish()
end

-- ---- Failure ----

--- The peer goes away, without having read what is under way.
function Fixture:close_peer()
  self:stop_reading()
  if self.back and self.back ~= self.peer then self.back:close() end
  self.peer:close()
end

local function first_and_code(value, _, code) return value, code end

--- Writes and flushes until an error comes, as it must once the peer is gone; the code.
function Fixture:break_pipe()
  local n, code
  D.run_until(function()
    n, code = first_and_code(D.ready(self.w, "poll_write", "x"))
    if n then n, code = first_and_code(D.ready(self.w, "poll_flush")) end
    return n == nil
  end, "an error of a writer without a peer")
  return code
end

-- ---- Tasks ----

--- For the message of a hang: what is waited for, if that is known.
function Fixture:waits()
  local c = D.waiting
  D.waiting = nil
  return c and (": nobody wakes the waker of a NotReady %s"):format(c.op) or ""
end

--- A task that ends with the test.
function Fixture:spawn(f, ...)
  local task = aw.spawn(f, ...)
  self.tasks[#self.tasks + 1] = task
  return task
end

--- A task that is ready all the time; action, if given, runs at each of its turns. It ends with the test, and not much
--- later if that hangs, so that run sees it.
function Fixture:keep_ready(action)
  self:spawn(function()
    for _ = 1, 100000 do
      if action then action() end
      aw.yield()
    end
  end)
end

function Fixture:close()
  self:stop_reading()
  for _, task in ipairs(self.tasks) do task:cancel() end
  for _, box in pairs { self.w or false, self.peer or false, self.r or false, self.back or false } do
    if box and not box:is_closed() then box:close() end
  end
end

return Fixture
