-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    local parked = p.write_slot
    local n, message, code = write(self, s)
    if n == false and parked then p.write_slot = parked end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "W2",
  what = "a later poll's waker does not replace the one that is parked",
  factory = factory, options = B.PIPE,
}
