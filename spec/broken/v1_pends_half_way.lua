-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.vectored(B.pipe())
  local write = p.writer.poll_write
  function p.writer:poll_write_vectored(list)
    local done = 0
    for i = 1, #list do
      local n, message, code = write(self, list[i])
      if not n then return n, message, code end
      done = done + n
      if n < #list[i] then break end
    end
    return done
  end
  return p.writer, p.reader
end

return {
  breaks = "V1",
  what = "a vector whose second slice does not fit is NotReady, with the first one taken",
  factory = factory, options = B.PIPE,
}
