-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if s ~= "" or p.reader_gone or #p.data < p.capacity then return write(self, s) end
    return write(self, "x")
  end
  return p.writer, p.reader
end

return {
  breaks = "P5",
  what = "an empty write waits for room",
  factory = factory, options = B.PIPE,
}
