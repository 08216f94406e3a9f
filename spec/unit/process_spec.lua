-- SPDX-License-Identifier: MIT
-- process: what a child is given, its pipes, its end, and what is left of it.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task, spawn = check.fails, check.in_task, aw.process.spawn
local T = { tearDown = child.reap }

-- Runs a child to its end: its output, then the results of wait.
local function output(options)
  options.stdout = options.stdout or "pipe"
  local c = assert(spawn(options))
  local out = assert(c.stdout:read_to_end())
  c.stdout:close()
  return out, c:wait()
end

local function sh(command) return { "sh", "-c", command, stdin = "null" } end

local function alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  local state = file and file:read("*a"):match("%) (%a)")
  if file then file:close() end
  return state ~= nil and state ~= "Z"
end

local function exists(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if file then file:close() end
  return file ~= nil
end

-- ---- what it is given ----

T.test_arguments_go_to_the_program_as_they_are = in_task(function()
  local args = { "printf", "%s|", "two words", "$HOME", "*", "a;b", "'\"\\", "", "\n", 12 }
  lu.assertEquals(output(args), "two words|$HOME|*|a;b|'\"\\||\n|12|")
end)

T.test_the_environment_is_inherited_changed_or_cleared = in_task(function()
  local inherited = output { "env" }
  lu.assertStrContains(inherited, "PATH=")
  local changed = output { "env", env = { AW_NEW = "a=b", AW_NUMBER = 5, HOME = "/elsewhere", PATH = os.getenv("PATH") } }
  lu.assertStrContains(changed, "AW_NEW=a=b\n")
  lu.assertStrContains(changed, "AW_NUMBER=5\n")
  lu.assertStrContains(changed, "HOME=/elsewhere\n")
  local _, homes = changed:gsub("\nHOME=", "")
  lu.assertTrue(homes <= 1)
  lu.assertNotStrContains(output { "env", env = { HOME = false } }, "\nHOME=")
  lu.assertEquals(output { "/usr/bin/env", env_clear = true, env = { ONLY = "this" } }, "ONLY=this\n")
end)

T.test_it_runs_in_cwd = in_task(function()
  lu.assertEquals(output { "pwd", cwd = "/usr" }, "/usr\n")
end)

T.test_what_cannot_be_run_is_a_result = in_task(function()
  fails("ENOENT", spawn { "no such program anywhere" })
  fails("ENOENT", spawn { "/nonexistent/program" })
  fails("ENOENT", spawn { "true", cwd = "/nonexistent" })
  fails("EACCES", spawn { "/etc/passwd" })
  fails("EACCES", spawn { "/" })
  fails("EBADF", spawn { "true", stdin = 999 })
  fails("ENOENT", spawn { "nothing", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
end)

T.test_misuse_is_named = check.misuses {
  function() spawn("ls") end, "bad argument #1 'options' to 'spawn' (table expected, got string)",
  function() spawn {} end, "bad argument #1 'options' to 'spawn' (the program to run is missing)",
  function() spawn { "" } end, "bad argument #1 'options' to 'spawn' (the program to run is missing)",
  function() spawn { "ls", {} } end, "bad argument #1 'options' to 'spawn' (argument 1: string expected, got table)",
  function() spawn { "ls", "a\0b" } end, "bad argument #1 'options' to 'spawn' (argument 1: it holds a zero byte)",
  function() spawn { "ls", [3] = "x" } end, "bad argument #1 'options' to 'spawn' (unknown option '3')",
  function() spawn { "ls", cmd = "x" } end, "bad argument #1 'options' to 'spawn' (unknown option 'cmd')",
  function() spawn { "ls", cwd = 1 } end, "bad argument #1 'options' to 'spawn' (cwd: string expected, got number)",
  function() spawn { "ls", env = "A=b" } end, "bad argument #1 'options' to 'spawn' (env: table expected, got string)",
  function() spawn { "ls", env = { ["A=b"] = "c" } } end, "bad argument #1 'options' to 'spawn' (env: 'A=b' cannot be a name)",
  function() spawn { "ls", env = { A = {} } } end, "bad argument #1 'options' to 'spawn' (env.A: string expected, got table)",
  function() spawn { "ls", stdin = "pip" } end,
  "bad argument #1 'options' to 'spawn' (stdin: 'pipe', 'inherit', 'null', a descriptor or a stream expected, got pip)",
  function() spawn { "ls", stdin = aw.sink() } end, "bad argument #1 'options.stdin' to 'spawn' (a sink here is not a reader)",
  function() spawn { "ls", stdout = aw.memory() } end,
  "bad argument #1 'options.stdout' to 'spawn' (there is no descriptor at the end of its chain)",
}

-- ---- its streams ----

T["test_S10_shutdown_of_its_stdin_is_its_end_of_file"] = in_task(function()
  local c = assert(spawn { "cat", stdin = "pipe", stdout = "pipe" })
  lu.assertFalse(c.stdin:is_reader())
  lu.assertFalse(c.stdout:is_writer())
  assert(c.stdin:write_all("hello"))
  lu.assertEquals(c.stdout:read_exact(5), "hello")
  lu.assertFalse(c:try_wait())
  assert(c.stdin:shutdown())
  lu.assertEquals(c.stdout:read_to_end(), "")
  lu.assertEquals(c:wait(), 0)
end)

T.test_much_goes_through_a_child_both_ways = in_task(function()
  local c = assert(spawn { "tr", "a-z", "A-Z", stdin = "pipe", stdout = "pipe" })
  local data = ("lower case text;"):rep(100000)
  local _, got = aw.all(function() return c.stdin:write_all(data) and c.stdin:shutdown() end,
    function() return c.stdout:read_to_end() end)
  check.same_bytes(got, data:upper())
  lu.assertEquals(c:wait(), 0)
  c:close()
end)

T.test_stderr_is_a_stream_of_its_own = in_task(function()
  local c = assert(spawn { "sh", "-c", "echo out; echo err >&2; exit 3", stdin = "null", stdout = "pipe", stderr = "pipe" })
  lu.assertEquals(c.stdout:read_to_end(), "out\n")
  lu.assertEquals(c.stderr:read_to_end(), "err\n")
  lu.assertEquals(c:wait(), 3)
end)

T.test_null_descriptors_files_and_other_streams_can_be_given = in_task(function()
  lu.assertEquals(output { "cat", stdin = "null" }, "")
  local path = os.tmpname()
  local f = assert(aw.file.open(path, "w+"))
  os.remove(path)
  assert(f:write_all("one\n") and f:flush())
  lu.assertEquals(assert(spawn { "echo", "two", stdin = "null", stdout = f }):wait(), 0)
  lu.assertEquals(assert(spawn { "echo", "three", stdin = "null", stdout = f:fd() }):wait(), 0)
  assert(f:seek("set"))
  lu.assertEquals(output { "cat", stdin = f }, "one\ntwo\nthree\n")
  f:close()
  local near, far = assert(aw.unix.pair())
  local c = assert(spawn { "cat", stdin = far, stdout = far })
  far:close()
  assert(near:write_all("by a socket") and near:shutdown())
  lu.assertEquals(near:read_to_end(), "by a socket")
  lu.assertEquals(c:wait(), 0)
  near:close()
end)

T.test_two_children_make_a_pipeline = in_task(function()
  local first = assert(spawn { "sh", "-c", "seq 1 100000", stdin = "null", stdout = "pipe" })
  local last = assert(spawn { "tail", "-n", 1, stdin = first.stdout, stdout = "pipe" })
  first.stdout:close()
  lu.assertEquals(last.stdout:read_to_end(), "100000\n")
  lu.assertEquals(first:wait(), 0)
  lu.assertEquals(last:wait(), 0)
end)

T.test_a_pipe_that_was_handed_on_still_does_not_block_us = in_task(function()
  local r, w = assert(aw.pipe.pair())
  local c = assert(spawn { "true", stdin = "null", stdout = w })
  lu.assertEquals(c:wait(), 0)
  local writer = aw.spawn(function() return w:write_all(("x"):rep(200000)) end)
  check.settle()
  lu.assertFalse(writer:is_done())
  lu.assertEquals(#assert(r:read_exact(200000)), 200000)
  lu.assertTrue(writer:join())
  r:close()
  w:close()
end)

T.test_a_writer_that_holds_bytes_back_cannot_be_given = in_task(function()
  local r, w = assert(aw.pipe.pair())
  w = aw.buf_writer(w)
  w:write_all("held")
  check.raises(function() spawn { "true", stdout = w } end, "bad argument #1 'options.stdout' to 'spawn'", "flush it first")
  w:flush()
  w:close()
  r:close()
end)

T.test_the_child_starts_without_our_blocked_signals_and_with_blocking_streams = in_task(function()
  local status = output { "cat", "/proc/self/status", stdin = "null" }
  lu.assertEquals(status:match("SigBlk:%s*(%x+)"), ("0"):rep(16))
  local flags = output(sh("cat /proc/self/fdinfo/1"))
  lu.assertEquals(math.floor(tonumber(flags:match("flags:%s*(%d+)"), 8) / 2048) % 2, 0)
end)

T.test_no_other_descriptor_of_ours_is_open_in_the_child = in_task(function()
  local near, far = assert(aw.unix.pair())
  local c = assert(spawn { "sleep", "60", stdin = "pipe", stdout = "pipe", stderr = "pipe", kill_on_drop = true })
  for _, stream in ipairs { near, far, c.stdin, c.stdout, c.stderr } do
    lu.assertNil((io.open(("/proc/%d/fdinfo/%d"):format(c:pid(), stream:fd()))))
  end
  c:close()
  near:close()
  far:close()
end)

-- ---- its end ----

T.test_wait_tells_the_status_or_the_signal_and_may_be_repeated = in_task(function()
  for _, status in ipairs { 0, 1, 127, 255 } do
    local c = assert(spawn(sh("exit " .. status)))
    for _ = 1, 3 do lu.assertEquals({ c:wait() }, { status }) end
    lu.assertEquals({ c:try_wait() }, { status })
  end
  for name, number in pairs { SIGTERM = 15, SIGKILL = 9, SIGHUP = 1, SIGUSR1 = 10 } do
    local c = assert(spawn { "sleep", "60" })
    lu.assertFalse(c:try_wait())
    lu.assertTrue(c:kill(number == 15 and nil or number == 9 and 9 or name))
    lu.assertEquals({ c:wait() }, { 128 + number, name })
    lu.assertEquals({ c:try_wait() }, { 128 + number, name })
    fails("ESRCH", c:kill())
  end
  local c = assert(spawn { "sleep", "60", kill_on_drop = true })
  check.raises(function() c:kill("TERM") end, "bad argument #1 'signal' to 'kill' (unknown signal 'TERM')")
  check.raises(function() c:kill({}) end, "bad argument #1 'signal' to 'kill' (string or number expected, got table)")
  lu.assertTrue(c:kill(0))
  c:close()
end)

T.test_a_child_that_is_killed_while_a_task_writes_to_it_gives_EPIPE_and_the_count = in_task(function()
  local c = assert(spawn { "sleep", "60", stdin = "pipe" })
  local writer = aw.spawn(function() return c.stdin:write_all(("x"):rep(1000000)) end)
  check.settle()
  lu.assertFalse(writer:is_done())
  c:kill("SIGKILL")
  lu.assertEquals(fails("EPIPE", writer:join()), 65536)
  lu.assertEquals({ c:wait() }, { 137, "SIGKILL" })
  fails("EPIPE", c.stdin:write("x"))
end)

T.test_a_child_that_ends_by_itself_while_a_task_writes_to_it = in_task(function()
  local c = assert(spawn { "head", "-c", "100000", stdin = "pipe", stdout = "null" })
  local accepted = fails("EPIPE", c.stdin:write_all(("x"):rep(10000000)))
  lu.assertTrue(accepted >= 100000 and accepted < 10000000)
  lu.assertEquals(c:wait(), 0)
end)

T.test_wait_can_be_cancelled_cut_and_done_again = in_task(function()
  local c = assert(spawn { "cat", stdin = "pipe", stdout = "null" })
  local waiter = aw.spawn(function() return c:wait() end)
  aw.yield()
  check.raises(function() c:wait() end, "wait: EBUSY: another task is waiting on it")
  waiter:cancel()
  fails("ETIMEDOUT", aw.timeout(0.005, c.wait, c))
  local n = aw.first(function() return c:wait() end, function() aw.sleep(0.005) end)
  lu.assertEquals(n, 2)
  c.stdin:close()
  lu.assertEquals(c:wait(), 0)
end)

T.test_many_children_at_once = in_task(function()
  local tasks = {}
  for i = 1, 40 do
    tasks[i] = aw.spawn(function() return (assert(spawn(sh("sleep 0.0" .. i % 10 .. "; exit " .. i))):wait()) end)
  end
  for i, task in ipairs(tasks) do lu.assertEquals(task:join(), i) end
end)

-- libuv before 1.45 runs due timers and then sleeps: the task that one of them woke would not run until the next event.
T.test_a_timer_that_is_due_before_the_loop_sleeps_is_not_slept_through = in_task(function()
  local c = assert(spawn { "sleep", "5", kill_on_drop = true })
  for _ = 1, 20 do
    local before = aw.now()
    local sleeper = aw.spawn(aw.sleep, 0.002)
    aw.yield()
    while aw.now() - before < 0.004 do end -- now it is due
    sleeper:join()
    lu.assertTrue(aw.now() - before < 1)
  end
  c:close()
end)

function T.test_a_task_that_waits_for_a_child_is_not_stuck_and_run_does_not_wait_for_children()
  local c
  aw.run(function() c = assert(spawn { "sleep", "0.05" }) end)
  lu.assertFalse(c:try_wait())
  aw.run(function() lu.assertEquals(c:wait(), 0) end)
  check.raises(function() c:wait() end, "wait: not in the context of a task")
  local pid, stuck
  aw.run(function()
    c = assert(spawn { "sleep", "60", kill_on_drop = true })
    pid = c:pid()
    lu.assertEquals(tostring(c), ("process %d (sleep)"):format(pid))
  end)
  stuck = check.raises(function() aw.run(function() aw.notify():notified() end) end, "nothing can wake them")
  lu.assertStrContains(stuck, "waits in notified")
  c:close()
end

-- ---- what is left of it ----

T.test_a_child_that_nobody_waits_for_is_reaped = in_task(function()
  local pids = {}
  for i = 1, 10 do pids[i] = assert(spawn { "true" }):pid() end
  collectgarbage()
  collectgarbage()
  check.eventually(function()
    for _, pid in ipairs(pids) do
      if exists(pid) then return false end
    end
    return true
  end)
end)

T.test_a_dropped_child_runs_on_unless_kill_on_drop = in_task(function()
  local runs_on = assert(spawn { "sleep", "60" }):pid()
  local dies = assert(spawn { "sleep", "60", kill_on_drop = true }):pid()
  collectgarbage()
  collectgarbage()
  check.eventually(function() return not exists(dies) end)
  lu.assertTrue(alive(runs_on))
  child.posix().kill(runs_on, 9)
  check.eventually(function() return not exists(runs_on) end)
end)

T.test_close_drops_it_and_its_streams = in_task(function()
  local c = assert(spawn { "cat", stdin = "pipe", stdout = "pipe", kill_on_drop = true })
  local pid, stdin = c:pid(), c.stdin
  c:close()
  lu.assertTrue(stdin:is_closed())
  check.eventually(function() return not exists(pid) end)
  c:close()
  check.raises(function() c:wait() end, "the process was dropped")
end)

T.test_200_children_leave_no_descriptor_no_memory_and_no_zombie_behind = in_task(function()
  local function round()
    local c = assert(spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert(c.stdin:write_all("abc") and c.stdin:shutdown())
    lu.assertEquals(c.stdout:read_to_end(), "abc")
    lu.assertEquals(c:wait(), 0)
    c:close()
    fails("ENOENT", spawn { "/nonexistent", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
  end
  for _ = 1, 20 do round() end
  collectgarbage()
  local fds, memory = check.fd_count(), check.resident()
  for _ = 1, 200 do round() end
  collectgarbage()
  collectgarbage()
  aw.sleep(0.001)
  lu.assertEquals(check.fd_count(), fds)
  if not child.sanitized then lu.assertTrue(check.resident() - memory < 1024) end
end)

function T.test_the_end_of_the_program_waits_for_no_child_and_leaves_it_alone()
  local out = child.check [[
    local aw = require "asyncwrite"
    aw.run(function()
      kept = assert(aw.process.spawn { "sleep", "30", stdin = "null", stdout = "null", stderr = "null" })
      local c = assert(aw.process.spawn { "true", stdin = "null" })
      print(kept:pid())
    end)]]
  local pid = tonumber(out)
  lu.assertTrue(alive(pid))
  child.posix().kill(pid, 9)
end

function T.test_kill_on_drop_holds_at_the_end_of_the_program()
  local pid = tonumber(child.check [[
    local aw = require "asyncwrite"
    aw.run(function()
      kept = assert(aw.process.spawn { "sleep", "30", stdin = "null", stdout = "null", stderr = "null", kill_on_drop = true })
      print(kept:pid())
    end)]])
  check.run(function() check.eventually(function() return not alive(pid) end) end)
end

function T.test_a_fork_of_the_parent_cannot_reach_the_child()
  child.check(child.posix_text() .. [[
    local aw = require "asyncwrite"
    aw.run(function()
      local c = assert(aw.process.spawn { "sleep", "30", stdin = "null", kill_on_drop = true })
      local pid = posix.fork()
      if pid == 0 then
        local ok, _, code = c:kill()
        c:close()
        posix.exit(ok == nil and code == "EPERM" and 0 or 1)
      end
      assert(posix.wait(pid) == 0)
      assert(c:try_wait() == false)
      c:kill("SIGINT")
      local status, signal = c:wait()
      assert(status == 130 and signal == "SIGINT")
    end)]])
end

T.test_a_detached_child_leads_a_session_of_its_own = in_task(function()
  local function session(options)
    local c = assert(spawn(options))
    local file = assert(io.open(("/proc/%d/stat"):format(c:pid())))
    local id = tonumber(file:read("*a"):match("%) %a %d+ %d+ (%d+)"))
    file:close()
    local pid = c:pid()
    c:close()
    return id == pid
  end
  lu.assertTrue(session { "sleep", "60", detached = true, kill_on_drop = true })
  lu.assertFalse(session { "sleep", "60", kill_on_drop = true })
end)

T.test_kill_group_reaches_what_a_detached_child_has_started = in_task(function()
  local function start(detached)
    local c = assert(spawn { "sh", "-c", "sleep 60 & echo $!; wait", stdout = "pipe", detached = detached })
    return c, tonumber((assert(c.stdout:read_line())))
  end
  local c = start(true)
  lu.assertTrue(c:kill_group())
  lu.assertNil(c.stdout:read()) -- the last that had it open has ended
  lu.assertEquals({ c:wait() }, { 143, "SIGTERM" })
  fails("ESRCH", c:kill_group())
  local alone, other = start(false)
  check.raises(function() alone:kill_group() end, "kill_group: it has no group of its own: spawn it detached")
  lu.assertTrue(alone:kill())
  alone:wait()
  child.posix().kill(other, 9) -- which kill did not reach
  lu.assertNil(alone.stdout:read())
end)

return T
