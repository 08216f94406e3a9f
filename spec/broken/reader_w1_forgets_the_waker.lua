-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    if p.data == "" and not p.writer_gone then return false end
    return read(self, max)
  end
  return p.reader, p.writer
end

return {
  breaks = "W1",
  what = "it is NotReady and looks at no waker",
  factory = factory, options = {},
}
