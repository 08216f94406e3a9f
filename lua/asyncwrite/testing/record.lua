-- SPDX-License-Identifier: MIT
-- record: a stream around another that writes down what happened on it, as a script for mock.

local core = require "asyncwrite.core"
core.library()
local diff = require "asyncwrite.testing.diff"
local files = require "asyncwrite.testing.script_file"

local Tape = {}
Tape.__index = Tape

local function note(self, ...) self.list[#self.list + 1] = { ... } end

local function note_pending(self, side)
  local last = self.list[#self.list]
  if last and last[1] == "pending" and last[3] == side then
    last[2] = last[2] + 1
  else
    note(self, "pending", 1, side)
  end
end

-- A failure with the text that its code gives by itself needs none in the script.
local function note_failure(self, kind, message, code)
  local _, own, known = core.fail(code)
  if known == code and own == message then message = nil end
  note(self, kind, code, message)
end

local function wrote(self, s, n, message, code)
  if n == false then
    note_pending(self, "write")
  elseif n == nil then
    note_failure(self, "write_error", message, code)
  elseif s ~= "" then
    if n == 0 then note(self, "zero") elseif n < #s then note(self, "accept", n) end
    if n > 0 then
      note(self, "write", s:sub(1, n))
      self.dirty = true
    end
  end
  return n, message, code
end

-- A flush with nothing to flush is left out: a mock lets it pass anyway (F3).
local function flushed(self, ok, message, code)
  if ok == false then
    note_pending(self, "write")
  elseif ok == nil then
    note_failure(self, "flush", message, code)
  elseif self.dirty then
    note(self, "flush")
    self.dirty = false
  end
  return ok, message, code
end

local function shut(self, ok, message, code)
  if ok == false then note_pending(self, "write")
  elseif ok == nil then note_failure(self, "shutdown", message, code)
  else note(self, "shutdown") end
  return ok, message, code
end

local function was_read(self, s, message, code)
  if s == false then
    note_pending(self, "read")
  elseif s then
    note(self, "read", s)
  elseif code then
    note_failure(self, "read_error", message, code)
  elseif not self.ended then
    note(self, "eof")
    self.ended = true
  end
  return s, message, code
end

local function closed(self, stream)
  if not stream:is_closed() then stream:close() end
  note(self, "close")
  if self.path then self:save(self.path) end
end

--- What happened until now, as a table for mock.
function Tape:script()
  local copy = { name = self.name }
  for i, action in ipairs(self.list) do copy[i] = { action[1], action[2], action[3] } end
  return copy
end

--- The same as the text of a script file.
function Tape:source() return files.write(self:script()) end

--- Writes the script file. true, or nil and a message.
function Tape:save(path)
  local file, message = io.open(path, "wb")
  if not file then return nil, message end
  local ok
  ok, message = file:write(self:source())
  local closed_well, why = file:close()
  if not ok or not closed_well then return nil, message or why end
  return true
end

function Tape:__tostring() return ("tape of %s (%d actions)"):format(self.name, #self.list) end

--- A stream that does what `stream` does, and the tape. With a path the script file is written when it is closed.
return function(stream, path)
  if not core.is_box(stream) then
    core.arg_error("record", 1, "stream", "writer or reader expected, got " .. type(stream))
  end
  if path ~= nil and type(path) ~= "string" then
    core.arg_error("record", 2, "path", "string expected, got " .. diff.show(path))
  end
  core.check_stream("record", 1, "stream", stream, stream:is_writer() and "w" or "r")
  local self = setmetatable({ list = {}, path = path, name = tostring(stream) }, Tape)
  local methods = { name = "record > " .. self.name, close = function() closed(self, stream) end }
  if stream:is_writer() then
    methods.poll_write = function(_, s) return wrote(self, s, stream:poll_write(s)) end
    methods.poll_flush = function() return flushed(self, stream:poll_flush()) end
    methods.poll_shutdown = function() return shut(self, stream:poll_shutdown()) end
    if stream:is_write_vectored() then
      methods.poll_write_vectored = function(_, list)
        return wrote(self, table.concat(list), stream:poll_write_vectored(list))
      end
    end
  end
  if stream:is_reader() then
    methods.poll_read = function(_, max) return was_read(self, stream:poll_read(max)) end
  end
  return core.custom(methods), self
end
