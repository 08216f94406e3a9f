-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local write = p.writer.poll_write

  local all = {}
  function p.writer:poll_write(s)
    local n, message, code = write(self, s)
    if n == false then
      local waker = p.write_slot
      all[#all + 1] = waker
      p.write_slot = { wake = function()
        for i = 1, #all do all[i]:wake() end
        all = {}
      end }
    end
    return n, message, code
  end
  return p.writer, p.reader
end

return {
  breaks = "W2",
  what = "every waker it ever saw is woken",
  factory = factory, options = B.PIPE,
}
