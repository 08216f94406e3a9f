-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    local parked = p.write_slot
    local s, message, code = read(self, max)
    if s then p.write_slot = parked end
    return s, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "W9",
  what = "every read wakes the writer once more",
  factory = factory, options = B.PIPE,
}
