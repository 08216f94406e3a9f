-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:poll_shutdown() return true end
  return p.writer, p.reader
end

return {
  breaks = "S10",
  what = "shutdown is Ready, and nobody sees an end of file",
  factory = factory, options = B.PIPE,
}
