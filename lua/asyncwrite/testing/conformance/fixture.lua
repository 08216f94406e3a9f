-- SPDX-License-Identifier: MIT
-- One writer under test: the writer, who reads it, and a book of what it has accepted and what has arrived.

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"

local Fixture = {}
Fixture.__index = Fixture

local CHUNK = 4096
local MOST = 64 * 1024 * 1024  -- what is not full then never will be
local SURPLUS = 2 * 1024 * 1024 -- more than any case has under way; over descriptors four times as much

function Fixture.new(kind, random)
  return setmetatable({ kind = kind, random = random, accepted = {}, total = 0, received = {}, have = 0, tasks = {},
    grown = aw.notify() }, Fixture)
end

--- Takes a double for the writer: what it accepts has arrived.
function Fixture:use(double)
  self.double, self.w = double, double.w
  double.w = nil
  self.contents = function() return double:bytes() end
end

--- Makes the writer and its peer; in a task. Where there is a reader, t.r reads what t.back sends.
function Fixture:build()
  local kind = self.kind
  kind.make(self)
  if kind.half then
    self.r = self.r or self.w
    self.back = self.back or self.peer
  elseif kind.reader then
    self.r = self.r or self.peer
    self.back = self.back or self.w
  end
end

--- Lets go of a stream, whatever names it has here, so that the collector may take it.
function Fixture:let_go(stream)
  for _, name in ipairs { "w", "r", "peer", "back" } do
    if self[name] == stream then self[name] = nil end
  end
end

--- Sends s to the reader, t.r.
function Fixture:feed(s)
  local done = 0
  while done < #s do
    local n = check.count(s, D.ready(self.back, "poll_write", s:sub(done + 1)))
    check.ok(n > 0, "what feeds the reader takes nothing")
    done = done + n
  end
  check.equal(D.ready(self.back, "poll_flush"), true, "poll_flush of what feeds the reader")
end

-- ---- Writing, with a book of what was accepted ----

