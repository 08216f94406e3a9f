-- SPDX-License-Identifier: MIT
-- limit and take: at most so many bytes.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local D = require "support.doubles"

local fails, in_task = check.fails, check.in_task
local T = {}

T.test_P4_a_write_beyond_the_limit_is_cut_and_then_zero = in_task(function()
  local d = D.writer { write = { 2, "now" } }
  local w = aw.limit(d.w, 5)
  lu.assertEquals({ w:write("abc"), w:limit() }, { 2, 3 })
  lu.assertEquals({ w:write("cdefgh"), w:limit() }, { 3, 0 })
  lu.assertEquals(w:write("fgh"), 0)
  lu.assertEquals(fails("EWRITEZERO", w:write_all("fgh")), 0)
  lu.assertEquals(w:write(""), 0)
  lu.assertTrue(w:flush() and w:shutdown())
  lu.assertEquals(d.log, { "write abc = 2", "write cde = pending", "write cde = 3", "write = 0", "flush", "shutdown" })
end)

T.test_the_count_accepted_is_told_when_write_all_meets_the_limit = in_task(function()
  local w = aw.limit(aw.memory(), 5)
  lu.assertEquals(fails("EWRITEZERO", w:write_all("abc", "def")), 5)
  lu.assertEquals(w:contents(), "abcde")
  lu.assertEquals(fails("EWRITEZERO", aw.copy(aw.cursor("xyz"), aw.limit(aw.memory(), 2))), 2)
end)

T.test_V1_vectors_are_cut_at_the_limit = in_task(function()
  local function cut(n)
    local d = D.writer { vectored = true }
    local w = aw.limit(d.w, n)
    w:poll_write_vectored { "ab", "", "cde", "f" }
    return d.log[1]
  end
  lu.assertEquals({ cut(1), cut(2), cut(4), cut(5), cut(6), cut(9) }, { "vectored a = 1", "vectored ab = 2",
    "vectored ab = 2", "vectored ab|cde = 5", "vectored ab|cde|f = 6", "vectored ab|cde|f = 6" })
end)

T.test_pending_and_errors_leave_the_limit_alone = in_task(function()
  local d = D.writer { write = { "now", { "EIO" }, 0 } }
  local w = aw.limit(d.w, 5)
  lu.assertFalse(w:poll_write("abc"))
  fails("EIO", w:poll_write("abc"))
  lu.assertEquals(w:poll_write("abc"), 0)
  lu.assertEquals(w:limit(), 5)
end)

T.test_P5_closed_comes_before_the_limit_for_empty_writes = in_task(function()
  local near, far = aw.duplex(10)
  local w = aw.limit(near, 0)
  far:close()
  fails("EPIPE", w:write(""))
  lu.assertEquals(w:write("x"), 0)
end)

T.test_the_limit_can_be_set_and_is_found_through_wrappers = in_task(function()
  local w = aw.buf_writer(aw.limit(aw.memory(), 1))
  lu.assertEquals(tostring(w), "buf_writer(8192) > limit(1) > memory")
  w:set_limit(3)
  assert(w:write_all("abcdef"))
  fails("EWRITEZERO", w:flush())
  lu.assertEquals({ w:buffer(), w:limit() }, { "def", 0 })
  w:set_limit(2 ^ 53 - 1)
  lu.assertTrue(w:flush())
  lu.assertEquals({ w:contents(), w:limit() }, { "abcdef", 2 ^ 53 - 4 })
end)

T.test_take_ends_after_n_bytes_and_asks_no_more = in_task(function()
  local d = D.reader { "abc", "pending", "def", "ghi" }
  local r = aw.take(d.r, 5)
  lu.assertEquals({ r:read(), r:limit() }, { "abc", 2 })
  lu.assertFalse(r:poll_read())
  d:wake()
  lu.assertEquals({ r:read(), r:limit() }, { "de", 0 })
  lu.assertNil(r:read())
  lu.assertNil(r:read())
  lu.assertEquals(d.log, { "read = 3", "read = pending", "read = 2" })
  r:set_limit(10)
  lu.assertEquals(r:read_to_end(), "fghi")
end)

T.test_take_ends_with_its_reader_and_hands_errors_on = in_task(function()
  lu.assertEquals(aw.take(aw.cursor("abc"), 9):read_to_end(), "abc")
  local r = aw.take(D.reader({ "a", { "EIO" }, "b" }).r, 2)
  lu.assertEquals(r:read(), "a")
  fails("EIO", r:read())
  lu.assertEquals({ r:read(), r:limit() }, { "b", 0 })
end)

T.test_the_other_half_comes_along_and_parts_come_off = in_task(function()
  local near, far = aw.duplex(20)
  local s = aw.take(aw.limit(near, 3), 4)
  lu.assertEquals(tostring(s), "limit(3) > duplex(20) | take(4) > duplex(20)")
  lu.assertEquals(s:limit(), 3) -- of the write side first
  lu.assertEquals(s:write("abcdef"), 3)
  assert(far:write_all("ghijkl"))
  lu.assertEquals(s:read_to_end(), "ghij")
  s = s:into_parts() -- of the write side first
  lu.assertEquals(s:limit(), 0)
  s = s:into_parts()
  lu.assertEquals({ tostring(s), s:read() }, { "duplex(20)", "kl" })
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.limit(aw.sink()) end, "bad argument #2 'n' to 'limit' (number expected, got no value)",
  function() aw.limit(aw.sink(), -1) end,
  "bad argument #2 'n' to 'limit' (integer from 0 to 9007199254740991 expected, got -1)",
  function() aw.take(aw.sink(), 1) end, "bad argument #1 'r' to 'take' (a sink here is not a reader)",
  function() aw.take(aw.cursor(), "x") end, "bad argument #2 'n' to 'take' (number expected, got string)",
  function() aw.limit(aw.sink(), 1):set_limit(0.5) end,
  "bad argument #1 'n' to 'set_limit' (integer from 0 to 9007199254740991 expected, got 0.5)",
}

return T
