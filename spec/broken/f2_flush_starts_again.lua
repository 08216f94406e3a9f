-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_flush()
    local before = b.buf
    local ok, message, code = b.drain()
    if ok == false then b.buf = before end
    if not ok then return ok, message, code end
    return inner:poll_flush()
  end
  return b.writer
end)

return {
  breaks = "F2",
  what = "a flush that was NotReady sends everything once more",
  factory = factory, options = options,
}
