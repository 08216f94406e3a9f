-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.reader:close() p.reader_gone = true end
  return p.writer, p.reader
end

return {
  breaks = "W8",
  what = "a writer that is parked is not told that the reader went",
  factory = factory, options = B.PIPE,
}
