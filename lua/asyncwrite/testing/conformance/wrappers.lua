-- SPDX-License-Identifier: MIT
-- What the contract asks of wrappers: kind.wrap(inner) over doubles that log what reaches them.

local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

local function poll(...) return select(2, D.poll(...)) end

-- The double, and the wrapper around it, which ends with the test.
local function wrapped(t, plan)
  local d = D.writer(plan)
  if t.w and not t.w:is_closed() then t.w:close() end
  t.w = t.kind.wrap(d.w)
  return d, t.w
end

-- A wrapper may cut a write, but a few writes take all.
local function put(w, s)
  local done = 0
  while done < #s do
    local n = check.count(s:sub(done + 1), D.ready(w, "poll_write", s:sub(done + 1)))
    check.ok(n > 0, "poll_write took nothing")
    done = done + n
  end
end

clause("F1", "flush_flushes_what_is_wrapped_after_the_bytes", { "wrap" }, function(t)
  local d, w = wrapped(t)
  put(w, "ab")
  check.equal(D.ready(w, "poll_flush"), true, "poll_flush")
  check.equal(d:bytes(), "ab", "what arrived below")
  check.equal(d.log[#d.log], "flush", "the last call below")
end)

clause("F1", "a_flush_that_pends_or_fails_below_does_so_above", { "wrap" }, function(t)
  local d, w = wrapped(t, { flush = { "pending", { "EIO" } } })
  put(w, "ab")
  local c, value = D.poll(w, "poll_flush")
  check.equal(value, false, "poll_flush over a flush that pends")
  check.ok(d:wake(), "nobody waits below")
  check.equal(c.woken, 1, "wakes after progress below")
  check.fails("EIO", "poll_flush over a flush that fails", poll(w, "poll_flush"))
  check.equal(D.ready(w, "poll_flush"), true, "the next poll_flush")
end)

clause("F2", "a_flush_that_pends_midway_sends_nothing_twice", { "wrap" }, function(t)
  local d, w = wrapped(t, { write = { 1, "now", 1, "now", 1 } })
  put(w, "abcdef")
  t:run_until(function() return poll(w, "poll_flush") end, "a flush that gets through")
  check.equal(d:bytes(), "abcdef", "what arrived below")
end)

clause("F5", "a_flush_that_fails_midway_keeps_just_the_rest", { "wrap", "buffer" }, function(t)
  local holds, first = wrapped(t)
  put(first, "abcd")
  if holds:bytes() ~= "" then return end -- a buffer further down, that is of no use here
  for code, answer in pairs { EIO = { "EIO" }, EWRITEZERO = 0 } do
    local d, w = wrapped(t, { write = { 2, answer } })
    put(w, "abcd")
    check.fails(code, "poll_flush", poll(w, "poll_flush"))
    check.equal(d:bytes(), "ab", "what arrived below")
    check.equal(D.ready(w, "poll_flush"), true, "the next poll_flush")
    check.equal(d:bytes(), "abcd", "what arrived below at the end")
  end
end)

clause("S2", "shutdown_goes_down_after_the_bytes", { "wrap" }, function(t)
  local d, w = wrapped(t)
  put(w, "ab")
  check.equal(D.ready(w, "poll_shutdown"), true, "poll_shutdown")
  check.equal(d:count("shutdown"), 1, "shutdowns below")
  check.equal(d.log[#d.log], "shutdown", "the last call below")
end)

clause("S3", "a_shutdown_that_pends_below_is_resumed_and_sends_nothing_twice", { "wrap" }, function(t)
  local d, w = wrapped(t, { write = { 1, "now", 1 }, shutdown = { "pending", "now" } })
  put(w, "abcdef")
  local before = d:count("shutdown")
  t:run_until(function()
    local value = poll(w, "poll_shutdown")
    d:wake()
    return value
  end, "a shutdown that gets through")
  check.equal(d:bytes(), "abcdef", "what arrived below")
  check.equal(d:count("shutdown") - before, 3, "polls of shutdown below")
end)

clause("S4", "a_second_shutdown_stays_above", { "wrap" }, function(t)
  local d, w = wrapped(t)
  for _ = 1, 3 do check.equal(D.ready(w, "poll_shutdown"), true, "poll_shutdown") end
  check.equal(d:count("shutdown"), 1, "shutdowns below")
end)

clause("P3", "after_an_error_below_it_goes_on_where_it_was", { "wrap" }, function(t)
  for _, vectored in ipairs { false, true } do
    local d, w = wrapped(t, D.chaos(t.random, { errors = 15, vectored = vectored }))
    local accepted = {}
    for i = 1, 200 do
      local s = ("<%d:%s>"):format(i, D.text(t.random(40)))
      local n, _, code = D.ready(w, "poll_write", s)
      if n then
        accepted[#accepted + 1] = s:sub(1, check.count(s, n))
      else
        check.equal(code, "EIO", "the code of a failure")
      end
    end
    t:run_until(function() return D.ready(w, "poll_flush") end, "a flush without an error")
    check.equal(d:bytes(), table.concat(accepted), "what arrived")
  end
end)

clause("P8", "a_write_makes_at_most_one_attempt", { "wrap" }, function(t)
  for _, answer in ipairs { 3, "now", { "EIO" }, 0 } do
    local d, w = wrapped(t, { write = { answer } })
    D.poll(w, "poll_write", D.text(100)) -- more than a small buffer holds
    check.ok(#d.log <= 1, ("a poll_write made %d calls below:\n  %s"):format(#d.log, table.concat(d.log, "\n  ")))
  end
end)

clause("W1", "what_pends_below_is_woken_through_it", { "wrap" }, function(t)
  local d, w = wrapped(t, { write = function() return "pending" end })
  for _ = 1, 100 do
    local c, n = D.poll(w, "poll_write", D.text(100))
    if n == false then
      check.ok(d:wake(), "nobody waits below")
      check.equal(c.woken, 1, "wakes after progress below")
      return
    end
    check.ok(n and n > 0, "poll_write over a writer that pends")
  end
  check.fail("it takes bytes without end over a writer that pends")
end)

clause("V1", "a_vector_reaches_what_is_wrapped_in_order", { "wrap" }, function(t)
  for _, vectored in ipairs { false, true } do
    local d, w = wrapped(t, D.chaos(t.random, { vectored = vectored }))
    local sent = 0
    for _ = 1, 60 do
      local list, total = {}, 0
      for i = 1, t.random(5) do
        list[i] = D.text(t.random(12) - 1, sent + total + 1)
        total = total + #list[i]
      end
      sent = sent + check.count(table.concat(list), D.ready(w, "poll_write_vectored", list))
    end
    t:run_until(function() return D.ready(w, "poll_flush") end, "a flush")
    check.equal(d:bytes(), D.text(sent), "what arrived")
  end
end)
