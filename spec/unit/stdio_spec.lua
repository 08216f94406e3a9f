-- SPDX-License-Identifier: MIT
-- stdin, stdout, stderr: whatever they are, and terminals above all, whose flags are everybody's.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local T = { tearDown = child.reap }

-- What the children of these specs start with.
local PRELUDE = [[
  local aw = require "asyncwrite"
  local function nonblocking(fd)
    for line in io.lines("/proc/self/fdinfo/" .. fd) do
      local octal = line:match("^flags:%s*(%d+)")
      if octal then return math.floor(tonumber(octal, 8) / 2048) % 2 == 1 end
    end
  end
]]

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

local function expect(result, out, err)
  lu.assertEquals(result.err, err or "")
  check.same_bytes(result.out, out)
  lu.assertEquals(result.code, 0)
end

-- ---- pipes, files, devices, sockets, nothing ----

local CAT = [[aw.run(function()
  local r, w = assert(aw.stdin()), assert(aw.stdout())
  lines = 0
  while true do
    local s = r:read()
    if not s then break end
    assert(w:write_all(s))
  end
  assert(w:shutdown())
  assert(aw.stderr():write_all(r:kind(), " ", w:kind(), "\n"))
  assert(not nonblocking(0) and not nonblocking(1) and not nonblocking(2))
end)
io.write("still open\n")]]

function T.test_pipes()
  expect(in_shell("head -c 300000 /dev/zero | LUA | cat", CAT), ("\0"):rep(300000) .. "still open\n", "stdin stdout\n")
end

function T.test_files_with_their_positions()
  local path = os.tmpname()
  expect(in_shell(("{ echo one; echo two; } >%s; { read x; LUA; echo after; } <%s; rm %s"):format(path, path, path), CAT),
    "two\nstill open\nafter\n", "file file\n")
  expect(in_shell(("echo before >%s; { echo first; LUA; echo last; } </dev/null >>%s; cat %s; rm %s"):format(path, path,
    path, path), CAT), "before\nfirst\nstill open\nlast\n", "stdin file\n")
end

function T.test_devices_and_folders()
  expect(in_shell("LUA </dev/null >/dev/null", CAT), "", "stdin stdout\n")
  local result = in_shell("LUA >/dev/full", [[aw.run(function()
    local ok, _, code = aw.stdout():write_all("x")
    assert(ok == nil and code == "ENOSPC", code)
  end)]])
  expect(result, "")
  expect(in_shell("LUA </tmp", [[aw.run(function() print(select(3, aw.stdin():read())) end)]]), "EISDIR\n")
end

-- As in Rust: who prints to a closed stream does not fail. What is handed to others is as good as closed.
function T.test_streams_that_are_closed_at_the_start_are_empty()
  expect(in_shell("LUA <&- >&- 2>&-; echo $?", [[
    aw.run(function()
      assert(aw.stdin():read() == nil)
      assert(aw.stdout():write_all("x") and aw.stderr():write_all("y"))
    end)
  ]]), "0\n")
end

function T.test_streams_that_are_closed_later_are_EBADF()
  child.check(child.posix_text() .. PRELUDE .. [[
    aw.run(aw.sleep, 0.001) -- the loop is there
    posix.close(1)
    local s, message, code = aw.stdout()
    assert(s == nil and code == "EBADF", message)
    posix.dup2(2, 1)
  ]])
end

T.test_sockets = check.in_task(function()
  local near, far = assert(aw.unix.pair())
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(PRELUDE, [[aw.run(function()
    local r, w = assert(aw.stdin()), assert(aw.stdout())
    assert(not nonblocking(0) and not nonblocking(1))
    assert(r:read_exact(4) == "ping")
    assert(w:write_all("pong") and w:shutdown())
    assert(aw.stdout():write_all(" and more")) -- shutdown left the socket alone
  end)]])
  file:close()
  local c = assert(aw.process.spawn { "sh", "-c", "exec " .. child.lua .. " " .. path, stdin = far, stdout = far })
  far:close()
  assert(near:write_all("ping"))
  lu.assertEquals(near:read_to_end(), "pong and more")
  lu.assertEquals(c:wait(), 0)
  near:close()
  os.remove(path)
end)

