-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:poll_write(s)
    local n = math.min(#s, p.capacity - #p.data)
    p.data = p.data .. s:sub(1, n)
    return n
  end
  return p.reader, p.writer
end

return {
  breaks = "W1",
  what = "bytes come and wake nobody",
  factory = factory, options = {},
}
