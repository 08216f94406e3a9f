-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_shutdown()
    local ok, message, code = b.drain()
    if not ok then return ok, message, code end
    return inner:poll_flush()
  end
  return b.writer
end)

return {
  breaks = "S2",
  what = "shutdown does not go down to what is wrapped",
  factory = factory, options = options,
}
