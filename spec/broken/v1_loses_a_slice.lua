-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.vectored(B.pipe())
  local write = p.writer.poll_write
  function p.writer:poll_write_vectored(list)
    if #list < 2 then return write(self, table.concat(list)) end
    local n, message, code = write(self, list[1])
    if not n or n < #list[1] then return n, message, code end
    local rest = math.min(#table.concat(list, "", 3), p.capacity - #p.data)
    if rest > 0 then write(self, table.concat(list, "", 3):sub(1, rest)) end
    return n + rest
  end
  return p.writer, p.reader
end

return {
  breaks = "V1",
  what = "a vector's second slice is counted and lost",
  factory = factory, options = B.PIPE,
}
