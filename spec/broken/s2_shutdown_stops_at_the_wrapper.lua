-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  b.writer.poll_shutdown = b.emptying "poll_flush"
  return b.writer
end)

return {
  breaks = "S2",
  what = "shutdown does not go down to what is wrapped",
  factory = factory, options = options,
}
