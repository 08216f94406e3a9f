-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  local parted = false -- a flush that had to wait is never counted as done
  function b.writer.buffered() return #b.buf + (parted and 1 or 0) end
  b.writer.poll_flush = b.emptying("poll_flush", function(ok) parted = parted or ok == false end)
  return b.writer
end)

return {
  breaks = "F2",
  what = "after a flush in parts buffered() tells of bytes that are gone",
  factory = factory, options = options,
}
