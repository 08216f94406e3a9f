-- SPDX-License-Identifier: MIT
-- inspect, inspect_reader: callbacks of Lua below C polls. What they see is M9, in spec/conformance/m_inspect_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local D = require "support.doubles"

local raises, in_task = check.raises, check.in_task
local T = {}

T.test_an_error_in_the_callback_is_raised_by_the_operation_and_the_bytes_are_accepted = in_task(function()
  local calls = 0
  local w = aw.buf_writer(aw.inspect(aw.memory(), function()
    calls = calls + 1
    if calls == 1 then error("the first is too much") end
  end), 4)
  assert(w:write_all("abc"))
  local text = raises(function() w:flush() end, "the first is too much", "stack traceback")
  lu.assertStrContains(text, "inspect_spec.lua")
  lu.assertEquals({ w:contents(), w:buffered() }, { "abc", 0 }) -- nothing is written twice
  assert(w:write_all("de"))
  assert(w:flush())
  lu.assertEquals(w:contents(), "abcde")
end)

T.test_the_callback_cannot_wait_and_polls_in_it_register_nothing = in_task(function()
  local near, far = aw.duplex(1)
  near:try_write("x")
  local result
  local w = aw.inspect(aw.memory(), function()
    result = near:poll_write("y")
    aw.sleep(0)
  end)
  local c = D.waker()
  raises(function() c:poll(w, "poll_write", "x") end, "cannot wait")
  lu.assertEquals(result, false)
  far:try_read()
  lu.assertEquals(c.woken, 0)
end)

T.test_the_last_of_several_errors_in_one_poll_is_raised_and_the_others_are_let_go = in_task(function()
  local weak = setmetatable({}, { __mode = "v" })
  local w = aw.inspect(aw.memory(), function(s)
    local err = { s }
    weak[s] = err
    error(err)
  end)
  local ok, err = pcall(w.poll_write_vectored, w, { "one", "two" })
  lu.assertEquals({ ok, err }, { false, { "two" } })
  lu.assertEquals(w:contents(), "onetwo")
  collectgarbage()
  collectgarbage()
  lu.assertNil(weak.one)
end)

T.test_the_callback_may_use_other_writers_and_close_its_own = in_task(function()
  local copy, w = aw.memory(), nil
  w = aw.inspect(aw.memory(), function(s)
    copy:try_write(s)
    raises(function() w:try_write("again") end, "it is being polled already")
    w:close()
  end)
  lu.assertEquals(w:poll_write("all"), 3)
  lu.assertTrue(w:is_closed())
  lu.assertEquals(copy:contents(), "all")
end)

T.test_a_try_is_inspected_too_and_outside_of_tasks = function()
  local seen = {}
  local w = aw.inspect(aw.memory(), function(s) seen[#seen + 1] = s end)
  lu.assertEquals(w:try_write("abc"), 3)
  lu.assertEquals(seen, { "abc" })
end

T.test_a_reader_shows_what_it_gave = in_task(function()
  local seen = {}
  local r = aw.inspect_reader(aw.cursor("one\ntwo"), function(s) seen[#seen + 1] = s end)
  lu.assertEquals({ r:read(2), r:read_line(), r:read_line(), r:read() }, { "on", "e", "two" })
  lu.assertEquals(seen, { "on", "e\ntwo" })
  lu.assertEquals(tostring(r), "cursor(7/7) | buf_reader(8192) > inspect_reader > cursor(7/7)")
end)

T.test_a_callback_that_knows_its_own_stream_is_collected = function()
  local closed, weak = 0, setmetatable({}, { __mode = "v" })
  do
    local box
    local function see() return box end
    box = aw.inspect(aw.custom { poll_write = function(_, s) return #s end, close = function() closed = closed + 1 end }, see)
    weak[1] = see
  end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(closed, 1)
  lu.assertNil(weak[1])
end

T.test_a_callback_goes_with_its_wrapper = function()
  local weak = setmetatable({}, { __mode = "v" })
  local seen = 0
  local outer = aw.inspect(aw.custom { poll_write = function(_, s) return #s end }, function() seen = seen + 1 end)
  do
    local see = function() seen = seen + 10 end
    weak[1] = see
    outer = aw.inspect(outer, see)
  end
  outer:try_write("x")
  lu.assertEquals(seen, 11)
  outer = outer:into_parts()
  collectgarbage()
  collectgarbage()
  lu.assertNil(weak[1])
  outer:try_write("x")
  lu.assertEquals(seen, 12)
  aw.buf_writer(outer):try_write("")
end

function T.test_a_stream_with_callbacks_lives_to_the_end_of_the_state()
  lu.assertEquals(child.check [[
    local aw = require "asyncwrite"
    kept = aw.inspect(aw.sink(), function() print "seen" end)
    kept:try_write("x")
    aw.inspect(aw.sink(), print)]], "seen\n")
end

T.test_misuse_names_the_argument = check.misuses {
  function() aw.inspect(5, print) end, "bad argument #1 'w' to 'inspect' (writer or reader expected, got number)",
  function() aw.inspect(aw.sink()) end, "bad argument #2 'f' to 'inspect' (function expected, got no value)",
  function() aw.inspect(aw.sink(), {}) end, "bad argument #2 'f' to 'inspect' (function expected, got table)",
  function() aw.inspect_reader(aw.sink(), print) end,
  "bad argument #1 'r' to 'inspect_reader' (a sink here is not a reader)",
  function() aw.inspect_reader(aw.cursor(), 1) end, "bad argument #2 'f' to 'inspect_reader' (function expected, got number)",
}

return T
