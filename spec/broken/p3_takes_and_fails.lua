-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write, failing = p.writer.poll_write, false
  function p.writer:poll_write(s)
    if not failing or s == "" then return write(self, s) end
    failing = false
    write(self, s:sub(1, math.ceil(#s / 2)))
    return nil, "EIO: a bad day", "EIO"
  end
  return { writer = p.writer, peer = p.reader, fail = function() failing = true end }
end

return {
  breaks = "P3",
  what = "a write that fails has sent half of its bytes",
  factory = factory, options = B.PIPE,
}
