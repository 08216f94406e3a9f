-- SPDX-License-Identifier: MIT
-- pipe: a pair, and descriptors of any kind that come from outside.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local T = { tearDown = child.reap }

-- What the children of these specs start with.
local PRELUDE = [[
  local aw = require "asyncwrite"
  local function flags(fd)
    for line in io.lines("/proc/self/fdinfo/" .. fd) do
      local octal = line:match("^flags:%s*(%d+)")
      if octal then return tonumber(octal, 8) end
    end
  end
  local function nonblocking(fd) return math.floor(flags(fd) / 2048) % 2 == 1 end
  local function fails(code, value, message, got)
    assert(value == nil and got == code, tostring(message))
  end
]]

-- Runs a script whose redirections come first, in a shell.
local function redirected(redirections, script)
  return child.check(PRELUDE .. script, { before = "exec " .. redirections .. ";" })
end

-- Runs a script inside a shell command, in which LUA stands for its call.
local function in_shell(command, script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(PRELUDE, script)
  file:close()
  local result = child.sh((command:gsub("LUA", function() return child.lua .. " " .. path end)))
  os.remove(path)
  return result
end

-- ---- pairs ----

T.test_a_pair_carries_bytes_one_way_and_shutdown_is_end_of_file = in_task(function()
  local r, w = assert(aw.pipe.pair())
  lu.assertFalse(r:is_writer())
  lu.assertFalse(w:is_reader())
  local data = check.pattern(500000)
  local _, got = aw.all(function() return w:write_all(data) and w:shutdown() end,
    function() return r:read_to_end() end)
  check.same_bytes(got, data)
  lu.assertTrue(w:shutdown())
  fails("EPIPE", w:write("x"))
  lu.assertFalse(w:is_closed())
  r:close()
end)

T.test_close_of_the_writer_is_end_of_file_for_the_reader_that_waits = in_task(function()
  local r, w = assert(aw.pipe.pair())
  local reader = aw.spawn(function() return r:read() end)
  check.settle()
  w:close()
  lu.assertNil((reader:join()))
end)

T.test_a_full_pipe_waits_and_a_vanished_reader_wakes_it_with_EPIPE = in_task(function()
  local r, w = assert(aw.pipe.pair())
  local writer = aw.spawn(function() return w:write_all(("x"):rep(1024 * 1024)) end)
  check.settle()
  lu.assertFalse(writer:is_done())
  r:close()
  lu.assertEquals(fails("EPIPE", writer:join()), 65536)
  fails("EPIPE", w:write("x"))
  fails("EPIPE", w:flush())
end)

function T.test_a_closed_reader_does_not_kill_the_process_nor_leave_a_signal_behind()
  child.check([[
    local aw = require "asyncwrite"
    local function signals()
      local text = {}
      for line in io.lines("/proc/self/status") do
        if line:match("^SigBlk") or line:match("^S%a*Pnd") then text[#text + 1] = line end
      end
      return table.concat(text)
    end
    local before = signals()
    aw.run(function()
      local r, w = assert(aw.pipe.pair())
      r:close()
      for _ = 1, 3 do
        local ok, _, code = w:write_all("x")
        assert(ok == nil and code == "EPIPE")
      end
      local near, far = assert(aw.unix.pair())
      far:close()
      local ok, _, code = near:write_all("x")
      assert(ok == nil and code == "EPIPE")
    end)
    assert(signals() == before, signals())
  ]])
end

-- ---- open ----

function T.test_open_writes_to_a_pipe_and_the_callers_descriptor_stays_usable_and_blocking()
  local result = in_shell("LUA | cat", [[
    aw.run(function()
      local w = assert(aw.pipe.open(1))
      assert(not w:is_reader())
      assert(w:fd() ~= 1)
      assert(w:write_all(("x"):rep(300000)))
      assert(not nonblocking(1), "O_NONBLOCK must not leak into the caller's descriptor")
      assert(w:shutdown())
    end)
    assert(not nonblocking(1))
    io.stdout:write("and the caller's own still works\n")
  ]])
  lu.assertEquals(result.err, "")
  check.same_bytes(result.out, ("x"):rep(300000) .. "and the caller's own still works\n")
end

function T.test_open_reads_from_a_pipe_until_its_end()
  local result = in_shell("{ head -c 100000 /dev/zero; sleep 0.05; head -c 50000 /dev/zero; } | LUA", [[
    aw.run(function()
      local r = assert(aw.pipe.open(0))
      assert(not r:is_writer())
      print(#assert(r:read_to_end()))
      r:close()
    end)
    assert(not nonblocking(0))
  ]])
  lu.assertEquals(result.out, "150000\n", result.err)
end

function T.test_a_reader_that_goes_away_is_EPIPE_and_not_the_end_of_the_process()
  local result = in_shell("{ LUA; echo ended with $? >&2; } | head -c 10", [[
    aw.run(function()
      local w = assert(aw.pipe.open(1))
      local ok, _, code, accepted = w:write_all(("x"):rep(10000000))
      io.stderr:write(tostring(ok), " ", code, " ", accepted >= 10 and "some" or "none", "\n")
    end)
  ]])
  lu.assertEquals(result.out, "xxxxxxxxxx")
  lu.assertEquals(result.err, "nil EPIPE some\nended with 0\n")
end

function T.test_open_of_a_regular_file_or_a_directory_is_EPERM()
  redirected("7</etc/passwd 8</tmp", [[
    aw.run(function()
      fails("EPERM", aw.pipe.open(7))
      fails("EPERM", aw.pipe.open(8))
      fails("EBADF", aw.pipe.open(99))
    end)
    assert(#io.open("/proc/self/fd/7"):read("*a") > 0)
  ]])
end

function T.test_open_of_dev_full_gives_ENOSPC_and_dev_null_takes_everything()
  redirected("7>/dev/full 8>/dev/null", [[
    aw.run(function()
      local w = assert(aw.pipe.open(7))
      local ok, message, code, accepted = w:write_all("x")
      assert(ok == nil and code == "ENOSPC" and accepted == 0, message)
      local b = aw.buf_writer(assert(aw.pipe.open(7)), 4)
      fails("ENOSPC", b:write_all("123456"))
      b:close()
      w:close()
      local null = assert(aw.pipe.open(8))
      assert(null:write_all(("x"):rep(1000000)))
      assert(null:shutdown())
    end)
  ]])
end

-- A socket cannot be opened a second time: its flags are shared, and put back.
T.test_open_of_a_socket_works_both_ways_and_puts_its_flags_back = in_task(function()
  child.need("bash")
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  local peer = child.start(PRELUDE .. [[
    assert(not nonblocking(7))
    aw.run(function()
      local s = assert(aw.pipe.open(7))
      assert(s:is_reader() and s:is_writer() and s:fd() ~= 7)
      assert(s:write_all("through the dup"))
      assert(s:read_exact(4) == "back")
      s:close()
      print(nonblocking(7))
      left_open = assert(aw.pipe.open(7))
      assert(left_open:write_all("again"))
    end)
  ]], ("bash -c 'exec 7<>/dev/tcp/127.0.0.1/%d; LUA; grep ^flags /proc/self/fdinfo/7'"):format(port))
  local stream = listener:accept()
  lu.assertEquals(stream:read_exact(15), "through the dup")
  stream:write_all("back")
  lu.assertEquals(stream:read_to_end(), "again", "close of the dup did not shut the caller's own down")
  lu.assertEquals(peer:line(), "false", "O_NONBLOCK was left set after close")
  local octal = peer:wait():match("flags:%s*(%d+)")
  lu.assertEquals(math.floor(tonumber(octal, 8) / 2048) % 2, 0, "O_NONBLOCK was left set after the end")
  stream:close()
  listener:close()
end)

function T.test_a_fifo_opened_for_both_works_both_ways()
  local path = os.tmpname()
  os.remove(path)
  local result = in_shell(("mkfifo %s; exec 7<>%s; rm %s; LUA"):format(path, path, path), [[
    aw.run(function()
      local both = assert(aw.pipe.open(7))
      assert(both:is_reader() and both:is_writer())
      both:write_all("round")
      print(both:read_exact(5))
    end)
  ]])
  lu.assertEquals(result.out, "round\n", result.err)
end

function T.test_a_terminal_keeps_its_flags_and_gets_what_is_written()
  child.need("script")
  local result = in_shell("script -qec 'LUA' /dev/null", [[
    local before = flags(1)
    aw.run(function()
      local w = assert(aw.pipe.open(1))
      assert(w:write_all("to the terminal\n"))
      assert(flags(1) == before, "changed while open")
      w:close()
    end)
    assert(flags(1) == before and flags(0) == before, "changed after close")
    print(before == flags(1))
  ]])
  lu.assertEquals(result.code, 0, result.out)
  lu.assertEquals((result.out:gsub("\r", "")), "to the terminal\ntrue\n")
end

function T.test_a_script_that_exits_with_a_terminal_open_leaves_its_flags_as_they_were()
  child.need("script")
  local result = in_shell("script -qec 'LUA; grep flags /proc/self/fdinfo/1' /dev/null", [[
    aw.run(function() assert(aw.pipe.open(1)):write_all("x\n") end)
    os.exit(0)
  ]])
  local octal = result.out:match("flags:%s*(%d+)")
  lu.assertNotNil(octal, result.out)
  lu.assertEquals(math.floor(tonumber(octal, 8) / 2048) % 2, 0, "O_NONBLOCK was left set")
end

return T
