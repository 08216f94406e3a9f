-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s) return not p.reader_gone and #p.data == p.capacity and 0 or write(self, s) end
  return p.writer, p.reader
end

return {
  breaks = "P4",
  what = "it says 0 where it should be NotReady",
  factory = factory, options = B.PIPE,
}
