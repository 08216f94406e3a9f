-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if s == "" then return 0 end
    return write(self, s)
  end
  return p.writer, p.reader
end

return {
  breaks = "P5",
  what = "an empty write does not look whether the reader is gone",
  factory = factory, options = B.PIPE,
}
