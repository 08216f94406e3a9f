-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local there, back = B.pipe(), B.pipe()
  local read = there.reader.poll_read
  function there.reader:poll_read(max)
    local s, message, code = read(self, max)
    if s then B.wake(back, "read_slot") end
    return s, message, code
  end
  return B.both(there.writer, back.reader), B.both(back.writer, there.reader)
end

return {
  breaks = "W4",
  what = "room to write wakes the reader as well",
  factory = factory, options = B.PIPE,
}
