-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if p.refused and s ~= "" then s = (p.refused .. s):sub(1, #s) end
    local n, message, code = write(self, s)
    if s ~= "" then p.refused = n == false and s or nil end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "P9",
  what = "it sends what it refused in place of what it is given now",
  factory = factory, options = B.PIPE,
}
