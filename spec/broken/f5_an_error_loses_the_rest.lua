-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  b.writer.poll_flush = b.emptying("poll_flush", function(ok)
    if ok == nil then b.buf = "" end
  end)
  return b.writer
end)

return {
  breaks = "F5",
  what = "a flush that fails drops what was not written",
  factory = factory, options = options,
}
