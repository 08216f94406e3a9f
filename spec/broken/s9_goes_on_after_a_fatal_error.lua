-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  function p.writer:poll_write(s)
    p.odd = not p.odd
    if p.reader_gone and s ~= "" and p.odd then return #s end
    return write(self, s)
  end
  return p.writer, p.reader
end

return {
  breaks = "S9",
  what = "every other write to nobody succeeds",
  factory = factory, options = B.PIPE,
}
