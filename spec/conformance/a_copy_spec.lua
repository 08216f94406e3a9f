-- SPDX-License-Identifier: MIT
-- A6 (numbers) and A7-A9 (copying).

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local exact = H.exact
H.kit(M, "a_copy")

-- ---- A6 ----

local DOUBLES = { kinds = { "custom", "custom(vectored)" }, reason = "the calls that reach it cannot be counted" }

exact(M, "A6", "a_number_is_encoded_once_and_resumed_from_where_it_was", DOUBLES, function()
  local d = D.writer { write = { 1, "now", 2, 1, 0 } }
  check.equal(d.w:write_u32(0x61626364), true, "write_u32")
  check.list(d:trace(), { "write abcd = 1", "write bcd = pending", "write bcd = 2", "write d = 1" })
  local ok, message, code, accepted = d.w:write_u32(1)
  check.fails("EWRITEZERO", "write_u32 over a writer that takes nothing", ok, message, code)
  check.equal(accepted, 0, "bytes accepted")
end)

exact(M, "A7", "copy_takes_pieces_of_8_kib_and_flushes_at_the_end", DOUBLES, function()
  local d = D.writer()
  check.equal(aw.copy(aw.cursor(D.text(20000)), d.w), 20000, "copy")
  check.list(d.log, { "write <8192 bytes> = 8192", "write <8192 bytes> = 8192", "write <3616 bytes> = 3616", "flush" })
end)

-- A8: the same of a reader that has a buffer of its own.
for id, wrap in pairs { A7 = function(r) return r end, A8 = function(r) return aw.buf_reader(r, 100) end } do
  exact(M, id, "copy_flushes_once_when_the_reader_stalls", DOUBLES, function()
    local d, from = D.writer(), D.reader { "pending", "abc", "pending", "pending", "def", false }
    local task = aw.spawn(aw.copy, wrap(from.r), d.w)
    local function step(want, when)
      D.run_until(function() return from.waiting or task:is_done() end, when)
      check.list(d:trace(), want, when)
      from:wake()
    end
    step({}, "stalled with nothing written")
    step({ "write abc = 3", "flush" }, "stalled after a write")
    step({}, "stalled once more")
    step({ "write def = 3", "flush" }, "at the end of file")
    check.equal(task:join(), 6, "copy")
  end)

  exact(M, id, "copy_at_end_of_file_waits_for_the_flush", DOUBLES, function()
    local d = D.writer { flush = { "now", "now" } }
    check.equal(aw.copy(wrap(aw.cursor("abc")), d.w), 3, "copy")
    check.list(d.log, { "write abc = 3", "flush = pending", "flush = pending", "flush" })
  end)
end

exact(M, "A7", "copy_tops_its_buffer_up_while_the_writer_waits", DOUBLES, function()
  local d, from = D.writer { write = { "pending", "pending", "pending" } }, D.reader { "abc", "def", "pending", "g" }
  local task = aw.spawn(aw.copy, from.r, d.w)
  D.run_until(function() return from.waiting end, "a read that waits")
  check.equal(d:bytes(), "", "what was taken")
  from:wake()
  D.run_until(function() return not d:wake() and task:is_done() end, "the end of the copy")
  check.equal(d:bytes(), "abcdefg", "what was taken")
  check.ok(d.log[#d.log - 1]:find("^write abcdef"), d.log[#d.log - 1])
end)

exact(M, "A7", "copy_fails_at_once_and_tells_how_far_it_came", DOUBLES, function()
  for code, answer in pairs { EWRITEZERO = 0, EIO = { "EIO" } } do
    local d = D.writer { write = { 4, 2, answer } }
    local n, message, got, accepted = aw.copy(aw.cursor("abcdefghij"), d.w)
    check.fails(code, "copy", n, message, got)
    check.equal(accepted, 6, "bytes accepted")
    check.equal(d:count("flush"), 0, "flushes after an error")
  end
  local d = D.writer()
  local n, message, code, accepted = aw.copy(D.reader({ "abc", { "ECONNRESET" } }).r, d.w)
  check.fails("ECONNRESET", "copy from a reader that fails", n, message, code)
  check.equal(accepted, 3, "bytes accepted")
  local failed = D.writer { flush = { { "EIO" } } }
  check.fails("EIO", "copy to a writer whose flush fails", aw.copy(aw.cursor("abc"), failed.w))
end)

exact(M, "A7", "copy_over_dice_moves_every_byte_once", { "random" }, function(random)
  for _ = 1, 20 do
    local size, d = random(30000), D.writer(D.chaos(random))
    local items, from = {}, 0
    while from < size do
      local n = math.min(random(3000), size - from)
      items[#items + 1] = D.text(n, from + 1)
      from = from + n
    end
    check.equal(aw.copy(D.reader(items).r, aw.buf_writer(d.w, random(100)), random(5000)), size, "copy")
    check.equal(d:bytes(), D.text(size), "what arrived")
  end
end)

-- ---- A9 ----

exact(M, "A9", "an_error_ends_both_directions_at_once", { "half" }, function()
  for _, swap in ipairs { false, true } do
    local user, near = aw.duplex(100)
    check.ok(user:write_all("hello"))
    local bad = aw.join(D.reader({ "abc", { "EIO" } }).r, aw.memory())
    local a, b = near, bad
    if swap then a, b = bad, near end
    local there, message, code, first, second = aw.copy_bidirectional(a, b)
    check.fails("EIO", "copy_bidirectional", there, message, code)
    if swap then first, second = second, first end
    check.ok(first == 0 or first == 5, "bytes to the side that failed: " .. first)
    check.ok(second == 0 or second == 3, "bytes from the side that failed: " .. second)
  end
end)

exact(M, "A9", "shutdown_of_each_destination_is_waited_for", { "half" }, function()
  local d = D.writer { shutdown = { "now", { late = 2 } } }
  local one, other = aw.join(aw.cursor("abc"), aw.sink()), aw.join(aw.cursor("defg"), d.w)
  local there, back = aw.copy_bidirectional(one, other)
  check.equal(there, 3, "bytes there")
  check.equal(back, 4, "bytes back")
  check.list(d.log, { "write abc = 3", "shutdown = pending", "shutdown = pending", "shutdown" })
end)

return M
