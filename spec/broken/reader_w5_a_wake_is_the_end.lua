-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    local parked = p.read_slot
    local s, message, code = read(self, max)
    if s == false and parked and parked:will_wake(p.read_slot) then return nil end
    return s, message, code
  end
  return p.reader, p.writer
end

return {
  breaks = "W5",
  what = "a poll after NotReady that finds nothing is taken for the end",
  factory = factory, options = {},
}
