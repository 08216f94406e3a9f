-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    p.reader_gone = false
    return write(self, s)
  end
  function p.writer:poll_flush() return true end
  return p.writer, p.reader
end

return {
  breaks = "M1",
  what = "it takes bytes that nobody will ever read",
  factory = factory, options = B.PIPE,
}
