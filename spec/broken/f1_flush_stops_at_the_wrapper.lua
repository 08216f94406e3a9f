-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_flush() return b.drain() end
  return b.writer
end)

return {
  breaks = "F1",
  what = "flush does not go down to what is wrapped",
  factory = factory, options = options,
}
