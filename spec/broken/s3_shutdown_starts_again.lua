-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  b.writer.poll_shutdown = b.emptying("poll_shutdown", function(ok, _, before)
    if ok == false then b.buf = before end
  end)
  return b.writer
end)

return {
  breaks = "S3",
  what = "a shutdown that was NotReady sends everything once more",
  factory = factory, options = options,
}
