-- SPDX-License-Identifier: MIT
-- A writer of one's own in 20 lines: capitals go on to another writer. lua upper_writer.lua <text; or require it.

local aw = require "asyncwrite"

local function upper_writer(inner)
  return aw.custom {
    name = "upper",
    poll_write = function(_, s) return inner:poll_write(s:upper()) end, -- what inner says of n bytes holds of ours
    poll_flush = function() return inner:poll_flush() end,
    poll_shutdown = function() return inner:poll_shutdown() end,
    close = function() inner:close() end,
  }
end

if ... ~= "upper_writer" then
  if #arg > 0 then
    io.stderr:write("usage: upper_writer.lua <TEXT\n")
    os.exit(2)
  end
  aw.run(function()
    local w = aw.buf_writer(upper_writer(aw.stdout()))
    assert(aw.copy(aw.stdin(), w))
    assert(w:shutdown())
  end)
end

return upper_writer
