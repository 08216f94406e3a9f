-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    local n, message, code = write(self, s)
    if n == false then p.data = p.data .. s end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "P2",
  what = "it keeps the bytes that it says it did not take",
  factory = factory, options = B.PIPE,
}
