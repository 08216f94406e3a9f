-- SPDX-License-Identifier: MIT
-- tee: every byte once to every branch; what is accepted, held back, failed and dropped.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local D = require "support.doubles"

local fails, raises, in_task = check.fails, check.raises, check.in_task
local T = {}

local function poll(w, ...) return select(2, D.poll(w, ...)) end

-- What each branch of the outermost tee lacks, "-" for a dropped one.
local function behind(w)
  local list = {}
  for i, b in ipairs(w:branches()) do list[i] = b.failed and "-" or b.behind end
  return table.concat(list, " ")
end

T.test_every_branch_gets_what_the_first_took = in_task(function()
  local a, b, c = D.writer { write = { 4 } }, D.writer(), D.writer()
  local w = aw.tee { a.w, b.w, c.w }
  lu.assertEquals(w:write("abcdefg"), 4)
  lu.assertEquals(w:buffered(), 0)
  lu.assertEquals(w:write("efg"), 3)
  lu.assertTrue(w:flush())
  lu.assertTrue(w:shutdown())
  lu.assertEquals(a.log, { "write abcdefg = 4", "write efg = 3", "flush", "shutdown" })
  lu.assertEquals(b.log, { "write abcd = 4", "write efg = 3", "flush", "shutdown" })
  lu.assertEquals(c.log, { "write abcd = 4", "write efg = 3", "flush", "shutdown" })
end)

T.test_what_a_branch_lacks_is_held_back_and_goes_first = in_task(function()
  local a, b, c = D.writer(), D.writer { write = { 2, "pending", 1, "now" } }, D.writer { write = { "pending" } }
  local w = aw.tee({ a.w, b.w, c.w }, { capacity = 10 })
  lu.assertEquals(poll(w, "poll_write", "abcde"), 5)
  lu.assertEquals({ w:buffered(), behind(w), w:buffer() }, { 5, "0 3 5", "abcde" })
  lu.assertEquals(poll(w, "poll_write", "fg"), 2) -- b still waits, c is done with the first
  lu.assertEquals({ w:buffered(), behind(w), w:buffer() }, { 5, "0 5 0", "cdefg" })
  lu.assertEquals(poll(w, "poll_write", "hi"), 2)
  lu.assertEquals(behind(w), "0 6 0")
  lu.assertEquals(D.ready(w, "poll_flush"), true)
  lu.assertEquals({ a:bytes(), b:bytes(), c:bytes() }, { "abcdefghi", "abcdefghi", "abcdefghi" })
  lu.assertEquals({ w:buffered(), behind(w) }, { 0, "0 0 0" })
  lu.assertEquals(b.log, { "write abcde = 2", "write cde = pending", "write cdefg = 1", "write defg = pending",
    "write defghi = 6", "flush" })
end)

