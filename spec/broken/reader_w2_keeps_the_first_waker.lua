-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    local parked = p.read_slot
    local s, message, code = read(self, max)
    if s == false and parked then p.read_slot = parked end
    return s, message, code
  end
  return p.reader, p.writer
end

return {
  breaks = "W2",
  what = "a later read's waker does not replace the one that is parked",
  factory = factory, options = {},
}