function T.test_a_reader_that_goes_away_is_EPIPE()
  local result = in_shell("{ LUA; echo $? >&2; } | head -c 10", [[aw.run(function()
    local ok, _, code, accepted = aw.stdout():write_all(("x"):rep(10000000))
    io.stderr:write(tostring(ok), " ", code, " ", accepted >= 10 and "some" or "none", "\n")
  end)]])
  lu.assertEquals(result.out, "xxxxxxxxxx")
  lu.assertEquals(result.err, "nil EPIPE some\n0\n")
end

function T.test_each_call_gives_a_stream_of_its_own()
  expect(in_shell("LUA", [[aw.run(function()
    local a, b = aw.stdout(), aw.stdout()
    assert(a ~= b and a:fd() ~= b:fd() and a:fd() ~= 1)
    assert(a:write_all("a") and a:shutdown())
    a:close()
    assert(b:write_all("b\n") and b:shutdown())
    b:close()
    print("c")
  end)]]), "ab\nc\n")
end

-- ---- terminals ----

local function slave_nonblocking(fd)
  for line in io.lines("/proc/self/fdinfo/" .. fd) do
    local octal = line:match("^flags:%s*(%d+)")
    if octal then return math.floor(tonumber(octal, 8) / 2048) % 2 == 1 end
  end
end

-- A script at a pseudo terminal: f(terminal, child, slave) in a task; terminal is what a user would sit at.
local function at_terminal(script, f)
  return check.in_task(function()
    local posix, path = child.posix(), os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(child.posix_text(), PRELUDE, script)
    file:close()
    local master, slave = posix.openpty()
    if not master then child.skip("there are no pseudo terminals") end
    local terminal = assert(aw.pipe.open(master))
    local c = assert(aw.process.spawn { "sh", "-c", "exec " .. child.lua .. " " .. path, stdin = slave, stdout = slave,
      stderr = slave, kill_on_drop = true })
    local ok, err = pcall(f, terminal, c, slave)
    if ok then lu.assertFalse(slave_nonblocking(slave), "O_NONBLOCK was left set") end
    c:close()
    terminal:close()
    posix.close(slave)
    posix.close(master)
    os.remove(path)
    if not ok then error(err, 0) end
  end)
end

T.test_at_a_terminal_lines_go_out_by_themselves_and_stderr_at_once = at_terminal([[aw.run(function()
  local r, w, e = aw.stdin(), aw.stdout(), aw.stderr()
  assert(w:kind() == "line_writer" and e:kind() == "stderr" and r:kind() == "stdin")
  assert(not nonblocking(0) and not nonblocking(1) and not nonblocking(2))
  w:write_all("a line\nand a")
  assert(r:read_line() == "go on")
  e:write_all("error;")
  assert(r:read_line() == "flush")
  w:shutdown()
end)]], function(terminal, c)
  lu.assertEquals(terminal:read_exact(7), "a line\n")
  terminal:write_all("go on\n")
  lu.assertEquals(terminal:read_exact(6), "error;")
  terminal:write_all("flush\n")
  lu.assertEquals(terminal:read_exact(5), "and a")
  lu.assertEquals(c:wait(), 0)
end)

T.test_a_slow_terminal_holds_up_its_writer_only = at_terminal([[aw.run(function()
  local w, e = aw.stdout(), 0
  local writer = aw.spawn(function() return w:write_all(("0123456789abcde\n"):rep(20000)) and w:flush() end)
  for _ = 1, 1000 do aw.yield() end
  assert(not writer:is_done())
  aw.stdin():read_line() -- other things go on meanwhile
  assert(not writer:is_done())
  assert(writer:join())
end)]], function(terminal, c)
  terminal:write_all("type ahead\n")
  aw.sleep(0.05)
  lu.assertFalse(c:try_wait())
  check.same_bytes(terminal:read_exact(320000), ("0123456789abcde\n"):rep(20000))
  lu.assertEquals(c:wait(), 0)
end)

