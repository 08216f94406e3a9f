-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:poll_flush() return true end
  return p.writer, p.reader
end

return {
  breaks = "F4",
  what = "flush is Ready though the reader is gone",
  factory = factory, options = B.PIPE,
}
