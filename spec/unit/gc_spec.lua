-- SPDX-License-Identifier: MIT
-- What the collector and lua_close find: lost bytes are told of, everything is freed, and who waits is kept.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local in_task, settle = check.in_task, check.settle
local T = { tearDown = child.reap }

local function collect()
  for _ = 1, 4 do collectgarbage() end -- finalizers free more, which LuaJIT finds only later
end

-- ---- lost bytes ----

local function warnings(script)
  local result = child.run([[
    local aw = require "asyncwrite"
    local function collect() collectgarbage() collectgarbage() end
  ]] .. script)
  lu.assertEquals(result.code, 0, result.err)
  return (result.err:gsub(result.file:gsub("%p", "%%%0"), "FILE"))
end

function T.test_S11_bytes_lost_by_the_collector_are_told_with_chain_and_the_place_of_making()
  lu.assertEquals(warnings [[aw.run(function()
      local near, far = aw.duplex(10)
      local w = aw.buf_writer(near, 64)
      w:write_all("never flushed")
      w = nil
      collect()
      assert(far:read() == nil) -- the peer sees the end
    end)]], "asyncwrite: 13 bytes lost: buf_writer(64) > duplex(10), made at FILE:5, was dropped without flush or shutdown\n")
end

function T.test_S11_bytes_lost_at_the_end_of_the_script_are_told_too()
  lu.assertEquals(warnings [[w = aw.buf_writer(aw.memory(), 64)
    aw.run(function() w:write_all("never flushed") end)
  ]], "asyncwrite: 13 bytes lost: buf_writer(64) > memory, made at FILE:3, was dropped without flush or shutdown\n")
end

function T.test_nothing_is_told_after_flush_shutdown_close_or_into_parts()
  lu.assertEquals(warnings [[aw.run(function()
      local function full()
        local w = aw.buf_writer(aw.memory(), 64)
        w:write_all("bytes")
        return w
      end
      assert(full():flush())
      assert(full():shutdown())
      full():close()
      local inner, held = full():into_parts()
      assert(held == "bytes")
      inner:write_all(held)
      inner, held = nil, nil
      collect()
    end)]], "")
end

function T.test_two_layers_that_hold_bytes_are_one_warning()
  lu.assertEquals(warnings [[aw.run(function()
      local w = aw.buf_writer(aw.buf_writer(aw.memory(), 8), 8)
      w:write_all("12345")
      w:write_all("67890")
      w = nil
      collect()
    end)]], "asyncwrite: 10 bytes lost: buf_writer(8) > buf_writer(8) > memory, made at FILE:4, "
    .. "was dropped without flush or shutdown\n")
end

-- ---- who is kept and who goes ----

T.test_an_idle_writer_nobody_holds_is_collected_and_its_peer_sees_the_end = in_task(function()
  local far
  do
    local near
    near, far = aw.duplex(8)
    near:write_all("bye")
  end
  collect()
  lu.assertEquals(far:read(), "bye")
  lu.assertNil((far:read()))
end)

