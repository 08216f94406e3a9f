-- SPDX-License-Identifier: MIT
-- M9: inspect sees exactly what is accepted.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

local INSPECT = { kinds = { "inspect > custom", "inspect > custom(vectored)", "inspect > chaos" },
  reason = "another type; the trace is of inspect over a double" }

-- The writer over a double by a plan, and what is seen.
local function inspected(plan)
  local d, seen = D.writer(plan), {}
  return aw.inspect(d.w, function(...) seen[#seen + 1] = table.concat({ select("#", ...), ... }, ":") end), seen, d
end

exact(M, "M9", "the_accepted_prefix_and_nothing_on_pending_error_and_empty", INSPECT, function()
  local w, seen = inspected { write = { 3, "pending", { "EIO" }, 0, 2 } }
  local function write(s) return select(2, D.poll(w, "poll_write", s)) end
  check.equal(write "abcdef", 3, "a short write")
  check.equal(write "def", false, "a pending write")
  check.equal(write "def", nil, "a write that fails")
  check.equal(write "def", 0, "a write of nothing")
  check.equal(write "", 0, "an empty write")
  check.equal(write "xyz", 2, "another short write")
  check.equal(write "z", 1, "a whole write")
  check.list(seen, { "1:abc", "1:xy", "1:z" }, "what was seen")
end)

exact(M, "M9", "at_most_once_per_slice", INSPECT, function()
  local function seen_of(n, list)
    local w, seen = inspected { vectored = true, write = { n } }
    check.equal(select(2, D.poll(w, "poll_write_vectored", list)), n, "poll_write_vectored")
    return seen
  end
  check.list(seen_of(7, { "ab", "", "cde", "fg" }), { "1:ab", "1:cde", "1:fg" }, "all")
  check.list(seen_of(5, { "ab", "", "cde", "fg" }), { "1:ab", "1:cde" }, "up to the end of a slice")
  check.list(seen_of(3, { "ab", "", "cde", "fg" }), { "1:ab", "1:c" }, "into a slice")
end)

exact(M, "M9", "flush_and_shutdown_are_not_seen", INSPECT, function()
  local w, seen, d = inspected {}
  D.poll(w, "poll_write", "a")
  check.equal(select(2, D.poll(w, "poll_flush")), true, "poll_flush")
  check.equal(select(2, D.poll(w, "poll_shutdown")), true, "poll_shutdown")
  check.list(d.log, { "write a = 1", "flush", "shutdown" })
  check.list(seen, { "1:a" }, "what was seen")
end)

clause(M, "M9", "what_is_seen_is_what_is_booked", { function(kind)
  return not kind.name:find("^inspect >") and "another type" or nil
end }, function(t)
  t:read_on()
  for _ = 1, 50 do
    t:write(t:text(t.random(50)))
    local a, b = t:text(10), D.text(t.random(200), t.total + 11)
    t:write_vectored { "", a, "", b }
    check.equal(t.seen(), t:booked(), "what was seen")
  end
  local s = t:text(1000)
  check.equal(t.w:write_all(s), true, "write_all")
  t:book(s, #s)
  t:finish()
  check.equal(t.seen(), t:booked(), "what was seen in the end")
end)

return M
