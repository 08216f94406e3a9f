-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer.buffered() return #b.buf end
  function b.writer:poll_flush()
    local ok, message, code = b.drain()
    if code == "EPIPE" then b.buf = "" end
    if not ok then return ok, message, code end
    return inner:poll_flush()
  end
  return b.writer
end)

return {
  breaks = "S9",
  what = "a buffer forgets its bytes after a fatal error",
  factory = factory, options = options,
}
