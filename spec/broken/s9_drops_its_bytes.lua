-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer.buffered() return #b.buf end
  b.writer.poll_flush = b.emptying("poll_flush", function(_, code)
    if code == "EPIPE" then b.buf = "" end
  end)
  return b.writer
end)

return {
  breaks = "S9",
  what = "a buffer forgets its bytes after a fatal error",
  factory = factory, options = options,
}
