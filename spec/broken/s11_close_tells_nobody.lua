-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:close() end
  return p.writer, p.reader
end

return {
  breaks = "S11",
  what = "close leaves the reader waiting",
  factory = factory, options = B.PIPE,
}
