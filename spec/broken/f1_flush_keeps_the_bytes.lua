-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_flush() return inner:poll_flush() end
  return b.writer
end)

return {
  breaks = "F1",
  what = "flush leaves the bytes in the buffer",
  factory = factory, options = options,
}
