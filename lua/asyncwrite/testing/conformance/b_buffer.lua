-- SPDX-License-Identifier: MIT
-- B: writers that hold bytes back. Exact traces are the business of each kind.

local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

clause("B1", "what_fits_stays_in_the_buffer", { "buffer", "!random" }, function(t, kind)
  local n = math.min(kind.buffer, 3) - 1
  if n > 0 then
    t:put(t:text(n))
    if t.kind.tells then check.equal(t.w:buffered(), n, "buffered") end
    if t.contents then check.equal(t:arrived(), "", "what arrived") end
    if t.peer and not t.kind.fd then check.equal(select(2, D.poll(t.peer, "poll_read")), false, "a read by the peer") end
  end
  t:finish()
end)

clause("B3", "no_byte_is_sent_twice_whatever_pends", { "buffer" }, function(t, kind)
  t:read_on()
  for _ = 1, 300 do
    local s = t:text(t.random(kind.buffer + 2))
    local c, n = D.poll(t.w, "poll_write", s)
    if n then t:book(s, n) elseif t.random(2) == 1 then c:wait() end
  end
  t:finish()
end)
