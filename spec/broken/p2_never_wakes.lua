-- SPDX-License-Identifier: MIT
local aw = require "asyncwrite"
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.reader:poll_read(max)
    if p.data == "" and p.writer_gone then return nil end
    if p.data == "" then
      p.read_slot = aw.current_waker()
      return false
    end
    local s = p.data:sub(1, max)
    p.data = p.data:sub(max + 1)
    return s
  end
  return p.writer, p.reader
end

return {
  breaks = "P2",
  what = "a read makes room and wakes nobody",
  factory = factory, options = B.PIPE,
}
