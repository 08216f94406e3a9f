-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_shutdown()
    b.buf = ""
    return inner:poll_shutdown()
  end
  return b.writer
end)

return {
  breaks = "S1",
  what = "shutdown drops what is in the buffer",
  factory = factory, options = options,
}
