-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local there, back = B.pipe(), B.pipe()
  local shutdown = there.writer.poll_shutdown
  function there.writer:poll_shutdown()
    back.writer_gone, back.data = true, ""
    B.wake(back, "read_slot")
    return shutdown(self)
  end
  return B.both(there.writer, back.reader), B.both(back.writer, there.reader)
end

return {
  breaks = "S7",
  what = "shutdown closes the read half too",
  factory = factory, options = B.PIPE,
}
