-- SPDX-License-Identifier: MIT
-- A6 (numbers) and A7-A9 (copying).

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

-- ---- A6 ----

local F32_MIN, F64_MIN, I128_MIN_HIGH = -3.4028234663852886e38, -1.7976931348623157e308, -2 ^ 63

-- method, value, low half of 128 bits, the bytes; the examples of tokio's documentation are among them
local VECTORS = {
  { "u8", 2, nil, "\2" }, { "u8", 255, nil, "\255" }, { "i8", -2, nil, "\254" }, { "i8", 126, nil, "\126" },
  { "u16", 517, nil, "\2\5" }, { "u16", 768, nil, "\3\0" }, { "u16_le", 517, nil, "\5\2" },
  { "i16", 193, nil, "\0\193" }, { "i16", -132, nil, "\255\124" },
  { "i16_le", 193, nil, "\193\0" }, { "i16_le", -132, nil, "\124\255" },
  { "u32", 267, nil, "\0\0\1\11" }, { "u32", 1205419366, nil, "\71\217\61\102" },
  { "u32_le", 267, nil, "\11\1\0\0" }, { "u32_le", 1205419366, nil, "\102\61\217\71" },
  { "i32", -34253, nil, "\255\255\122\51" }, { "i32_le", -34253, nil, "\51\122\255\255" },
  { "u64", 918733457491587, nil, "\0\3\67\149\77\96\134\131" },
  { "u64_le", 918733457491587, nil, "\131\134\96\77\149\67\3\0" },
  { "i64", -2, nil, "\255\255\255\255\255\255\255\254" }, { "i64_le", -2, nil, "\254" .. ("\255"):rep(7) },
  { "u128", 1, 2, ("\0"):rep(7) .. "\1" .. ("\0"):rep(7) .. "\2" },
  { "u128_le", 1, 2, "\2" .. ("\0"):rep(7) .. "\1" .. ("\0"):rep(7) },
  { "i128", I128_MIN_HIGH, 0, "\128" .. ("\0"):rep(15) }, { "i128_le", I128_MIN_HIGH, 0, ("\0"):rep(15) .. "\128" },
  { "f32", F32_MIN, nil, "\255\127\255\255" }, { "f32_le", F32_MIN, nil, "\255\255\127\255" },
  { "f64", F64_MIN, nil, "\255\239" .. ("\255"):rep(6) }, { "f64_le", F64_MIN, nil, ("\255"):rep(6) .. "\239\255" },
  { "f64", 1.5, nil, "\63\248\0\0\0\0\0\0" },
}

clause(M, "A6", "numbers_are_written_big_endian_and_with_le_little_endian", {}, function(t)
  t:read_on()
  for _, v in ipairs(VECTORS) do
    check.equal(t.w["write_" .. v[1]](t.w, v[2], v[3]), true, "write_" .. v[1])
    t:book(v[4], #v[4])
  end
  t:finish()
end)

clause(M, "A6", "numbers_are_read_as_they_were_written", { "peer" }, function(t)
  t:spawn(function()
    for _, v in ipairs(VECTORS) do check.ok(t.w["write_" .. v[1]](t.w, v[2], v[3])) end
    return check.ok(t.w:shutdown())
  end)
  for _, v in ipairs(VECTORS) do
    local value, low = t.peer["read_" .. v[1]](t.peer)
    check.equal(value, v[2], "read_" .. v[1])
    if v[3] then check.equal(low, v[3], "the low half of read_" .. v[1]) end
  end
  local value, message, code = t.peer:read_u16()
  check.fails("EOF", "read_u16 at the end of file", value, message, code)
end)

local DOUBLES = { kinds = { "custom", "custom(vectored)" }, reason = "the calls that reach it cannot be counted" }

exact(M, "A6", "a_number_is_encoded_once_and_resumed_from_where_it_was", DOUBLES, function()
  local d = D.writer { write = { 1, "now", 2, 1, 0 } }
  check.equal(d.w:write_u32(0x61626364), true, "write_u32")
  check.list(d:trace(), { "write abcd = 1", "write bcd = pending", "write bcd = 2", "write d = 1" })
  local ok, message, code, accepted = d.w:write_u32(1)
  check.fails("EWRITEZERO", "write_u32 over a writer that takes nothing", ok, message, code)
  check.equal(accepted, 0, "bytes accepted")
end)

-- ---- A7, A8 ----

clause(M, "A7", "copy_moves_everything_flushes_and_does_not_shut_down", {}, function(t)
  t:read_on()
  local s = t:text(50000)
  check.equal(aw.copy(aw.cursor(s), t.w), 50000, "copy")
  t:book(s, #s)
  check.equal(t.w:buffered(), 0, "what is buffered after copy")
  check.equal(D.ready(t.w, "poll_write", ""), 0, "a write after copy")
  check.equal(aw.copy(aw.cursor(""), t.w), 0, "copy of nothing")
  check.equal(aw.copy(aw.cursor("in threes"), t.w, 3), 9, "copy with a buffer of 3")
  t:book("in threes", 9)
  t:finish()
end)

clause(M, "A7", "copy_reads_all_that_arrives", { "peer" }, function(t)
  local s = t:text(50000)
  t:spawn(function() return check.ok(t.w:write_all(s)) and check.ok(t.w:shutdown()) end)
  local to = aw.memory()
  check.equal(aw.copy(t.peer, to), 50000, "copy")
  check.equal(to:contents(), s, "what was copied")
end)

clause(M, "A8", "copy_of_a_buffered_reader_moves_everything_and_flushes", {}, function(t)
  t:read_on()
  local s = t:text(30000)
  local from = aw.buf_reader(aw.cursor(s), 1000)
  check.equal(from:read_exact(10), s:sub(1, 10), "what was read before the copy")
  check.equal(aw.copy(from, t.w), 29990, "copy")
  check.equal(t.w:buffered(), 0, "what is buffered after copy")
  t:book(s:sub(11), 29990)
  t:finish()
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

local function both_ways(swap)
  return function(t)
    local user, near = aw.duplex(100)
    if t.r ~= t.w then t.w = aw.join(t.r, t.w) end
    t.r = t.w
    local pump = t:spawn(function()
      if swap then return aw.copy_bidirectional(t.w, near) end
      return aw.copy_bidirectional(near, t.w)
    end)
    check.ok(user:write_all("to the peer"))
    t:book("to the peer", 11)
    t:expect_all()
    check.ok(t.back:write_all("to the user") and t.back:flush())
    check.equal(user:read_exact(11), "to the user", "what the user got")
    check.ok(user:shutdown())
    t:await_eof()
    check.equal(t.w:try_write("x"), nil, "a write after the pump shut it down")
    check.ok(not pump:is_done(), "the end of one side stopped the other")
    check.ok(t.back:write_all("still here") and t.back:shutdown())
    check.equal(user:read_to_end(), "still here", "what the user got at last")
    local there, back = pump:join()
    if swap then there, back = back, there end
    check.equal(there, 11, "bytes to the peer")
    check.equal(back, 21, "bytes to the user")
  end
end

clause(M, "A9", "each_end_of_file_shuts_one_direction_down", { "half" }, both_ways(false))
clause(M, "A9", "the_order_of_its_arguments_does_not_matter", { "half" }, both_ways(true))

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
