-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    if p.writer_gone then return nil end
    return read(self, max)
  end
  return p.reader, p.writer
end

return {
  breaks = "S8",
  what = "the end comes before what was under way",
  factory = factory, options = {},
}
