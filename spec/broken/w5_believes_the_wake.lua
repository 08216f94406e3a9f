-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    if p.write_slot and not p.reader_gone and s ~= "" then
      p.write_slot = nil
      p.data = p.data .. s
      B.wake(p, "read_slot")
      return #s
    end
    return write(self, s)
  end
  return p.writer, p.reader
end

return {
  breaks = "W5",
  what = "a poll after NotReady takes everything, room or not",
  factory = factory, options = B.PIPE,
}
