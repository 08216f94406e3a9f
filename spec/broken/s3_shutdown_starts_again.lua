-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  local b = B.buffer(inner)
  function b.writer:poll_shutdown()
    local before = b.buf
    local ok, message, code = b.drain()
    if ok == false then b.buf = before end
    if not ok then return ok, message, code end
    return inner:poll_shutdown()
  end
  return b.writer
end)

return {
  breaks = "S3",
  what = "a shutdown that was NotReady sends everything once more",
  factory = factory, options = options,
}
