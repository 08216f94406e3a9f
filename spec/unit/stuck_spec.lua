-- SPDX-License-Identifier: MIT
-- Tasks that nothing can wake are named, with operation, chain and line, instead of hanging (DESIGN 13).

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local raises = check.raises
local T = {}

local function line() return debug.getinfo(2, "l").currentline end

function T.test_a_writer_nobody_reads_is_named_with_operation_chain_and_line()
  local near, far = aw.duplex(4)
  local w, at = aw.buf_writer(near, 16), nil
  local text = raises(function()
    aw.run(function()
      aw.spawn("producer", function()
        at = line() + 1
        w:write_all(("x"):rep(100))
      end)
    end)
  end, "run: 1 task(s) wait and nothing can wake them:")
  lu.assertStrContains(text,
    "task 'producer' waits in write_all on buf_writer(16) > duplex(4) at spec/unit/stuck_spec.lua:" .. at)
  w:close()
  far:close()
end

function T.test_all_stuck_tasks_are_named_also_the_main_one_and_a_joiner()
  local text = raises(function()
    aw.run(function()
      local near, far = aw.duplex(4)
      local mutex, notify, channel = aw.mutex(), aw.notify(), aw.channel(1)
      mutex:try_lock()
      aw.spawn("reader", function() far:read() end)
      aw.spawn("locker", function() mutex:lock() end)
      aw.spawn("listener", function() notify:notified() end)
      aw.spawn("receiver", function() channel:recv() end)
      local helper = aw.spawn("helper", function() near:read() end)
      helper:join()
    end)
  end, "6 task(s) wait")
  for _, expected in ipairs {
    "task 'reader' waits in read on duplex(4) at", "task 'locker' waits in lock on mutex at",
    "task 'listener' waits in notified on notify at", "task 'receiver' waits in recv on channel(1) at",
    "task 'helper' waits in read on duplex(4) at", "task 'main' waits in join on task 'helper'",
  } do
    lu.assertStrContains(text, expected)
  end
end

function T.test_every_suspending_operation_is_named_as_the_user_called_it()
  local operations = {
    write = function(w) w:write("y") end,
    write_vectored = function(w) w:write_vectored { "y" } end,
    write_buf = function(w) w:write_buf(aw.cursor("y")) end,
    write_all = function(w) w:write_all("y") end,
    write_all_vectored = function(w) w:write_all_vectored { "y" } end,
    write_all_buf = function(w) w:write_all_buf(aw.cursor("y")) end,
    writef = function(w) w:writef("y") end,
    write_u32_le = function(w) w:write_u32_le(1) end,
    read = function(w) w:read() end,
    read_exact = function(w) w:read_exact(2) end,
    read_until = function(w) w:read_until("\n") end,
    read_line = function(w) w:read_line() end,
    lines = function(w) w:lines()() end,
    read_to_end = function(w) w:read_to_end() end,
    fill_buf = function(w) w:fill_buf() end,
    read_f64 = function(w) w:read_f64() end,
    copy = function(w) aw.copy(w, aw.sink()) end,
    copy_bidirectional = function(w) aw.copy_bidirectional(w, (aw.duplex(1))) end,
  }
  local expected, got = {}, {}
  for name, operation in pairs(operations) do
    local near, far = aw.duplex(1)
    local text = raises(function()
      aw.run(function()
        near:write_all("x")
        operation(near)
      end)
    end, "task 'main' waits in ")
    far:close()
    expected[name] = name
    got[name] = text:match("waits in (%S+) on ")
  end
  lu.assertEquals(got, expected)
end

function T.test_a_flush_and_a_shutdown_that_are_stuck_are_named()
  for _, name in ipairs { "flush", "shutdown" } do
    local near, far = aw.duplex(1)
    local w = aw.buf_writer(near, 8)
    raises(function()
      aw.run(function()
        w:write_all("1234")
        w[name](w)
      end)
    end, ("task 'main' waits in %s on buf_writer(8) > duplex(1) at"):format(name))
    w:close()
    far:close()
  end
end

function T.test_tasks_inside_timeout_first_and_all_are_named_by_what_they_wait_for()
  raises(function()
    aw.run(function()
      local near = aw.duplex(1)
      local r = aw.duplex(1)
      aw.all(function() near:read() end, function() aw.first(function() r:read() end) end)
    end)
  end, "waits in all at", "waits in first at", "waits in read on duplex(1) at")
end

function T.test_the_line_is_of_the_caller_not_of_the_library()
  local text = raises(function()
    aw.run(function()
      local near = aw.duplex(1)
      near:read_line()
    end)
  end, "stuck_spec.lua:")
  lu.assertNil(text:find("lua/asyncwrite/io.lua", 1, true))
end

function T.test_a_park_without_a_reason_is_named_too()
  raises(function() aw.run(function() aw.park("my_operation") end) end, "task 'main' waits in my_operation at")
end

function T.test_stuck_tasks_are_dropped_and_a_later_run_works()
  local stuck
  raises(function()
    aw.run(function()
      local near = aw.duplex(1)
      stuck = aw.spawn(function() near:read() end)
    end)
  end, "nothing can wake")
  lu.assertTrue(stuck:is_done())
  lu.assertEquals(aw.run(function()
    aw.sleep(0.001)
    return "fine"
  end), "fine")
end

function T.test_what_a_timer_or_a_socket_can_wake_is_not_stuck()
  aw.run(function()
    local near, far = aw.unix.pair()
    local deadline, peer = aw.duplex(1)
    aw.spawn(function()
      aw.sleep(0.01)
      far:write_all("x")
    end)
    lu.assertEquals(near:read(), "x")
    deadline:set_deadline(0.01)
    check.fails("ETIMEDOUT", deadline:read())
    peer:close() -- until here it must not be collected
  end)
end

-- The wait of a dropped task must not count as one that the loop can end.
function T.test_tasks_are_stuck_also_when_a_dropped_task_left_a_socket_or_timer_behind()
  raises(function()
    aw.run(function()
      local socket = assert(aw.unix.pair())
      local near = aw.duplex(1)
      local reader = aw.spawn(function() socket:read() end)
      local sleeper = aw.spawn(function() aw.sleep(1000) end)
      aw.timeout(0.001, function() aw.sleep(1000) end)
      reader:cancel()
      sleeper:cancel()
      near:read()
    end)
  end, "1 task(s) wait and nothing can wake them", "waits in read on duplex(1)")
end

function T.test_a_long_chain_is_cut_not_overrun()
  local w, far = aw.duplex(1)
  for _ = 1, 40 do w = aw.buf_writer(w, 2) end
  raises(function()
    aw.run(function() w:write_all(("x"):rep(200)) end)
  end, "waits in write_all on buf_writer(2) > buf_writer(2)")
  w:close()
  far:close()
end

return T
