-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_flush()
    local ok, message, code = b.drain()
    if ok == nil then b.buf = "" end
    if not ok then return ok, message, code end
    return inner:poll_flush()
  end
  return b.writer
end)

return {
  breaks = "F5",
  what = "a flush that fails drops what was not written",
  factory = factory, options = options,
}
