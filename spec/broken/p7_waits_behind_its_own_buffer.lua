-- SPDX-License-Identifier: MIT
local aw = require "asyncwrite"
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  local flush = b.writer.poll_flush
  function b.writer.poll_write(_, s)
    local room = b.capacity - #b.buf
    if s == "" then return inner:poll_write("") end
    if room == 0 then
      b.waiting = aw.current_waker()
      return false
    end
    b.buf = b.buf .. s:sub(1, room)
    return math.min(room, #s)
  end
  function b.writer:poll_flush()
    local ok, message, code = flush(self)
    if ok then B.wake(b, "waiting") end
    return ok, message, code
  end
  return b.writer
end)

return {
  breaks = "P7",
  what = "a full buffer waits for somebody to flush it",
  factory = factory, options = options,
}
