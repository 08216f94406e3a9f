-- SPDX-License-Identifier: MIT
-- line_writer: how it is made and shown. What it does with lines is in spec/conformance/b_line_writer_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local T = {}

T.test_the_default_capacity_is_that_of_std = check.in_task(function()
  local w = aw.line_writer(aw.memory())
  lu.assertEquals(tostring(w), "line_writer(1024) > memory")
  lu.assertEquals(w:kind(), "line_writer")
  for _, n in ipairs { 1023, 1 } do
    lu.assertTrue(w:write_all(("x"):rep(n)))
    lu.assertEquals(w:contents(), "")
  end
  lu.assertTrue(w:write_all("y"))
  lu.assertEquals(#w:contents(), 1024)
  w:into_parts()
end)

T.test_a_read_half_comes_along_and_into_parts_gives_both_back = check.in_task(function()
  local near, far = aw.duplex(100)
  local s = aw.line_writer(near)
  lu.assertTrue(far:write_all("question\n"))
  lu.assertEquals(s:read_line(), "question")
  lu.assertTrue(s:write_all("answer\n", "and"))
  local inner, held = s:into_parts()
  lu.assertEquals({ tostring(inner), held }, { "duplex(100) | buf_reader(8192) > duplex(100)", "and" })
  lu.assertEquals(far:read(), "answer\n")
end)

T.test_into_parts_of_a_read_side_gives_what_was_read_ahead = check.in_task(function()
  local r = aw.buf_reader(aw.cursor("one\ntwo\n"), 100)
  lu.assertEquals(r:read_line(), "one")
  local inner, ahead = r:into_parts()
  lu.assertEquals(ahead, "two\n")
  lu.assertEquals(inner:kind(), "cursor")
  check.raises(function() inner:into_parts() end, "a cursor wraps nothing")
end)

T.test_P5_an_empty_write_does_not_wait_for_the_line_that_is_held = check.in_task(function()
  local near, far = aw.duplex(4)
  local w = aw.line_writer(near)
  lu.assertEquals(w:write("one\ntwo\n"), 8)
  lu.assertEquals(w:buffered(), 4)
  lu.assertEquals(w:try_write(""), 0)
  lu.assertEquals(w:write(""), 0)
  check.fails("EAGAIN", w:try_write("x"))
  lu.assertEquals(far:read(), "one\n")
  lu.assertTrue(w:flush())
  lu.assertEquals(far:read(), "two\n")
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.line_writer() end, "bad argument #1 'w' to 'line_writer' (writer or reader expected, got no value)",
  function() aw.line_writer(aw.sink(), -1) end,
  "bad argument #2 'capacity' to 'line_writer' (integer from 0 to 2147483647 expected, got -1)",
  function() aw.line_writer((aw.simplex(1))) end, "bad argument #1 'w' to 'line_writer' (a simplex here is not a writer)",
}

return T
