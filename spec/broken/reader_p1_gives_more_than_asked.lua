-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read
  function p.reader:poll_read(max)
    if p.data ~= "" and max < 10 then max = 10 end
    return read(self, max)
  end
  return p.reader, p.writer
end

return {
  breaks = "P1",
  what = "a read gives more than asked for",
  factory = factory, options = {},
}
