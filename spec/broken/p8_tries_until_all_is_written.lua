-- SPDX-License-Identifier: MIT
local B = require "broken.base"

local factory, options = B.wrapper(function(inner)
  return {
    poll_write = function(_, s)
      local done = 0
      repeat
        local n, message, code = inner:poll_write(s:sub(done + 1))
        if not n and done == 0 then return n, message, code end
        done = done + (n or 0)
      until not n or n == 0 or done == #s
      return done
    end,
    poll_flush = function() return inner:poll_flush() end,
    poll_shutdown = function() return inner:poll_shutdown() end,
    close = function() inner:close() end,
  }
end)
options.buffer = nil

return {
  breaks = "P8",
  what = "one write goes on below until nothing is left or nothing fits",
  factory = factory, options = options,
}
