-- SPDX-License-Identifier: MIT
-- A6 (numbers) and A7-A9 (copying).

local aw = require "asyncwrite"
local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

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

clause("A6", "numbers_are_written_big_endian_and_with_le_little_endian", {}, function(t)
  t:read_on()
  for _, v in ipairs(VECTORS) do
    check.equal(t.w["write_" .. v[1]](t.w, v[2], v[3]), true, "write_" .. v[1])
    t:book(v[4], #v[4])
  end
  t:finish()
end)

clause("A6", "numbers_are_read_as_they_were_written", { "peer" }, function(t)
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

-- ---- A7, A8 ----

clause("A7", "copy_moves_everything_flushes_and_does_not_shut_down", {}, function(t)
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

clause("A7", "copy_reads_all_that_arrives", { "peer" }, function(t)
  local s = t:text(50000)
  t:spawn(function() return check.ok(t.w:write_all(s)) and check.ok(t.w:shutdown()) end)
  local to = aw.memory()
  check.equal(aw.copy(t.peer, to), 50000, "copy")
  check.equal(to:contents(), s, "what was copied")
end)

clause("A8", "copy_of_a_buffered_reader_moves_everything_and_flushes", {}, function(t)
  t:read_on()
  local s = t:text(30000)
  local from = aw.buf_reader(aw.cursor(s), 1000)
  check.equal(from:read_exact(10), s:sub(1, 10), "what was read before the copy")
  check.equal(aw.copy(from, t.w), 29990, "copy")
  check.equal(t.w:buffered(), 0, "what is buffered after copy")
  t:book(s:sub(11), 29990)
  t:finish()
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

clause("A9", "each_end_of_file_shuts_one_direction_down", { "half" }, both_ways(false))
clause("A9", "the_order_of_its_arguments_does_not_matter", { "half" }, both_ways(true))
