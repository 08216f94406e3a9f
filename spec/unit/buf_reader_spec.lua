-- SPDX-License-Identifier: MIT
-- buf_reader: searches that are cut short.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local fails, in_task = check.fails, check.in_task
local T = {}

-- A buf_reader on which a search for delim found all of data without it, and was pending.
local function searched(delim, data)
  local near, far = aw.duplex(256)
  assert(far:write_all(data))
  local r = aw.buf_reader(near)
  lu.assertEquals(r:poll_read_until(delim), false)
  return r, far
end

T.test_a_search_for_another_delimiter_finds_what_the_last_one_passed_over = in_task(function()
  lu.assertEquals(searched("\n", "key;rest"):poll_read_until(";"), "key;")
  lu.assertEquals(searched("--", "key;rest"):poll_read_until("y;"), "key;")
  lu.assertEquals(searched(("-"):rep(17), ("x"):rep(30) .. ";"):poll_read_until(("x"):rep(17)), ("x"):rep(17))
  fails("EMSGSIZE", searched("\n", "key;rest"):poll_read_until(";", 3))
end)

T.test_a_search_for_a_longer_delimiter_finds_the_start_that_was_there = in_task(function()
  local r, far = searched("\n", "line\r")
  assert(far:write_all("\nnext"))
  lu.assertEquals(r:poll_read_until("\r\n"), "line\r\n")
end)

T.test_a_search_goes_on_when_more_has_come = in_task(function()
  for _, delim in ipairs { "\n", "\r\n", ("-"):rep(16), ("-"):rep(17) } do
    local r, far = searched(delim, "line" .. delim:sub(1, -2))
    assert(far:write_all(delim:sub(-1) .. "next"))
    lu.assertEquals(r:poll_read_until(delim), "line" .. delim)
    lu.assertEquals(r:poll_read(9), "next")
  end
end)

return T
