-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:poll_shutdown()
    p.writer_gone = true
    return true
  end
  return p.writer, p.reader
end

return {
  breaks = "S8",
  what = "a reader that is parked is not told of the end",
  factory = factory, options = B.PIPE,
}
