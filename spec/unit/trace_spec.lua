-- SPDX-License-Identifier: MIT
-- trace: a ring of a stream's polls and of the wakes of those who wait on it.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"

local in_task = check.in_task
local T = {}

-- "poll_write 2", "wake", "poll_read pending" ...
local function shown(stream)
  local list = {}
  for i, e in ipairs((stream:trace_events())) do
    list[i] = e.op .. (e.seconds and " " .. tostring(e.result == false and "pending" or e.result) or "")
  end
  return list
end

T.test_polls_their_results_and_wakes_are_recorded_in_order = in_task(function()
  local near, far = aw.duplex(2)
  near:trace()
  aw.spawn(function()
    far:read()
    far:read()
    far:close()
  end)
  near:write_all("abc")
  near:flush()
  near:write("")
  aw.yield()
  check.fails("EPIPE", near:write_all("rest"))
  near:shutdown()
  lu.assertEquals(shown(near), { "write_all 2", "write_all pending", "wake", "write_all 1", "poll_flush 0",
    "poll_write 0", "write_all EPIPE", "poll_shutdown 0" })
end)

T.test_reads_are_recorded_on_the_stream_that_was_asked = in_task(function()
  local near, far = aw.duplex(8)
  far:trace()
  aw.spawn(function()
    near:write_all("ab\n")
    near:shutdown()
  end)
  far:read_line()
  far:read()
  lu.assertEquals(shown(far), { "poll_read_until pending", "wake", "poll_read_until 3", "poll_read 0" })
  lu.assertNil(near:trace_events())
end)

function T.test_times_are_of_the_clock_of_the_tasks()
  testing.run(function()
    local near, far = aw.duplex(1)
    near:write("x")
    near:trace()
    aw.spawn(function()
      aw.sleep(2)
      far:read()
    end)
    near:write("y")
    local times = {}
    for i, e in ipairs((near:trace_events())) do times[i] = e.time end
    lu.assertEquals(times, { 0, 2, 2 })
  end)
end

T.test_the_ring_keeps_the_last_and_counts_the_rest = in_task(function()
  local w = aw.sink()
  w:trace(3)
  for i = 1, 5 do w:write_all(("x"):rep(i)) end
  local events, dropped = w:trace_events()
  lu.assertEquals({ #events, dropped }, { 3, 2 })
  lu.assertEquals(shown(w), { "write_all 3", "write_all 4", "write_all 5" })
  w:trace(3)
  lu.assertEquals({ w:trace_events() }, { {}, 0 })
  w:trace(false)
  w:write("x")
  lu.assertNil(w:trace_events())
end)

T.test_a_closed_stream_still_shows_its_trace_and_the_wake_by_close = in_task(function()
  local near = aw.duplex(1)
  near:trace()
  local reader = aw.spawn(function() return select(3, near:read()) end)
  aw.yield()
  near:close()
  lu.assertEquals(reader:join(), "ECANCELED")
  lu.assertEquals(shown(near), { "poll_read pending", "wake" })
end)

-- The task outlives the trace: its wake is nobody's then.
T.test_a_trace_that_ends_while_a_task_waits_harms_nobody = in_task(function()
  local near, far = aw.duplex(1)
  near:trace(1)
  local reader = aw.spawn(function() return near:read() end)
  aw.yield()
  near:trace(false)
  far:write("x")
  lu.assertEquals(reader:join(), "x")
end)

T.test_a_poll_inside_which_the_trace_begins_or_ends_is_not_in_it = in_task(function()
  local w
  w = aw.custom { poll_write = function(_, s)
    if s == "on" then w:trace() end
    if s == "off" then w:trace(false) end
    return #s
  end }
  w:write("on")
  w:write("one")
  lu.assertEquals(shown(w), { "poll_write 3" })
  w:write("off")
  lu.assertNil(w:trace_events())
end)

T.test_text_has_a_line_for_each_event = in_task(function()
  local w = aw.sink()
  w:trace(2)
  for _ = 1, 3 do w:write("abc") end
  local lines = {}
  for line in aw.trace.text(w):gmatch("[^\n]+") do lines[#lines + 1] = (line:gsub("%d+%.%d+", "T")) end
  lu.assertEquals(lines, { "sink", "(1 older events are gone)", "    T  T  poll_write -> 3", "    T  T  poll_write -> 3" })
end)

T.test_chrome_is_json_with_a_row_for_each_stream = in_task(function()
  local near, far = aw.duplex(1)
  near:trace()
  far:trace()
  aw.spawn(function() far:read() end)
  aw.yield()
  near:write("x")
  near:poll_write("y")
  aw.yield()
  local json = aw.trace.chrome(near, far):gsub("%d+%.%d+", "0")
  lu.assertEquals(json, table.concat({
    '{"traceEvents":[{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"duplex(1)"}}',
    '{"name":"poll_write","ph":"X","dur":0,"pid":1,"tid":1,"ts":0,"args":{"result":"1"}}',
    '{"name":"poll_write","ph":"X","dur":0,"pid":1,"tid":1,"ts":0,"args":{"result":"pending"}}',
    '{"name":"wake","ph":"i","s":"t","pid":1,"tid":1,"ts":0}',
    '{"name":"thread_name","ph":"M","pid":1,"tid":2,"args":{"name":"duplex(1)"}}',
    '{"name":"poll_read","ph":"X","dur":0,"pid":1,"tid":2,"ts":0,"args":{"result":"pending"}}',
    '{"name":"wake","ph":"i","s":"t","pid":1,"tid":2,"ts":0}',
    '{"name":"poll_read","ph":"X","dur":0,"pid":1,"tid":2,"ts":0,"args":{"result":"1"}}]}',
  }, ",\n") .. "\n")
end)

T.test_misuse_is_named = check.misuses {
  function() aw.sink():trace(0) end, "bad argument #1 'events' to 'trace' (integer from 1 to 1048576 expected, got 0)",
  function() aw.sink():trace("x") end, "bad argument #1 'events' to 'trace' (number expected, got string)",
  function() aw.sink():trace(true) end, "bad argument #1 'events' to 'trace' (number expected, got boolean)",
  function() aw.trace.text(1) end, "bad argument #1 'stream' to 'text' (writer or reader expected, got number)",
  function() aw.trace.chrome(aw.sink()) end, "bad argument #1 'stream' to 'chrome' (it is not traced; call its trace())",
}

return T
