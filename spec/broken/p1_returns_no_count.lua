-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    local n, message, code = write(self, s)
    if n and n > 0 then return true end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "P1",
  what = "it returns true for a write",
  factory = factory, options = B.PIPE,
}
