-- SPDX-License-Identifier: MIT
-- F: poll_flush.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local exact = H.exact
H.kit(M, "f_flush")

local BUFFERED = { "buf_writer > custom", "buf_writer > custom(vectored)", "buf_writer > chaos",
  "buf_writer > chaos(vectored)", "buf_writer > buf_writer > chaos" }
local BUFFER = { kinds = BUFFERED, reason = "another type; the trace is of buf_writer over a double" }
local WRAPPERS = { kinds = { "custom", "custom(vectored)", "buf_writer > custom", "buf_writer > custom(vectored)",
  "buf_reader | duplex", "join(simplex, simplex)", "split(duplex)" }, reason = "another type; the trace is of a double" }

exact(M, "F1", "flush_flushes_the_inner_writer_after_the_bytes", WRAPPERS, function()
  local function flushed(wrap, want)
    local d = D.writer()
    local w = wrap(d.w)
    D.poll(w, "poll_write", "ab")
    check.equal(select(2, D.poll(w, "poll_flush")), true, "poll_flush")
    check.list(d.log, want or { "write ab = 2", "flush" })
  end
  local function input() return aw.cursor("input") end
  flushed(function(w) return w end)
  flushed(function(w) return aw.buf_writer(w, 10) end)
  flushed(function(w) return aw.buf_writer(aw.buf_writer(w, 10), 10) end)
  flushed(function(w) return aw.join(input(), w) end)
  flushed(function(w) return aw.buf_reader(aw.join(input(), aw.buf_writer(w, 5))) end)
  flushed(function(w) return select(2, aw.split(aw.join(input(), w))) end)
end)

exact(M, "F1", "a_flush_below_that_is_pending_keeps_the_flush_above_pending", BUFFER, function()
  local d = D.writer { flush = { "pending", "now", { "EIO" } } }
  local w = aw.buf_writer(d.w, 10)
  D.poll(w, "poll_write", "ab")
  local c, value = D.poll(w, "poll_flush")
  check.equal(value, false, "the first poll_flush")
  check.equal(c.woken, 0, "wakes before there is progress")
  d:wake()
  check.equal(c.woken, 1, "wakes after progress")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the second poll_flush")
  check.fails("EIO", "the third poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(select(2, D.poll(w, "poll_flush")), true, "the fourth poll_flush")
  check.list(d.log, { "write ab = 2", "flush = pending", "flush = pending", "flush = EIO", "flush" })
end)

exact(M, "F3", "an_idle_flush_emits_no_bytes", BUFFER, function()
  local d = D.writer()
  local w = aw.buf_writer(d.w, 10)
  D.poll(w, "poll_flush")
  D.poll(w, "poll_flush")
  check.list(d.log, { "flush", "flush" })
end)

-- F5: what inner took is gone from the buffer, the rest stays and goes out once.
local function interrupted(answer, code, vectored)
  local d = D.writer { write = { 3, answer, 2, answer }, vectored = vectored }
  local verb = vectored and "vectored" or "write"
  local w = aw.buf_writer(d.w, 16)
  D.poll(w, "poll_write", "0123456789")
  check.fails(code, "the first poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(w:buffer(), "3456789", "buffered after the first")
  check.equal(w:buffered(), 7, "buffered() after the first")
  check.equal(select(2, D.poll(w, "poll_write", "ab")), 2, "a write between")
  check.fails(code, "the second poll_flush", select(2, D.poll(w, "poll_flush")))
  check.equal(w:buffer(), "56789ab", "buffered after the second")
  check.equal(select(2, D.poll(w, "poll_flush")), true, "the third poll_flush")
  local failed = type(answer) == "table" and answer[1] or "0"
  check.list(d.log, { verb .. " 0123456789 = 3", verb .. " 3456789 = " .. failed, verb .. " 3456789ab = 2",
    verb .. " 56789ab = " .. failed, verb .. " 56789ab = 7", "flush" })
  check.equal(d:bytes(), "0123456789ab", "what arrived")
end

exact(M, "F5", "an_error_midway_keeps_just_the_rest", BUFFER, function()
  for _, vectored in ipairs { false, true } do interrupted({ "ENOSPC" }, "ENOSPC", vectored) end
end)

exact(M, "F5", "a_zero_midway_is_an_error_and_keeps_just_the_rest", BUFFER, function()
  for _, vectored in ipairs { false, true } do interrupted(0, "EWRITEZERO", vectored) end
end)

exact(M, "F5", "a_pending_midway_keeps_just_the_rest", BUFFER, function()
  local d = D.writer { write = { 3, "pending", 2, "now" } }
  local w = aw.buf_writer(d.w, 16)
  D.poll(w, "poll_write", "0123456789")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the first poll_flush")
  check.equal(w:buffer(), "3456789", "buffered after the first")
  check.equal(select(2, D.poll(w, "poll_flush")), false, "the second poll_flush")
  check.equal(w:buffer(), "56789", "buffered after the second")
  check.equal(D.ready(w, "poll_flush"), true, "the third poll_flush")
  check.equal(d:bytes(), "0123456789", "what arrived")
end)

exact(M, "F5", "a_flush_of_two_buffers_resumes_in_both", BUFFER, function(random)
  local errors = D.chaos(random, { errors = 20 })
  local d = D.writer(errors)
  local w = aw.buf_writer(aw.buf_writer(d.w, 8), 16)
  local sent = 0
  for _ = 1, 100 do
    local s = D.text(random(7), sent + 1)
    local n = D.ready(w, "poll_write", s)
    sent = sent + (n or 0)
    D.ready(w, "poll_flush") -- an error now and then: the next flush goes on
  end
  D.run_until(function() return D.ready(w, "poll_flush") end, "a flush without an error")
  check.equal(d:bytes(), D.text(sent), "what arrived")
end)

return M
