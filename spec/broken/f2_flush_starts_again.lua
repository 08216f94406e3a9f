-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  b.writer.poll_flush = b.emptying("poll_flush", function(ok, _, before)
    if ok == false then b.buf = before end
  end)
  return b.writer
end)

return {
  breaks = "F2",
  what = "a flush that was NotReady sends everything once more",
  factory = factory, options = options,
}
