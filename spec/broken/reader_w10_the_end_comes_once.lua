-- SPDX-License-Identifier: MIT
local aw = require "asyncwrite"
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  local read = p.reader.poll_read

  function p.reader:poll_read(max)
    local s, message, code = read(self, max)
    if s ~= nil then return s, message, code end
    p.ended = (p.ended or 0) + 1
    if p.ended == 1 then return nil end
    p.read_slot = aw.current_waker()
    return false
  end
  return p.reader, p.writer
end

return {
  breaks = "W10",
  what = "after the end of file it waits for more",
  factory = factory, options = {},
}
