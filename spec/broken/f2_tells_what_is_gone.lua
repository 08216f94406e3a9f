-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  local parted = false -- a flush that had to wait is never counted as done
  function b.writer.buffered() return #b.buf + (parted and 1 or 0) end
  function b.writer:poll_flush()
    local ok, message, code = b.drain()
    parted = parted or ok == false
    if not ok then return ok, message, code end
    return inner:poll_flush()
  end
  return b.writer
end)

return {
  breaks = "F2",
  what = "after a flush in parts buffered() tells of bytes that are gone",
  factory = factory, options = options,
}