local HELD = [[
  aw.run(function()
    local r, w = aw.stdin(), aw.stdout()
    w:write_all("ready\n")
    reader = r
    aw.timeout(0.01, r.read, r)
]]
local function ends(status, script)
  return at_terminal(HELD .. script, function(terminal, c, slave)
    lu.assertEquals(terminal:read_line(), "ready")
    lu.assertFalse(slave_nonblocking(slave), "O_NONBLOCK was set meanwhile")
    lu.assertEquals(c:wait(), status)
  end)
end
T.test_the_terminal_is_as_it_was_after_an_end = ends(0, "end)")
T.test_the_terminal_is_as_it_was_after_os_exit = ends(3, "os.exit(3) end)")
T.test_the_terminal_is_as_it_was_after_an_error = ends(1, "error('stop') end)")
T.test_the_terminal_is_as_it_was_after_a_kill = ends(137, "posix.kill(io.open('/proc/self/stat'):read('*n'), 9) end)")
T.test_the_terminal_is_as_it_was_while_stopped = at_terminal(HELD .. [[
    posix.kill(io.open('/proc/self/stat'):read('*n'), 19)
    w:write_all("continued\n")
  end)]], function(terminal, c, slave)
  lu.assertEquals(terminal:read_line(), "ready")
  check.eventually(function() return io.open(("/proc/%d/stat"):format(c:pid())):read("*a"):find(") T", 1, true) end)
  lu.assertFalse(slave_nonblocking(slave), "O_NONBLOCK is set while it is stopped")
  c:kill("SIGCONT")
  lu.assertEquals(terminal:read_line(), "continued")
  lu.assertEquals(c:wait(), 0)
end)

-- After su the terminal is another user's: it cannot be opened again. Then the pool writes, and reads what has come.
local OTHER_USER = [[if posix.setuid(65534) ~= 0 then io.write("skip\n") os.exit(0) end
  aw.run(function()
    local r, w = assert(aw.stdin()), assert(aw.stdout())
    assert(tostring(w):find("file"), tostring(w))
]]
local function as_other_user(script, f)
  return at_terminal(OTHER_USER .. script, function(terminal, c, slave)
    local first = terminal:read_line()
    if first == "skip" then child.skip("only root can become another user") end
    lu.assertEquals(first, "ready")
    f(terminal, c, slave)
  end)
end

T.test_a_terminal_that_cannot_be_opened_again_works_and_keeps_its_flags = as_other_user([[
    w:write_all("ready\n")
    assert(r:read_line() == "typed")
    w:write_all(("0123456789abcde\n"):rep(5000))
    w:shutdown()
  end)]], function(terminal, c, slave)
  terminal:write_all("typed\n")
  aw.sleep(0.01)
  lu.assertFalse(slave_nonblocking(slave))
  check.same_bytes(terminal:read_exact(80000), ("0123456789abcde\n"):rep(5000))
  lu.assertEquals(c:wait(), 0)
end)

T.test_a_read_that_is_given_up_there_does_not_hold_up_the_end = as_other_user([[
    w:write_all("ready\n")
    local ok, _, code = aw.timeout(0.01, r.read, r)
    assert(ok == nil and code == "ETIMEDOUT")
  end)
  os.exit(5)]], function(_, c) lu.assertEquals(c:wait(), 5) end)

function T.test_bytes_that_a_line_writer_at_a_terminal_still_held_are_warned_of()
  child.need("script")
  local result = in_shell("script -qec 'LUA' /dev/null", [[aw.run(function() aw.stdout():write_all("no end of line") end)]])
  lu.assertStrContains(result.out, "14 bytes lost")
end

-- Opening the device of a master again would make another terminal.
T.test_the_master_of_a_pseudo_terminal_is_not_opened_again = check.in_task(function()
  local posix = child.posix()
  local master, slave = posix.openpty()
  if not master then child.skip("there are no pseudo terminals") end
  local m, s = assert(aw.pipe.open(master)), assert(aw.pipe.open(slave))
  assert(s:write_all("to the master"))
  lu.assertEquals(m:read_exact(13), "to the master")
  assert(m:write_all("to the slave"))
  lu.assertEquals(s:read_exact(12), "to the slave")
  m:close()
  s:close()
  posix.close(master)
  posix.close(slave)
end)

return T