--- n bytes of s were accepted.
function Fixture:book(s, n)
  if n > 0 then self.accepted[#self.accepted + 1] = s:sub(1, n) end
  self.total = self.total + n
  return n
end

--- What a poll_write of s gave must be a count; it is booked.
function Fixture:take(s, n, message, code)
  check.count(s, n, message, code)
  if n == 0 and s ~= "" and not self.kind.zero then check.fail("a write of %d bytes gave 0 (P4)", #s) end
  return self:book(s, n)
end

--- The next n bytes of the text that this test writes: no byte is like its neighbours before or after.
function Fixture:text(n) return D.text(n, self.total + 1) end

function Fixture:booked() return table.concat(self.accepted) end

--- One poll_write, waited for; the count of what it took.
function Fixture:write(s) return self:take(s, D.ready(self.w, "poll_write", s)) end

function Fixture:write_vectored(list)
  return self:take(table.concat(list), D.ready(self.w, "poll_write_vectored", list))
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

local function looks_like(code, message, ...)
  for _, name in ipairs { ... } do
    if code == name or message:find("^" .. name) then return true end
  end
end

--- One poll_write, by a counter or a new one, that must be Ready or NotReady: the counter, and the count or false.
function Fixture:poll_write(s, c)
  c = c or D.waker()
  local n, message, code = c:poll(self.w, "poll_write", s)
  if n then
    if n == 0 and s ~= "" and not self.kind.zero then check.fail("poll_write gave 0 where it had no room (P4)") end
    self:book(s, check.count(s, n))
  elseif n == nil and looks_like(code, message, "EAGAIN", "EINTR", "EWOULDBLOCK") then
    check.fail("poll_write with no room failed with %s: %s (P6)", code, message)
  else
    check.equal(n == nil and code or n, false, "a poll_write with no room")
  end
  return c, n
end

--- Writes until it is NotReady, first in big pieces, then byte by byte; the counter of the waker that is parked then.
--- text(n), if given, makes what is written, and counter does all polls.
function Fixture:fill(text, counter)
  local c, n
  for _, size in ipairs { CHUNK, 1 } do
    local most = self.total + MOST / CHUNK * size
    repeat
      c, n = self:poll_write(text and text(size) or self:text(size), counter)
      check.ok(self.total < most, "it takes bytes without end")
    until not n
  end
  return c
end

--- Tries until f gives a counter: of a poll that is NotReady while it is full. f gets the counter that all polls until
--- then were by.
function Fixture:pend(f)
  for _ = 1, self.kind.fd and 100000 or 100 do
    local c = f(self:fill(nil, D.waker()))
    if c then return c end
  end
  check.fail("it is full, and yet never NotReady")
end

-- ---- Reading ----

function Fixture:keep(s)
  self.received[#self.received + 1] = s
  self.have = self.have + #s
  local most = self.total + SURPLUS * (self.kind.fd and 4 or 1)
  if self.have > most then check.fail("more and more bytes arrive that were never accepted") end
  self.grown:notify_one()
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
        self.read_code, self.read_ended = code, true
        self.grown:notify_one()
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
  self.stage = "eof"
  self.reading:join()
  self.stage, self.reading = nil, nil
  check.equal(self.read_code, nil, "the code that reading ended with")
end

--- Reads what is there, so that a flush need not wait.
function Fixture:drain()
  while true do
    local _, s = D.poll(self.peer, "poll_read")
    if not s then return end
    self:keep(s)
  end
end

--- Flushes, and waits for everything booked: that it is just that.
function Fixture:settle()
  if self.peer and not self.reading then
    self:drain()
    self:read_on()
  end
  check.equal(D.ready(self.w, "poll_flush"), true, "poll_flush")
  if self.kind.blind then return end
  if self.peer then
    while self.have < self.total and not self.read_ended do
      self.stage = "bytes"
      self.grown:notified()
    end
    self.stage = nil
  end
  check.equal(self:arrived(), self:booked(), "what arrived")
end

--- Shuts the writer down without a flush; all that was booked has arrived then, and nothing else.
function Fixture:finish_unflushed()
  if self.peer and not self.reading then self:read_on() end
  check.equal(D.ready(self.w, "poll_shutdown"), true, "poll_shutdown")
  self:await_eof()
  if not self.kind.blind then check.equal(self:arrived(), self:booked(), "what arrived") end
end

--- Flushes, compares, and shuts down.
function Fixture:finish()
  self:settle()
  self:finish_unflushed()
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
  if self.back and self.back ~= self.peer and self.back ~= self.w then self.back:close() end
  self.peer:close()
end

local function first_and_code(value, _, code) return value, code end

-- One write and one flush: the code of the first that fails, or nil.
local function try_both(t, poll)
  local n, code = first_and_code(poll(t.w, "poll_write", "x"))
  if n ~= nil then n, code = first_and_code(poll(t.w, "poll_flush")) end
  return n == nil and code
end

local function poll_once(...) return select(2, D.poll(...)) end

--- Writes and flushes until an error comes, as it must once the peer is gone; the code.
function Fixture:break_pipe()
  local code
  if self.kind.fd then
    D.run_until(function()
      code = try_both(self, D.ready)
      return code
    end, "an error of a writer without a peer")
    return code
  end
  for _ = 1, 1000 do
    code = try_both(self, poll_once)
    if code then return code end
  end
  check.fail("it writes and flushes though its peer is gone (M1)")
end

-- ---- Hangs: what is waited for, if that is known, and in brackets the clause that is broken then ----

-- Does f, in a run of its own, hold within some polls?
local function would(f)
  local ok, result = pcall(aw.run, function()
    for _ = 1, 100 do
      if f() then return true end
    end
  end)
  return ok and result or false
end

local function read_rest(t)
  local s = t.peer and t.peer:try_read()
  if s then t:keep(s) end
end

local function no_eof(t)
  local s, _, code = t.peer:try_read()
  if s == nil and code == nil then return ": the end of file came, but woke nobody (S8)" end
  return ": no end of file comes after shutdown (S10)"
end

local function no_bytes(t)
  local text = (": after a flush only %d of %d bytes arrive"):format(t.have, t.total)
  local later = would(function()
    D.poll(t.w, "poll_shutdown")
    read_rest(t)
    return t:arrived() == t:booked()
  end)
  return later and text .. ", the rest by shutdown (F1)" or text
end

local function no_room(t, c)
  local text = (": nobody wakes the waker of a NotReady %s"):format(c.op)
  local helped = t.kind.buffer and c.op:find("^poll_write") and would(function()
    D.poll(t.w, "poll_flush")
    read_rest(t)
    return c.woken > 0
  end)
  return helped and text .. " but for a flush (P7)" or text
end

--- For the message of a hang.
function Fixture:waits()
  local c, stage = D.waiting, self.stage
  D.waiting = nil
  if self.kind.fd then return stage and ": " .. stage or c and ": in the wait for " .. c.op or "" end
  if stage == "eof" and not self.peer:is_closed() then return no_eof(self) end
  if stage == "bytes" then return no_bytes(self) end
  return c and self.w and not self.w:is_closed() and no_room(self, c) or ""
end

--- Lets the other tasks and the loop run until condition() holds.
function Fixture:run_until(condition, what)
  if self.kind.fd then return D.run_until(condition, what) end
  for _ = 1, 1000 do
    if condition() then return end
    aw.yield()
  end
  check.fail("%s never came", what)
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
    for _ = 1, self.kind.fd and 1e8 or 1e5 do
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
