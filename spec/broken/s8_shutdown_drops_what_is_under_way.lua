-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local shutdown = p.writer.poll_shutdown
  function p.writer:poll_shutdown()
    p.data = ""
    return shutdown(self)
  end
  return p.writer, p.reader
end

return {
  breaks = "S8",
  what = "shutdown throws away what the peer has not read yet",
  factory = factory, options = B.PIPE,
}