T.test_a_task_that_waits_is_kept_although_nobody_holds_it = in_task(function()
  local got = {}
  local far
  do
    local near
    near, far = aw.unix.pair()
    aw.spawn(function() got[#got + 1] = near:read() end)
    local notify = aw.notify()
    aw.spawn(function()
      notify:notified()
      got[#got + 1] = "notified"
    end)
    aw.spawn(function()
      aw.sleep(0.005)
      notify:notify_one()
    end)
  end
  settle()
  collect()
  far:write_all("woken")
  check.eventually(function() return #got == 2 end)
  far:close()
end)

T.test_a_function_of_a_waker_is_kept_while_it_is_parked_and_freed_then = in_task(function()
  local near, far = aw.duplex(4)
  local log, alive = {}, setmetatable({}, { __mode = "k" })
  do
    local f = function() log[#log + 1] = "woken" end
    alive[f] = true
    aw.with_waker(aw.waker(f), near.poll_read, near)
  end
  collect()
  far:write_all("x")
  lu.assertEquals(log, { "woken" })
  collect()
  lu.assertNil(next(alive))
end)

T.test_ended_tasks_and_their_values_are_freed = in_task(function()
  local alive = setmetatable({}, { __mode = "k" })
  for _ = 1, 100 do
    local value = {}
    alive[value] = true
    aw.spawn(function(v)
      aw.yield()
      return v
    end, value)
  end
  settle()
  collect()
  lu.assertNil(next(alive))
end)

T.test_cancelled_and_timed_out_waits_leave_nothing_behind = in_task(function()
  local near, far = aw.duplex(1)
  near:write_all("x")
  local function round()
    aw.timeout(0, function() near:write("y") end)
    local task = aw.spawn(function() near:write("y") end)
    aw.yield()
    task:cancel()
  end
  for _ = 1, 1000 do round() end
  collect()
  local before = collectgarbage("count")
  for _ = 1, 2000 do round() end
  collect()
  -- Weak tables keep the size they grew to; 2,000 tasks left behind would be megabytes.
  lu.assertTrue(collectgarbage("count") - before < 512, "the heap grew")
  far:close()
end)

-- Waiting with a time limit, round after round, for what does not come: a usual loop of a server.
local WAITS = {
  join = function()
    local task = aw.spawn(function() aw.sleep(1000) end)
    return function() task:join() end, function() task:cancel() end
  end,
  notified = function()
    local notify = aw.notify()
    return function() notify:notified() end
  end,
  lock = function()
    local mutex = aw.mutex()
    mutex:lock()
    return function() mutex:lock() end
  end,
  recv = function()
    local channel = aw.channel(1)
    return function() channel:recv() end
  end,
  send = function()
    local channel = aw.channel(1)
    channel:send(1)
    return function() channel:send(2) end
  end,
  read = function()
    local near, far = aw.unix.pair()
    return function() near:read() end, function() far:close() end
  end,
  accept = function()
    local listener = aw.tcp.listen("127.0.0.1", 0)
    return function() listener:accept() end, function() listener:close() end
  end,
}

for name, make in pairs(WAITS) do
  T["test_a_" .. name .. "_that_times_out_again_and_again_leaves_nothing_behind"] = in_task(function()
    local wait, finish = make()
    local function rounds(n)
      for _ = 1, n do
        check.fails("ETIMEDOUT", aw.timeout(0, wait))
        aw.yield()
      end
      collect()
      return collectgarbage("count")
    end
    local before = rounds(1000)
    local grown = rounds(4000) - before
    if finish then finish() end
    lu.assertTrue(grown < 512, ("the heap grew by %.0f KiB in 4,000 rounds"):format(grown))
  end)
end

-- A custom writer often knows its own box: such a cycle must not live for ever.
T.test_a_custom_writer_whose_functions_hold_its_own_box_is_collected = in_task(function()
  local closed = 0
  for _ = 1, 10 do
    local w
    w = aw.custom {
      poll_write = function(_, s) return w and #s end,
      close = function()
        closed = closed + 1
        return true
      end,
    }
    w:write_all("x")
    local outer
    outer = aw.buf_writer(aw.custom {
      poll_write = function(_, s) return outer and #s end,
      close = function()
        closed = closed + 1
        return true
      end,
    })
    outer:write_all("x")
    outer:flush()
  end
  collect()
  collect()
  lu.assertTrue(closed >= 18, closed .. " of 20 were closed") -- the stack may still hold the last ones
end)

T.test_a_writer_in_use_by_a_task_survives_the_collector_at_every_step = in_task(function()
  local r, w = aw.pipe.pair()
  local stop = false
  local collector = aw.spawn(function()
    while not stop do
      collectgarbage()
      aw.yield()
    end
  end)
  local sender = aw.spawn(function()
    local b = aw.buf_writer(aw.buf_writer(w, 7), 50)
    w = nil
    for i = 1, 100 do b:write_all(i, ",") end
    return b:shutdown()
  end)
  local text = r:read_to_end()
  stop = true
  collector:join()
  lu.assertTrue(sender:join())
  lu.assertStrContains(text, "1,2,3,4,")
  lu.assertEquals(#text, 292)
end)

-- ---- lua_close ----

-- Everything there is, left in the middle of what it does.
local LEFT = [[
  local aw = require "asyncwrite"
  left = {}
  local function keep(...)
    for i = 1, select("#", ...) do left[#left + 1] = (select(i, ...)) end
    return ...
  end
  local path = os.tmpname()
  os.remove(path)
  local function leave()
    local near, far = keep(aw.duplex(1))
    keep(aw.simplex(8))
    keep(aw.memory(), aw.cursor("abc"), aw.sink())
    local u_near, u_far = keep(assert(aw.unix.pair()))
    local r, w = keep(assert(aw.pipe.pair()))
    local listener = keep(assert(aw.tcp.listen("127.0.0.1", 0)))
    local _, port = listener:local_addr()
    local stream = keep(assert(aw.tcp.connect("127.0.0.1", port)))
    local buffered = keep(aw.buf_writer(keep(aw.custom {
      poll_write = function() return false, aw.current_waker() end,
      close = function() return true end,
    }), 64))
    keep(aw.split(keep(aw.duplex(4))))
    stream:set_deadline(100)
    near:set_deadline(100)
    aw.spawn(function() near:write_all("stuck here") end)
    aw.spawn(function() far:read_exact(100) end)
    aw.spawn(function() u_near:read() end)
    aw.spawn(function() u_far:write_all(("x"):rep(10000000)) end)
    aw.spawn(function() r:read_line() end)
    aw.spawn(function() aw.copy(stream, w) end)
    aw.spawn(function() listener:accept() listener:accept() end)
    aw.spawn(function() keep(assert(aw.unix.listen(path))):serve(print) end)
    aw.spawn(function() aw.sleep(100) end)
    aw.spawn(aw.timeout, 100, function() aw.all(function() aw.sleep(50) end, function() aw.notify():notified() end) end)
    aw.spawn(function() aw.tcp.connect("localhost", port) end)
    local mutex, channel = keep(aw.mutex(), aw.channel(1))
    mutex:lock()
    aw.spawn(function() mutex:lock() end)
    aw.spawn(function() channel:recv() end)
    keep(aw.waker(print), aw.current_waker())
    pcall(aw.with_waker, aw.waker(print), u_far.poll_read, u_far)
    buffered:try_write("x")
    buffered:into_parts()
    aw.spawn(function() end):cancel()
    for _ = 1, 5 do aw.yield() end
    aw.sleep(0.002)
  end
]]

local ENDS = {
  os_exit_inside_the_run = "aw.run(function() leave() os.exit(0, true) end)",
  the_end_of_the_script_after_an_error = "pcall(aw.run, function() leave() error('enough') end)",
  os_exit_after_an_error = "pcall(aw.run, function() leave() error('enough') end) os.exit(0, true)",
  tasks_that_were_never_run = "aw.spawn(leave) aw.spawn(print) left[1] = aw.waker(print) left[1]:wake()",
  a_collection_first = [[pcall(aw.run, function() leave() error('enough') end)
    left = nil collectgarbage() collectgarbage()]],
}

for name, ending in pairs(ENDS) do
  T["test_lua_close_frees_everything_at_" .. name] = function()
    local wrap
    if not child.sanitized then
      child.need("valgrind")
      wrap = "valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite"
    end
    local result = child.run(LEFT .. ending, { wrap = wrap, seconds = 120 })
    lu.assertEquals(result.err, "")
    lu.assertEquals(result.code, 0)
  end
end

function T.test_lua_close_removes_the_file_of_a_listener_and_tells_the_peer()
  local path = os.tmpname()
  os.remove(path)
  child.check(([[
    local aw = require "asyncwrite"
    aw.run(function()
      left = assert(aw.unix.listen(%q))
      os.exit(0, true)
    end)
  ]]):format(path))
  lu.assertNil((io.open(path)))
end

-- Finalisers of other objects may still call into the library while the state closes.
function T.test_finalisers_that_use_the_library_during_lua_close_are_safe()
  local result = child.run [[
    local aw = require "asyncwrite"
    local function at_end(f)
      if _VERSION == "Lua 5.1" then getmetatable(newproxy(true)).__gc = f return end
      return setmetatable({}, { __gc = f })
    end
    local s, far
    aw.run(function() s, far = assert(aw.unix.pair()) aw.sleep(0.001) end)
    before = at_end(function()
      pcall(s.try_write, s, "x")
      pcall(s.close, s)
      pcall(aw.spawn, function() end)
      pcall(aw.run, function() aw.sleep(0.001) end)
      pcall(aw.unix.pair)
      pcall(aw.memory)
      pcall(tostring, far)
      pcall(far.try_read, far)
    end)
    after = { aw.duplex(1), aw.waker(print), aw.current_waker, aw.custom { poll_write = print } }
    os.exit(0, true)
  ]]
  lu.assertEquals(result.code, 0, result.err)
end

return T