T.test_P2_pending_takes_nothing_of_any_branch = in_task(function()
  local a, b = D.writer { write = { "pending" } }, D.writer()
  local w = aw.tee { a.w, b.w }
  local c, n = D.poll(w, "poll_write", "abc")
  lu.assertEquals({ n, #b.log }, { false, 0 })
  a:wake()
  lu.assertEquals(c.woken, 1)
  lu.assertEquals(poll(w, "poll_write", "other"), 5)
  lu.assertEquals({ a:bytes(), b:bytes() }, { "other", "other" })
end)

T.test_the_capacity_bounds_what_is_held_back_and_then_all_wait_for_the_slowest = in_task(function()
  local near, far = aw.duplex(2)
  local w = aw.tee({ aw.memory(), near }, { capacity = 4 })
  lu.assertEquals(poll(w, "poll_write", "abcdefgh"), 4)
  lu.assertEquals({ poll(w, "poll_write", "efgh"), behind(w) }, { 2, "0 4" })
  local c, n = D.poll(w, "poll_write", "gh")
  lu.assertEquals({ n, w:buffered() }, { false, 4 })
  lu.assertEquals(far:try_read(1), "a")
  lu.assertEquals(c.woken, 1)
  lu.assertEquals(poll(w, "poll_write", "gh"), 1)
  local task = aw.spawn(function() return w:write_all("h") and w:shutdown() end)
  lu.assertEquals(far:read_to_end(), "bcdefgh")
  lu.assertTrue(task:join())
  lu.assertEquals(w:contents(), "abcdefgh")
end)

T.test_P3_an_error_of_the_first_branch_takes_nothing = in_task(function()
  for code, answer in pairs { EIO = { "EIO" }, EWRITEZERO = 0 } do
    local a, b = D.writer { write = { answer } }, D.writer()
    local w = aw.tee { a.w, b.w }
    lu.assertEquals(fails(code, w:write_all("abc")), 0)
    lu.assertEquals(#b.log, 0)
    lu.assertTrue(w:write_all("abc"))
    lu.assertEquals({ a:bytes(), b:bytes() }, { "abc", "abc" })
  end
end)

T.test_an_error_of_a_later_branch_is_told_once_by_the_next_operation_and_loses_no_byte = in_task(function()
  for _, op in ipairs { "write", "flush", "shutdown" } do
    for code, answer in pairs { EIO = { "EIO" }, EWRITEZERO = 0 } do
      local a, b, c = D.writer(), D.writer { write = { answer } }, D.writer()
      local w = aw.tee { a.w, b.w, c.w }
      lu.assertEquals(w:write("abc"), 3)
      lu.assertEquals(behind(w), "0 3 0")
      fails(code, w[op](w, op == "write" and "de" or nil))
      lu.assertEquals(a:bytes(), "abc") -- nothing was taken by the write that failed
      if op ~= "shutdown" then lu.assertTrue(w:write_all("de")) end
      lu.assertTrue(w:shutdown())
      local all = op == "shutdown" and "abc" or "abcde"
      lu.assertEquals({ a:bytes(), b:bytes(), c:bytes() }, { all, all, all })
    end
  end
end)

T.test_an_error_while_a_branch_catches_up_takes_nothing_and_the_others_go_on = in_task(function()
  local a, b, c = D.writer(), D.writer { write = { 1, { "EIO" } } }, D.writer { write = { 1 } }
  local w = aw.tee { a.w, b.w, c.w }
  lu.assertEquals(w:write("abc"), 3)
  fails("EIO", w:write("d"))
  lu.assertEquals({ behind(w), c:bytes() }, { "0 2 0", "abc" })
  lu.assertTrue(w:write_all("d") and w:flush())
  lu.assertEquals({ a:bytes(), b:bytes(), c:bytes() }, { "abcd", "abcd", "abcd" })
end)

T.test_branches_tell_whose_an_error_is_until_something_goes_well_there = in_task(function()
  local a, b = D.writer { flush = { { "EIO" } } }, D.writer { write = { { "ENOSPC" } }, shutdown = { { "EPIPE" } } }
  local w = aw.tee { a.w, b.w }
  local function errors()
    local list = w:branches()
    return (list[1].error or "-") .. " " .. (list[2].error or "-")
  end
  lu.assertEquals(errors(), "- -")
  lu.assertEquals({ w:write("abc"), errors() }, { 3, "- ENOSPC" })
  fails("ENOSPC", w:write("d"))
  lu.assertEquals(errors(), "- ENOSPC")
  fails("EIO", w:flush())
  lu.assertEquals(errors(), "EIO -")
  fails("EPIPE", w:shutdown())
  lu.assertEquals(errors(), "- EPIPE")
end)

T.test_flush_and_shutdown_go_to_all_though_one_fails_or_waits = in_task(function()
  local a, b = D.writer { flush = { { "EIO" }, "now" }, shutdown = { "now" } }, D.writer { shutdown = { { "EIO" } } }
  local w = aw.tee { a.w, b.w }
  fails("EIO", poll(w, "poll_flush"))
  lu.assertEquals(poll(w, "poll_flush"), false)
  lu.assertEquals(poll(w, "poll_flush"), true)
  fails("EIO", poll(w, "poll_shutdown"))
  lu.assertEquals(poll(w, "poll_shutdown"), true)
  lu.assertEquals(a.log, { "flush = EIO", "flush = pending", "flush", "shutdown = pending", "shutdown" })
  lu.assertEquals(b.log, { "flush", "flush", "flush", "shutdown = EIO", "shutdown" })
end)

T.test_a_branch_that_lacks_bytes_is_neither_flushed_nor_shut_down_before_it_has_them = in_task(function()
  local a, b = D.writer(), D.writer { write = { 1, "pending", "now" } }
  local w = aw.tee { a.w, b.w }
  w:write("abc")
  lu.assertEquals(poll(w, "poll_flush"), false)
  lu.assertEquals(poll(w, "poll_shutdown"), false)
  lu.assertEquals(a.log, { "write abc = 3", "flush", "shutdown" })
  lu.assertEquals(b.log, { "write abc = 1", "write bc = pending", "write bc = pending" })
  lu.assertEquals(poll(w, "poll_shutdown"), true)
  lu.assertEquals(b:trace()[5], "shutdown")
end)

T.test_P5_an_empty_write_asks_all_and_waits_for_none = in_task(function()
  local near, far = aw.duplex(1)
  local w = aw.tee({ aw.memory(), near }, { capacity = 1 })
  w:write("a")
  w:write("b")
  lu.assertEquals(poll(w, "poll_write", "c"), false)
  lu.assertEquals(poll(w, "poll_write", ""), 0)
  far:close()
  fails("EPIPE", poll(w, "poll_write", ""))
  w:close()
end)

T.test_vectors_are_taken_when_all_branches_take_them = in_task(function()
  local function double(n) return D.writer { vectored = true, write = { n } } end
  local a, b = double(5), double(2)
  local w = aw.tee { a.w, b.w }
  lu.assertTrue(w:is_write_vectored())
  lu.assertEquals(w:write_vectored { "ab", "cde", "fgh" }, 5)
  lu.assertEquals(b.log, { "vectored ab|cde = 2" })
  lu.assertEquals(w:buffer(), "cde")
  lu.assertTrue(w:flush())
  lu.assertEquals({ a:bytes(), b:bytes() }, { "abcde", "abcde" })
  a, b = double(4), double()
  w = aw.tee { a.w, b.w }
  lu.assertEquals(w:write_vectored { "ab", "cde" }, 4) -- into a slice: the others get whole slices of it first
  lu.assertEquals({ b:bytes(), w:buffer() }, { "ab", "cd" })
  w:close()
  lu.assertFalse(aw.tee({ double().w, D.writer().w }):is_write_vectored())
  lu.assertFalse(aw.tee({ D.writer().w, double().w }):is_write_vectored())
end)

T.test_on_error_drop_closes_the_branch_and_goes_on_with_the_rest = in_task(function()
  local a, b, c = D.writer { write = { nil, { "EIO" } } }, D.writer { write = { { "ENOSPC" } } }, D.writer()
  local w = aw.tee({ a.w, b.w, c.w }, { on_error = "drop" })
  lu.assertTrue(w:write_all("abc"))
  lu.assertEquals({ b.closed, a.closed }, { 1, 0 })
  lu.assertTrue(w:write_all("def"))
  lu.assertEquals(a.closed, 1)
  lu.assertTrue(w:shutdown())
  lu.assertEquals({ a:bytes(), b:bytes(), c:bytes() }, { "abc", "", "abcdef" })
  lu.assertEquals(w:branches(), { { name = "double", behind = 0, failed = "EIO" },
    { name = "double", behind = 0, failed = "ENOSPC" }, { name = "double", behind = 0 } })
  lu.assertEquals(tostring(w), "tee() > double")
end)

T.test_on_error_drop_of_the_last_branch_is_an_error = in_task(function()
  local a, b = D.writer { write = { { "EIO" } } }, D.writer { write = { nil, { "ENOSPC" } }, flush = { { "EPIPE" } } }
  local w = aw.tee({ a.w, b.w }, { on_error = "drop" })
  lu.assertTrue(w:write_all("abc"))
  fails("ENOSPC", w:write_all("def"))
  fails("EPIPE", w:flush())
  lu.assertEquals({ b:bytes(), b.closed }, { "abc", 0 })
end)

T.test_on_error_drop_during_empty_writes_flush_and_shutdown = in_task(function()
  for _, op in ipairs { "flush", "shutdown" } do
    local a, b = D.writer(), D.writer { [op] = { { "EIO" } } }
    local w = aw.tee({ a.w, b.w }, { on_error = "drop" })
    lu.assertTrue(w[op](w))
    lu.assertEquals(behind(w), "0 -")
  end
  local near, far = aw.duplex(5)
  local w = aw.tee({ near, aw.memory() }, { on_error = "drop" })
  far:close()
  lu.assertEquals(w:write(""), 0)
  lu.assertEquals({ behind(w), tostring(w) }, { "- 0", "tee() > memory" })
  lu.assertTrue(w:write_all("x"))
  lu.assertEquals(w:contents(), "x")
end)

T.test_on_slow_drop_lets_nobody_wait_for_the_slowest = in_task(function()
  local slow, slow_end = aw.duplex(2)
  local fast, fast_end = aw.duplex(100)
  local w = aw.tee({ slow, fast }, { capacity = 4, on_slow = "drop" })
  for _, part in ipairs { "ab", "c", "d", "ef" } do lu.assertTrue(w:write_all(part)) end -- 4 behind: not yet too slow
  lu.assertEquals({ behind(w), w:buffered() }, { "4 0", 4 })
  lu.assertTrue(w:write_all("g"))
  lu.assertEquals(behind(w), "- 0")
  lu.assertEquals(w:branches()[1], { name = "duplex(2)", behind = 0, failed = "ENOBUFS" })
  lu.assertEquals(slow_end:read_to_end(), "ab")
  lu.assertTrue(w:shutdown())
  lu.assertEquals(fast_end:read_to_end(), "abcdefg")
end)

T.test_on_slow_drop_keeps_who_is_last_and_who_merely_waits_with_all_others = in_task(function()
  local a, a_end = aw.duplex(2)
  local b, b_end = aw.duplex(2)
  local w = aw.tee({ a, b }, { capacity = 1, on_slow = "drop" })
  local writer = aw.spawn(function() return w:write_all("abcdef") and w:shutdown() end)
  check.settle()
  lu.assertFalse(writer:is_done())
  lu.assertEquals(behind(w), "0 0")
  local other = aw.spawn(function() return b_end:read_to_end() end)
  check.settle()
  lu.assertEquals(behind(w), "- 0")
  lu.assertTrue(writer:join())
  lu.assertEquals({ a_end:read_to_end(), other:join() }, { "ab", "abcdef" })
end)

T.test_on_slow_drop_keeps_those_who_are_equally_slow_when_the_fastest_is_gone = in_task(function()
  local a, b, c = D.writer { flush = { { "EIO" } } }, D.writer { write = { "pending", "pending", "pending" } },
    D.writer { write = { "pending", "pending", "pending" } }
  local w = aw.tee({ a.w, b.w, c.w }, { capacity = 2, on_slow = "drop", on_error = "drop" })
  lu.assertEquals(poll(w, "poll_write", "ab"), 2)
  lu.assertEquals(poll(w, "poll_flush"), false)
  lu.assertEquals(behind(w), "- 2 2")
  lu.assertEquals(poll(w, "poll_write", "c"), false)
  lu.assertEquals(behind(w), "- 2 2")
  lu.assertTrue(w:write_all("c") and w:flush())
  lu.assertEquals({ b:bytes(), c:bytes() }, { "abc", "abc" })
end)

T.test_close_closes_every_branch = in_task(function()
  local a, b, c = D.writer(), D.writer(), D.writer { write = { { "EIO" } } }
  local w = aw.tee({ a.w, b.w, c.w }, { on_error = "drop" })
  w:write("x")
  w:close()
  lu.assertEquals({ a.closed, b.closed, c.closed }, { 1, 1, 1 })
end)

T.test_what_lua_raises_in_a_branch_is_raised_by_the_operation_and_not_told_again = in_task(function()
  local angry = true
  local bad = {}
  local w = aw.tee { aw.memory(), aw.custom { poll_write = function(_, s)
    if angry then error("out of order") end
    bad[#bad + 1] = s
    return #s
  end } }
  raises(function() w:write("abc") end, "out of order")
  angry = false
  lu.assertTrue(w:flush())
  lu.assertEquals({ w:contents(), table.concat(bad) }, { "abc", "abc" })
end)

T.test_it_is_shown_with_all_its_branches_and_counts_what_they_hold = in_task(function()
  local w = aw.buf_writer(aw.tee { aw.buf_writer(aw.memory(), 10), aw.buf_writer(aw.sink(), 20), aw.limit(aw.sink(), 9) }, 3)
  lu.assertEquals(tostring(w), "buf_writer(3) > tee(buf_writer(20) > sink, limit(9) > sink) > buf_writer(10) > memory")
  lu.assertTrue(w:write_all("abc"))
  lu.assertTrue(w:write_all("de"))
  lu.assertEquals(w:buffered(), 3 + 3 + 2)
  lu.assertTrue(w:flush())
  lu.assertEquals({ w:buffered(), w:contents() }, { 0, "abcde" })
end)

T.test_into_parts_gives_every_branch_and_what_it_lacks = in_task(function()
  local near, far = aw.duplex(10)
  local slow, slow_end = aw.duplex(2)
  local w = aw.tee { near, slow, D.writer({ write = { { "EIO" } } }).w }
  lu.assertEquals(w:write("abcde"), 5)
  local a, rest_a, b, rest_b, c, rest_c, none = w:into_parts()
  lu.assertEquals({ rest_a, rest_b, rest_c, none }, { "", "cde", "abcde" })
  lu.assertEquals({ tostring(a), tostring(b), tostring(c) }, { "duplex(10)", "duplex(2)", "double" })
  raises(function() w:write("x") end, "moved")
  lu.assertEquals({ a:is_reader(), b:is_reader() }, { true, false })
  lu.assertEquals({ far:read(), slow_end:read() }, { "abcde", "ab" })
  lu.assertTrue(c:write_all(rest_c))
  far:write_all("back")
  lu.assertEquals(a:read(), "back")
end)

T.test_into_parts_leaves_out_what_was_dropped = in_task(function()
  local near, far = aw.duplex(10)
  local w = aw.tee({ near, aw.memory() }, { on_error = "drop" })
  far:close()
  lu.assertTrue(w:write_all("abc"))
  local memory, rest, none = w:into_parts()
  lu.assertEquals({ tostring(memory), rest, none }, { "memory", "" })
  lu.assertFalse(memory:is_reader())
end)

T.test_writers_in_lua_live_as_long_as_the_tee_and_after_it = in_task(function()
  local got = {}
  local function double(i)
    return aw.custom { poll_write = function(_, s)
      got[i] = (got[i] or "") .. s
      return #s
    end, close = function() got[i] = got[i] .. "." end }
  end
  local w = aw.tee { double(1), aw.inspect(double(2), function(s) got[3] = (got[3] or "") .. s end) }
  collectgarbage()
  collectgarbage()
  lu.assertTrue(w:write_all("ab"))
  local a, _, b = w:into_parts()
  w = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  lu.assertTrue(a:write_all("c") and b:write_all("d"))
  a:close()
  b:close()
  lu.assertEquals(got, { "abc.", "abd.", "abd" })
end)

T.test_the_read_half_of_the_first_comes_along_and_the_others_are_closed = in_task(function()
  local near, far = aw.duplex(10)
  local other, other_end = aw.duplex(10)
  local w = aw.tee { near, other }
  far:write_all("x")
  lu.assertEquals(w:read(), "x")
  fails("EPIPE", other_end:write("y"))
end)

T.test_one_branch_is_enough_and_many_are_possible = in_task(function()
  local w = aw.tee { aw.memory() }
  lu.assertTrue(w:write_all("abc"))
  lu.assertEquals(w:contents(), "abc")
  local doubles, list = {}, {}
  for i = 1, 255 do
    doubles[i] = D.writer { log = false, write = i % 3 == 0 and { 1, "now" } or nil }
    list[i] = doubles[i].w
  end
  w = aw.tee(list)
  lu.assertTrue(w:write_all("abc", "def") and w:shutdown())
  for i = 1, 255 do lu.assertEquals(doubles[i]:bytes(), "abcdef") end
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.tee(aw.sink()) end, "bad argument #1 'branches' to 'tee' (table expected, got userdata)",
  function() aw.tee {} end, "bad argument #1 'branches' to 'tee' (1 to 255 writers expected)",
  function() aw.tee { aw.sink(), 5 } end, "bad argument #1 'branches[2]' to 'tee' (writer or reader expected, got number)",
  function() aw.tee { (aw.simplex(1)) } end, "bad argument #1 'branches[1]' to 'tee' (a simplex here is not a writer)",
  function() local s = aw.sink() aw.tee { s, aw.sink(), s } end,
  "bad argument #1 'branches[3]' to 'tee' (it is branches[1] too)",
  function() aw.tee({ aw.sink() }, 5) end, "bad argument #2 'options' to 'tee' (table expected, got number)",
  function() aw.tee({ aw.sink() }, { capacity = 0 }) end,
  "bad argument #2 'options.capacity' to 'tee' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.tee({ aw.sink() }, { on_error = "ignore" }) end,
  "bad argument #2 'options.on_error' to 'tee' ('fail' or 'drop' expected, got ignore)",
  function() aw.tee({ aw.sink() }, { on_slow = 1 }) end,
  "bad argument #2 'options.on_slow' to 'tee' ('wait' or 'drop' expected, got number)",
}

T.test_a_tee_that_cannot_be_made_leaves_its_writers_alone = in_task(function()
  local w = aw.memory()
  raises(function() aw.tee { w, "x" } end, "branches[2]")
  lu.assertTrue(w:write_all("still mine"))
end)

return T
