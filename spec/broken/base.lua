-- SPDX-License-Identifier: MIT
-- What the broken ones are made of: a pipe, a duplex and a buffer in Lua that keep the contract. Each file beside this one
-- breaks one clause: { breaks = id, what = text, factory, options }.

local aw = require "asyncwrite"

local B = {}

--- The options of a pipe.
B.PIPE = { full = true }

--- Empties the slot and wakes.
function B.wake(p, slot)
  local waker = p[slot]
  p[slot] = nil
  if waker then waker:wake() end
end

local function gone() return nil, "EPIPE: the reader is gone", "EPIPE" end

local function writer_of(p)
  return {
    name = "pipe in Lua",
    poll_write = function(_, s)
      if p.reader_gone then return gone() end
      if s == "" then return 0 end
      local n = math.max(0, math.min(#s, p.capacity - #p.data))
      if n == 0 then
        p.write_slot = aw.current_waker()
        return false
      end
      p.data = p.data .. s:sub(1, n)
      B.wake(p, "read_slot")
      return n
    end,
    poll_flush = function()
      if p.reader_gone and not p.writer_gone then return gone() end
      return true
    end,
    poll_shutdown = function()
      p.writer_gone = true
      B.wake(p, "read_slot")
      return true
    end,
    close = function()
      p.writer_gone = true
      B.wake(p, "read_slot")
    end,
  }
end

local function reader_of(p)
  return {
    name = "pipe in Lua",
    poll_read = function(_, max)
      if p.data == "" then
        if p.writer_gone then return nil end
        p.read_slot = aw.current_waker()
        return false
      end
      local s = p.data:sub(1, max)
      p.data = p.data:sub(max + 1)
      B.wake(p, "write_slot")
      return s
    end,
    close = function()
      p.reader_gone = true
      B.wake(p, "write_slot")
    end,
  }
end

--- A pipe: its state, with the tables of poll functions in `writer` and `reader`.
function B.pipe(capacity)
  local p = { data = "", capacity = capacity or 64 }
  p.writer, p.reader = writer_of(p), reader_of(p)
  return p
end

--- One end of a duplex: the functions of both tables, closed together.
function B.both(writer, reader)
  local methods = {}
  for name, f in pairs(writer) do methods[name] = f end
  methods.poll_read = reader.poll_read
  function methods.close()
    reader.close()
    writer.close()
  end
  return methods
end

--- A pipe that takes vectors.
function B.vectored(p)
  local write = p.writer.poll_write
  function p.writer:poll_write_vectored(list) return write(self, table.concat(list)) end
  return p
end

--- A buffer around any writer: its state, with the table of poll functions in `writer`.
function B.buffer(inner, capacity)
  local b = { buf = "", capacity = capacity or 16, inner = inner }
  function b.drain()
    while b.buf ~= "" do
      local n, message, code = inner:poll_write(b.buf)
      if not n then return n, message, code end
      if n == 0 then return nil, "EWRITEZERO: nothing fits", "EWRITEZERO" end
      b.buf = b.buf:sub(n + 1)
    end
    return true
  end
  --- A poll function: empties the buffer and goes on to that of inner. after(ok, code, before), of a broken one, sees how
  --- emptying went, and what was to go.
  function b.emptying(name, after)
    return function()
      local before = b.buf
      local ok, message, code = b.drain()
      if after then after(ok, code, before) end
      if not ok then return ok, message, code end
      return inner[name](inner)
    end
  end
  b.writer = {
    name = "buffer in Lua",
    poll_write = function(_, s)
      if #b.buf + #s > b.capacity then
        local ok, message, code = b.drain()
        if not ok then return ok, message, code end
      end
      if #s >= b.capacity then return inner:poll_write(s) end
      b.buf = b.buf .. s
      return #s
    end,
    poll_flush = b.emptying "poll_flush",
    poll_shutdown = b.emptying "poll_shutdown",
    close = function() inner:close() end,
  }
  return b
end

--- Factory and options for what wraps: wrap(inner) gives a table of poll functions.
function B.wrapper(wrap)
  local function factory()
    local near, far = aw.duplex(64)
    return wrap(near), far
  end
  return factory, { full = true, buffer = 16, wrap = wrap }
end

return B
