-- SPDX-License-Identifier: MIT
local aw = require "asyncwrite"
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if p.reader_gone or #s <= p.capacity - #p.data then return write(self, s) end
    p.write_slot = aw.current_waker()
    return false
  end
  return p.writer, p.reader
end

return {
  breaks = "P10",
  what = "it waits until all of a write fits",
  factory = factory, options = B.PIPE,
}
