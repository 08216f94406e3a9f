-- SPDX-License-Identifier: MIT
local aw = require "asyncwrite"
local B = require "broken.base"

local function factory()
  local p = B.pipe()
  function p.writer:poll_flush()
    if p.reader_gone and not p.writer_gone then return nil, "EPIPE: the reader is gone", "EPIPE" end
    p.turn = not p.turn
    if p.turn then return true end
    aw.current_waker():wake()
    return false
  end
  return p.writer, p.reader
end

return {
  breaks = "F3",
  what = "a flush with nothing to do waits a turn",
  factory = factory, options = B.PIPE,
}
