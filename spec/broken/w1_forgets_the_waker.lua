-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if s == "" or p.reader_gone or #p.data < p.capacity then return write(self, s) end
    return false
  end
  return p.writer, p.reader
end

return {
  breaks = "W1",
  what = "it is NotReady and looks at no waker",
  factory = factory, options = B.PIPE,
}
