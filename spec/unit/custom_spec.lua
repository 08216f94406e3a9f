-- SPDX-License-Identifier: MIT
-- custom: a table of Lua functions as a writer and reader; what is provided, checked and passed on.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local raises, fails, in_task = check.raises, check.fails, check.in_task
local T = {}

T.test_the_functions_get_the_table_and_the_bytes_and_what_is_missing_is_provided = in_task(function()
  local log = {}
  local methods = { poll_write = function(self, s)
    log[#log + 1] = self
    log[#log + 1] = s
    return #s
  end }
  local w = aw.custom(methods)
  lu.assertTrue(w:is_writer())
  lu.assertFalse(w:is_reader())
  lu.assertFalse(w:is_write_vectored())
  lu.assertTrue(w:write_all("some bytes"))
  lu.assertTrue(w:flush())
  lu.assertTrue(w:shutdown())
  lu.assertEquals(#log, 2)
  lu.assertIs(log[1], methods)
  lu.assertEquals(log[2], "some bytes")
end)

T.test_methods_may_be_inherited_through_a_metatable_and_changed_later = in_task(function()
  local Class = { poll_write = function(self, s)
    self.text = (self.text or "") .. s
    return #s
  end }
  Class.__index = Class
  local object = setmetatable({}, Class)
  local w = aw.custom(object)
  w:write_all("one")
  Class.poll_write = function(self, s)
    self.text = self.text .. s:upper()
    return #s
  end
  w:write_all("two")
  lu.assertEquals(object.text, "oneTWO")
end)

T.test_poll_write_vectored_makes_it_vectored_and_gets_the_list = in_task(function()
  local lists = {}
  local w = aw.custom { poll_write_vectored = function(_, list)
    lists[#lists + 1] = list
    return #list[1]
  end }
  lu.assertTrue(w:is_write_vectored())
  lu.assertTrue(w:write_all("ab", "", "cd"))
  lu.assertEquals(lists, { { "ab", "cd" }, { "cd" } })
end)

T.test_a_reader_gets_the_limit_and_nil_is_the_end = in_task(function()
  local limits, parts = {}, { "one", "two" }
  local r = aw.custom { poll_read = function(_, max)
    limits[#limits + 1] = max
    return table.remove(parts, 1)
  end }
  lu.assertEquals({ r:read(5), r:read(), r:read() }, { "one", "two" })
  lu.assertEquals(limits[1], 5)
end)

T.test_failures_come_back_with_their_own_message_and_code_through_wrappers = in_task(function()
  local w = aw.custom { poll_write = function() return nil, "EDQUOT: the disk is full", "EDQUOT" end }
  local value, message, code = w:write("x")
  lu.assertEquals({ tostring(value), message, code }, { "nil", "EDQUOT: the disk is full", "EDQUOT" })
  local outer = aw.buf_writer(aw.custom { poll_write = function() return nil, "out of paper", "EPAPER" end }, 0)
  local _, text, why, accepted = outer:write_all("x")
  lu.assertEquals({ text, why, accepted }, { "out of paper", "EPAPER", 0 })
  local plain = aw.custom { poll_flush = function() return nil, "no code" end, poll_write = function() return 1 end }
  lu.assertEquals(select(2, plain:flush()), "no code")
  lu.assertNotNil(select(3, plain:flush()))
end)

T.test_P6_would_block_and_interrupted_are_never_handed_on_as_they_are = in_task(function()
  for _, name in ipairs { "EAGAIN", "EINTR" } do
    local w = aw.custom { poll_write = function() return nil, name .. ": not now", name end }
    local value, message = aw.timeout(5, w.write, w, "x")
    lu.assertNil(value)
    lu.assertEquals(message, name .. ": not now") -- an error, not a wait
  end
end)

T.test_W1_false_without_taking_the_waker_raises = in_task(function()
  for _, field in ipairs { "poll_write", "poll_flush", "poll_shutdown", "poll_read" } do
    local methods = { poll_write = function() return 1 end }
    methods[field] = function() return false end
    local s = aw.custom(methods)
    raises(function() return s[field](s, field == "poll_write" and "x" or nil) end, "custom: " .. field,
      "returned false without taking the waker")
  end
end)

T.test_results_of_the_wrong_kind_raise_and_name_the_function = in_task(function()
  local function writer(...)
    local results, n = { ... }, select("#", ...)
    return aw.custom {
      poll_write = function() return (table.unpack or unpack)(results, 1, n) end,
      poll_flush = function() return "yes" and 5 and {} and nil end,
    }
  end
  for _, bad in ipairs { {}, true, "3", -1, 2, 1.5, 0 / 0 } do
    raises(function() writer(bad):write("x") end, "custom: poll_write")
  end
  raises(function() writer():write("x") end, "custom: poll_write")
  raises(function() writer(1):flush() end, "custom: poll_flush")
  raises(function() aw.custom { poll_read = function() return 5 end }:read() end, "custom: poll_read")
  raises(function() aw.custom { poll_read = function(_, max) return ("x"):rep(max + 1) end }:read(3) end,
    "custom: poll_read returned 4 bytes of at most 3 (P1)")
end)

T.test_a_writer_that_parks_on_a_waker_it_took_is_woken_by_it = in_task(function()
  local parked
  local room = 0
  local w = aw.custom { poll_write = function(_, s)
    if room == 0 then
      parked = aw.current_waker()
      return false
    end
    local n = math.min(room, #s)
    room = room - n
    return n
  end }
  local writer = aw.spawn(function() return w:write_all("12345") end)
  for _ = 1, 5 do
    check.settle()
    lu.assertFalse(writer:is_done())
    room = 1
    parked:wake()
  end
  lu.assertTrue(writer:join())
end)

T.test_W5_spurious_wakes_only_poll_again = in_task(function()
  local polls, parked = 0, nil
  local w = aw.custom { poll_write = function()
    polls = polls + 1
    parked = aw.current_waker()
    return false
  end }
  local writer = aw.spawn(function() w:write("x") end)
  for _ = 1, 10 do
    check.settle()
    parked:wake()
    parked:wake() -- N wakes before a poll may coalesce (W6)
  end
  check.settle()
  lu.assertEquals(polls, 11)
  writer:cancel()
  parked:wake()
  check.settle()
  lu.assertEquals(polls, 11)
end)

function T.test_close_is_called_once_when_both_halves_are_gone_and_needs_no_result()
  lu.assertEquals(child.check [[
    local aw = require "asyncwrite"
    local function make()
      return aw.custom {
        poll_write = function(_, s) return #s end, poll_read = function() end, close = function() print "closed" end,
      }
    end
    local s = make()
    s:close()
    s:close()
    print "halves"
    local r, w = aw.split(make())
    r:close()
    print "one"
    w:close()
    print "collected"
    make()
    collectgarbage()
    collectgarbage()
    print "wrapped"
    aw.buf_writer(make()):close()
  ]], "closed\nhalves\none\nclosed\ncollected\nclosed\nwrapped\nclosed\n")
end

function T.test_an_error_in_close_is_told_and_harms_nothing()
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.custom { poll_write = print, close = function() error("cannot close") end }:close()
    print "goes on"
  ]]
  lu.assertEquals(result.out, "goes on\n")
  lu.assertStrContains(result.err, "cannot close")
end

T.test_name_is_shown_in_the_chain = in_task(function()
  lu.assertEquals(tostring(aw.custom { poll_write = print, name = "printer" }), "printer")
  local w = aw.buf_writer(aw.custom { poll_write = print }, 3)
  lu.assertEquals(tostring(w), "buf_writer(3) > custom")
end)

T.test_custom_in_custom_hands_errors_pendings_and_bytes_through = in_task(function()
  local near, far = aw.duplex(2)
  local inner = aw.custom {
    poll_write = function(_, s) return near:poll_write(s) end,
    poll_flush = function() return near:poll_flush() end,
    poll_shutdown = function() return near:poll_shutdown() end,
  }
  local outer = aw.custom {
    poll_write = function(_, s) return inner:poll_write(s) end,
    poll_flush = function() return inner:poll_flush() end,
    poll_shutdown = function() return inner:poll_shutdown() end,
  }
  local writer = aw.spawn(function() return outer:write_all("through two layers") and outer:shutdown() end)
  lu.assertEquals(far:read_to_end(), "through two layers")
  lu.assertTrue(writer:join())
  far:close()
  fails("EPIPE", outer:write("x"))
end)

-- ---- buffered ----
local function keeping(answer)
  local methods = { held = 0 }
  function methods:poll_write(s)
    self.held = self.held + #s
    return #s
  end
  function methods:poll_flush()
    self.held = 0
    return true
  end
  function methods:buffered() return answer and answer(self) or self.held end
  return methods
end

T.test_buffered_tells_what_a_writer_in_lua_holds_below_wrappers_too = in_task(function()
  local methods = keeping()
  local w = aw.inspect(aw.buf_writer(aw.custom(methods), 4), function() end)
  w:write_all("abcdef")
  w:write_all("xy")
  lu.assertEquals({ w:buffered(), methods.held }, { 8, 6 })
  methods.held = 5 -- by itself, between two polls
  local stats = w:stats()
  lu.assertEquals({ w:buffered(), stats.queued, stats.written }, { 7, 7, 1 })
  lu.assertTrue(w:flush())
  lu.assertEquals(w:buffered(), 0)
  w:close()
end)

T.test_a_tee_goes_by_the_latest_answer = in_task(function()
  local w = aw.tee({ aw.memory(), aw.custom(keeping()) }, { capacity = 16 })
  w:write_all("abc")
  lu.assertEquals(w:buffered(), 3)
  w:flush()
  lu.assertEquals(w:buffered(), 0)
  w:close()
end)

T.test_an_answer_that_is_no_count_is_raised_by_who_asked = in_task(function()
  for answer, text in pairs { [-1] = "-1", [0.5] = "0.5", [2 ^ 60] = "1", [1 / 0] = "inf", x = "string" } do
    local methods = keeping(function(self) return self.bad and answer end)
    local w = aw.custom(methods)
    methods.bad = true
    local expected = "custom: buffered returned " .. text
    lu.assertErrorMsgContains(expected, w.buffered, w)
    lu.assertErrorMsgContains(expected, w.stats, w)
    lu.assertErrorMsgContains(expected, w.poll_write, w, "x")
    lu.assertErrorMsgContains(expected, w.poll_flush, w)
    methods.bad = false
    lu.assertEquals({ w:poll_write("y"), w:buffered() }, { 1, 1 })
    w:close()
  end
  raises(function() aw.custom { poll_write = print, buffered = 3 } end, "field 'buffered': function expected, got number")
end)

T.test_buffered_may_close_its_own_stream_and_an_error_in_it_is_raised = in_task(function()
  local w
  w = aw.custom(keeping(function() w:close() return 3 end))
  lu.assertEquals(w:buffered(), 0)
  lu.assertTrue(w:is_closed())
  w = aw.custom(keeping(function() error("cannot count", 0) end))
  lu.assertErrorMsgContains("cannot count", w.buffered, w)
  lu.assertErrorMsgContains("cannot count", w.write, w, "x")
  w:close()
end)

T.test_bytes_that_a_dropped_writer_in_lua_told_of_are_warned_of = function()
  local result = child.run([[
    local aw = require "asyncwrite"
    local held, asked = 0, 0
    aw.run(function()
      local w = aw.custom {
        name = "mine",
        poll_write = function(_, s) held = held + #s return #s end,
        buffered = function() asked = asked + 1 return held end,
      }
      w:write_all("lost bytes")
    end)
    local before = asked
    collectgarbage() collectgarbage()
    print(asked - before)
  ]])
  lu.assertEquals(result.out, "0\n")
  lu.assertStrContains(result.err, "asyncwrite: 10 bytes lost: ")
end

return T
