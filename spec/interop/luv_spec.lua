-- SPDX-License-Identifier: MIT
-- The library as a guest of luv's loop, in processes of their own: a process has one host.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local luv = require "support.luv"

local T = { tearDown = child.reap }

local need_luv, luv_check, luv_run = luv.need, luv.check, luv.run

-- ---- The suite ----

-- Names of spec files as spec/run.lua takes them.
local function conformance()
  local list = assert(io.popen("ls spec/conformance"))
  local names = {}
  for name in list:lines() do
    if name:find("_spec%.lua$") and not name:find("^kit_") and not name:find("^stacks_") then names[#names + 1] = name end
  end
  list:close()
  return table.concat(names, " ")
end

function T.test_the_conformance_and_task_specs_pass()
  need_luv()
  local result = child.sh(("%s -e 'require [[asyncwrite.host.luv]]' spec/run.lua %s task_spec task_wait sync_spec " ..
    "context_spec stuck_spec pipe_spec file_spec process_spec signal_spec"):format(child.lua, conformance()), 240)
  local passed = tonumber(result.out:match("(%d+) passed, 0 failed[^\n]*\n$"))
  if result.code ~= 0 or not passed then
    lu.fail((result.out:match("\n%-%-%-+\n1%) .*") or result.out:sub(-3000)) .. result.err:sub(-1000))
  end
  lu.assertTrue(passed > 200, result.out:match("[^\n]*\n$"))
end

-- ---- The loop ----

function T.test_nothing_is_made_before_the_first_task_and_run_loop_returns_after_the_last()
  luv_check [[
    assert(handles() == 0)
    local ran
    aw.spawn(function()
      aw.sleep(0.01)
      ran = true
    end)
    assert(handles() > 0)
    uv.run()
    assert(ran)
    assert(select(2, handles()) == 0, "the handles rest")
    assert(not uv.loop_alive())
    luv.close()
    uv.run()
    assert(handles() == 0)
    aw.run(function() aw.sleep(0.001) end)
  ]]
end

function T.test_timers_of_luv_and_tasks_interleave()
  luv_check [[
    local log = {}
    aw.spawn(function()
      for i = 1, 3 do
        aw.sleep(0.04)
        log[#log + 1] = "task"
      end
    end)
    for i = 0, 2 do after(20 + 40 * i, function() log[#log + 1] = "luv" end) end
    uv.run()
    assert(table.concat(log, " ") == "luv task luv task luv task", table.concat(log, " "))
  ]]
end

function T.test_run_turns_luvs_loop_and_returns_with_its_tasks_not_with_luvs_handles()
  luv_check [[
    local ticks, timer = 0, uv.new_timer()
    timer:start(5, 5, function() ticks = ticks + 1 end)
    local a, b = aw.run(function()
      aw.sleep(0.1)
      return "a", "b"
    end)
    assert(a == "a" and b == "b" and ticks > 2, ticks)
    raises("boom", aw.run, function() error "boom" end)
    timer:close()
    uv.run()
  ]]
end

function T.test_run_inside_a_callback_raises()
  luv_check [[
    local called
    after(1, function()
      raises("run: already running, inside a callback of luv; use spawn", aw.run, print)
      called = true
    end)
    uv.run()
    assert(called)
    aw.run(function() raises("use spawn", aw.run, print) end)
  ]]
end

function T.test_a_busy_task_leaves_luv_its_turns()
  luv_check [[
    local ticks, timer = 0, uv.new_timer()
    timer:start(1, 1, function() ticks = ticks + 1 end)
    aw.run(function()
      local sink, stop = aw.sink(), aw.now() + 0.1
      while aw.now() < stop do sink:write_all("x") end
      stop = aw.now() + 0.1
      while aw.now() < stop do aw.yield() end
    end)
    timer:close()
    uv.run() -- luv 1.44 crashes at exit when its last close has not been run
    assert(ticks > 20, ticks)
  ]]
end

function T.test_a_sleep_is_neither_short_nor_long_and_takes_no_processor_time()
  luv_check [[
    local before = os.clock()
    aw.run(function()
      for _, seconds in ipairs { 0.0005, 0.002, 0.02, 0.3 } do
        local start = aw.now()
        aw.sleep(seconds)
        local took = aw.now() - start
        assert(took >= seconds and took < seconds + 0.05, ("%g took %g"):format(seconds, took))
      end
      -- After work that luv's own clock has not noticed.
      local start = aw.now()
      while aw.now() < start + 0.03 do end
      start = aw.now()
      aw.sleep(0.01)
      assert(aw.now() - start >= 0.01 and aw.now() - start < 0.06)
    end)
    assert(os.clock() - before < 0.2, os.clock() - before)
  ]]
end

function T.test_walking_and_even_closing_all_handles_is_safe()
  luv_check [[
    local stop = aw.now() + 0.05
    after(10, function()
      uv.walk(function(handle) assert(tostring(handle)) end)
      uv.walk(function(handle) if not handle:is_closing() then handle:close() end end)
    end)
    aw.run(function() aw.sleep(0.05) end)
    assert(aw.now() >= stop)
    aw.spawn(function() aw.sleep(0.01) end)
    uv.run()
  ]]
end

function T.test_the_process_ends_cleanly_with_tasks_that_wait()
  luv_check [[
    aw.spawn(function() aw.sleep(1000) end)
    uv.run("nowait")
  ]]
end

-- ---- Wakes from callbacks ----

function T.test_what_a_callback_does_reaches_tasks_that_wait()
  luv_check [[
    local near, far = aw.duplex(64)
    local channel, notify, log = aw.channel(1), aw.notify(), {}
    local waker
    local function note(what) log[#log + 1] = what end
    aw.spawn(function() note(channel:recv()) end)
    aw.spawn(function()
      notify:notified()
      note "notified"
    end)
    aw.spawn(function() note(far:read()) end)
    local parked = aw.spawn(function()
      aw.park("test")
      note "woken"
    end)
    aw.spawn(function() waker = aw.waker(function() note "waker" end) end)
    after(10, function() channel:try_send("sent") end)
    after(20, function() notify:notify_one() end)
    after(30, function() near:try_write("written") end)
    after(40, function()
      aw.spawn(function()
        note "spawned"
        parked.handle:wake()
      end)
    end)
    after(50, function() waker:wake() end)
    uv.run()
    local all = table.concat(log, " ")
    assert(all == "sent notified written spawned woken waker", all)
  ]]
end

function T.test_a_wake_by_the_last_callback_of_a_loop_is_not_lost()
  luv_check [[
    local got
    local r, w = uv.new_pipe(), uv.new_pipe()
    local fds = uv.pipe()
    r:open(fds.read)
    w:open(fds.write)
    local channel = aw.channel(1)
    aw.spawn(function() got = channel:recv() end)
    w:write("x", function() w:close() end)
    r:read_start(function(_, data)
      if data then return end
      channel:try_send("last")
      r:close()
    end)
    uv.run()
    assert(got == "last")
  ]]
end

-- ---- Errors and stuck tasks ----

function T.test_the_error_of_a_task_that_nobody_joins_is_reported_and_the_loop_goes_on()
  local result = luv_run [[
    local fine
    aw.spawn("culprit", function() error "lost the thread" end)
    after(20, function() fine = true end)
    uv.run()
    assert(fine)
    assert(aw.run(function() return "later" end) == "later")
    print "alive"
  ]]
  lu.assertEquals(result.code, 0, result.err)
  lu.assertStrContains(result.err, "asyncwrite: task 'culprit' failed: " .. result.file)
  lu.assertStrContains(result.err, "lost the thread")
  lu.assertEquals(result.out, "alive\n")
end

function T.test_tasks_that_nothing_can_wake_are_named_instead_of_a_hang()
  local result = luv_run [[
    raises("1 task(s) wait and nothing can wake them:\n  task 'main' waits in recv on channel(1)", aw.run,
      function() aw.channel(1):recv() end)
    local channel = aw.channel(1)
    aw.spawn("idler", function() print(channel:recv()) end)
    uv.run()
    uv.run()
    after(10, function() channel:try_send("at last") end)
    uv.run()
  ]]
  lu.assertEquals(result.code, 0, result.err)
  lu.assertEquals(result.out, "at last\n")
  local _, count = result.err:gsub("asyncwrite: 1 task%(s%) wait and nothing can wake them:\n  task 'idler' waits in recv", "")
  lu.assertEquals(count, 1, result.err)
end

function T.test_stuck_tells_on_demand_what_only_the_caller_could_wake()
  luv_check [[
    assert(aw.stuck() == nil)
    local channel, near = aw.channel(1), aw.duplex(1)
    aw.spawn("idler", function() channel:recv() end)
    assert(aw.stuck() == nil, "it has not run yet")
    local others, sleeping = nil, nil
    local timer = uv.new_timer()
    timer:start(1, 1, function()
      others = aw.stuck()
      if not others then return end -- the idler has not run yet
      timer:close()
      aw.spawn("sleeper", function()
        aw.sleep(0.02)
        aw.spawn("asks", function() sleeping = aw.stuck() end):join()
        channel:try_send(1)
      end)
      after(10, function() assert(aw.stuck() == nil) end)
    end)
    uv.run()
    assert(others:find("^1 task%(s%) wait .*'idler' waits in recv on channel%(1%)"), others)
    assert(sleeping:find("^2 task%(s%) wait .*'idler'.*'sleeper' waits in join"), sleeping)
    assert(aw.stuck() == nil)
  ]]
end

-- Both watch signals and children through the one libuv of this process.
function T.test_children_and_signals_of_luv_and_of_ours_do_not_disturb_each_other()
  luv_check [[
    local theirs, heard = {}, 0
    local function start(code)
      local handle
      handle = uv.spawn("sh", { args = { "-c", "exit " .. code } }, function(status)
        theirs[#theirs + 1] = status
        handle:close()
      end)
    end
    local function eventually(f)
      for _ = 1, 5000 do
        if f() then return end
        aw.sleep(0.001)
      end
      error("it did not come to be")
    end
    start(3)
    aw.run(function()
      start(4)
      local ours = assert(aw.process.spawn { "sh", "-c", "exit 5" })
      local signal, listener = assert(aw.signal("SIGUSR1")), uv.new_signal()
      listener:start("sigusr1", function() heard = heard + 1 end)
      uv.kill(uv.os_getpid(), "sigusr1")
      assert(signal:recv())
      signal:close()
      eventually(function() return heard == 1 end)
      uv.kill(uv.os_getpid(), "sigusr1") -- luv's goes on
      eventually(function() return heard == 2 end)
      listener:close()
      start(6)
      assert(ours:wait() == 5)
    end)
    uv.run()
    table.sort(theirs)
    assert(table.concat(theirs, " ") == "3 4 6", table.concat(theirs, " "))
  ]]
end

function T.test_another_host_cannot_be_chosen_once_tasks_have_run()
  need_luv()
  child.check [[
    local aw = require "asyncwrite"
    aw.run(function() end)
    local ok, err = pcall(require, "asyncwrite.host.luv")
    assert(not ok and err:find("the host is 'standalone' already", 1, true), err)
  ]]
end

-- ---- The example ----

function T.test_the_echo_example_serves_and_ends_by_SIGINT()
  need_luv()
  local server = child.start("dofile 'spec/examples/luv_echo.lua'")
  local port = server:line():match("^listening on 127.0.0.1:(%d+)$")
  local data = check.pattern(2000000)
  check.run(function()
    local conn = assert(aw.tcp.connect("127.0.0.1", port))
    local _, back = aw.all(function() return conn:write_all(data) and conn:shutdown() end,
      function() return conn:read_to_end() end)
    conn:close()
    check.same_bytes(back, data)
  end)
  server:kill("INT")
  lu.assertEquals(server:wait(), "done\n")
end

return T
