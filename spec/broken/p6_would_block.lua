-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    local n, message, code = write(self, s)
    if n == false then return nil, "EAGAIN: try again", "EAGAIN" end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "P6",
  what = "no room is the error EAGAIN",
  factory = factory, options = B.PIPE,
}
