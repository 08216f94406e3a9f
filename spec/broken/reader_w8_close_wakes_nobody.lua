-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:close() p.writer_gone = true end
  return p.reader, p.writer
end

return {
  breaks = "W8",
  what = "a reader that is parked is not told that the writer closed",
  factory = factory, options = {},
}
