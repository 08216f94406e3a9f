-- SPDX-License-Identifier: MIT
-- The log shipper: as a function against scripts, as a program with its input from a pipe, and from a file that grows.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local child = require "support.child"

local T = {}

local function shipper()
  local loaded = assert(loadfile("spec/examples/log_shipper.lua"))
  return loaded("log_shipper")
end

function T.test_sends_a_batch_again_that_a_broken_connection_did_not_take()
  testing.run(function()
    local streams = {
      testing.mock { { "write", "one\ntwo\n" }, { "flush" }, { "write_error", "ECONNRESET" }, { "close" } },
      false, false,
      testing.mock { { "write", "three\n" }, { "flush" }, { "shutdown" }, { "eof" }, { "close" } },
    }
    local logs, opened = {}, 0
    local input = testing.mock { { "read", "one\ntwo\n" }, { "wait", 1 }, { "read", "three\n" }, { "eof" } }
    local shipped = shipper().ship(input, function()
      opened = opened + 1
      if streams[opened] then return streams[opened] end
      return nil, "ECONNREFUSED: connection refused", "ECONNREFUSED"
    end, function(text) logs[#logs + 1] = text end)
    lu.assertEquals(shipped, 3)
    lu.assertEquals(logs, { "ECONNRESET: connection reset by peer", "ECONNREFUSED: connection refused; again in 0.1 s",
      "ECONNREFUSED: connection refused; again in 0.2 s" })
    lu.assertAlmostEquals(aw.now(), 1.3, 0.01)
  end)
end

function T.test_tells_when_its_input_fails_and_what_it_had_shipped()
  testing.run(function()
    local input = testing.mock { { "read", "one\n" }, { "read_error", "EIO" } }
    local output = testing.mock { { "write", "one\n" }, { "flush" }, { "shutdown" }, { "close" } }
    local lines, message, part = shipper().ship(input, function() return output end, print)
    lu.assertEquals({ lines or false, message, part }, { false, "EIO: i/o error", 1 })
  end)
end

function T.test_never_pauses_longer_than_its_longest_pause()
  testing.run(function()
    local failures, logs = 11, {}
    local output = testing.mock { { "write", "one\n" }, { "flush" }, { "shutdown" }, { "close" } }
    local input = testing.mock { { "read", "one\n" }, { "eof" } }
    local shipped = shipper().ship(input, function()
      failures = failures - 1
      if failures < 0 then return output end
      return nil, "down"
    end, function(text) logs[#logs + 1] = text end)
    lu.assertEquals(shipped, 1)
    lu.assertEquals({ logs[9], logs[10], logs[11] }, { "down; again in 25.6 s", "down; again in 30 s", "down; again in 30 s" })
  end)
end

function T.test_pauses_longer_and_longer_for_a_server_that_accepts_and_takes_nothing()
  testing.run(function()
    local opened, logs = 0, {}
    local input = testing.mock { { "read", "one\n" }, { "wait", 1 }, { "read", "two\n" }, { "eof" } }
    local shipped = shipper().ship(input, function()
      opened = opened + 1
      if opened == 5 then return testing.mock { { "write", "one\n" }, { "flush" }, { "write_error", "EPIPE" }, { "close" } } end
      if opened == 7 then return testing.mock { { "write", "two\n" }, { "flush" }, { "shutdown" }, { "eof" }, { "close" } } end
      return testing.mock { { "write_error", "EPIPE" }, { "close" } }
    end, function(text) logs[#logs + 1] = text end)
    lu.assertEquals(shipped, 2)
    local message = "EPIPE: broken pipe"
    lu.assertEquals(logs, { message .. "; again in 0.1 s", message .. "; again in 0.2 s", message .. "; again in 0.4 s",
      message .. "; again in 0.8 s", message, message .. "; again in 0.1 s" })
    lu.assertAlmostEquals(aw.now(), 1.5 + 0.1, 0.01)
  end)
end

-- Lines, and how many they are.
local function many_lines(n) return ("a line of some length, so that it takes not too many of them\n"):rep(n), n end

function T.test_a_server_that_answers_every_line_is_no_deadlock()
  local text, count = many_lines(1000)
  testing.run(function()
    local near, far = aw.duplex(1000)
    aw.spawn(function()
      aw.copy(far, far)
      far:close()
    end)
    lu.assertEquals(shipper().ship(aw.cursor(text), function() return near end, print), count)
  end)
end

function T.test_what_a_server_has_said_does_not_make_the_end_a_reset()
  local text, count = many_lines(8000) -- more than the server's side of the kernel takes before it reads
  check.run(function()
    local ship, conn = shipper(), nil
    ship.GOODBYE = 0.01
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local function open()
      local mine = assert(aw.tcp.connect(server:local_addr()))
      conn = assert(server:accept())
      assert(conn:write_all("hello\n"))
      return mine
    end
    lu.assertEquals(ship.ship(aw.cursor(text), open, print), count)
    check.same_bytes(assert(conn:read_to_end()), text)
    conn:close()
    server:close()
  end)
end

function T.test_a_server_that_resets_the_connection_at_its_end_is_told()
  testing.run(function()
    local output = testing.mock { { "write", "one\n" }, { "flush" }, { "shutdown" }, { "read_error", "ECONNRESET" }, { "close" } }
    local lines, message, part = shipper().ship(aw.cursor("one\n"), function() return output end, print)
    lu.assertEquals({ lines or false, message, part }, { false, "ECONNRESET: connection reset by peer", 1 })
  end)
end

function T.test_ships_a_file_over_a_socket()
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = server:local_addr()
    local received = aw.spawn(function()
      local conn = assert(server:accept())
      local text = conn:read_to_end()
      conn:close()
      return text
    end)
    local ship = assert(aw.process.spawn { "sh", "-c", ("seq 1 20000 | %s spec/examples/log_shipper.lua 127.0.0.1 %d")
      :format(child.lua, port), stdout = "pipe" })
    local lines = {}
    for i = 1, 20000 do lines[i] = ("%d\n"):format(i) end
    check.same_bytes(received:join(), table.concat(lines))
    lu.assertEquals(ship.stdout:read_to_end(), "20000 lines\n")
    lu.assertEquals(ship:wait(), 0)
    server:close()
    ship:close()
  end)
end

-- ---- Files ----

local dir

function T.setUp()
  local pipe = assert(io.popen("mktemp -d"))
  dir = pipe:read("*l")
  pipe:close()
end

function T.tearDown() os.execute("rm -rf " .. child.quote(dir)) end

local function put(name, text, mode)
  local file = assert(io.open(dir .. "/" .. name, mode or "ab"))
  file:write(text)
  file:close()
end

-- f(expect) while dir/log is followed, in virtual time; expect(text): the next that is to come.
local function followed(f)
  testing.run(function()
    local r, w = aw.simplex(1000)
    local task = aw.spawn(function() return shipper().follow(dir .. "/log", w) end)
    f(function(text) lu.assertEquals(aw.timeout(60, r.read_exact, r, #text), text) end)
    task:cancel()
    check.fails("EAGAIN", r:try_read()) -- nothing else has come
  end)
end

function T.test_a_file_is_followed_from_its_start_as_it_grows()
  followed(function(expect)
    aw.sleep(3) -- there is none yet
    put("log", "one\ntw")
    expect "one\ntw"
    put("log", "o\n" .. ("x"):rep(5000))
    expect("o\n" .. ("x"):rep(5000))
  end)
end

function T.test_a_file_that_is_truncated_is_read_from_its_start()
  followed(function(expect)
    put("log", "something that is longer\n")
    expect "something that is longer\n"
    put("log", "than this\n", "wb")
    expect "than this\n"
    put("log", "and on\n")
    expect "and on\n"
  end)
end

function T.test_a_file_that_is_renamed_is_read_until_another_has_had_its_name_for_a_while()
  followed(function(expect)
    put("log", "one\n")
    expect "one\n"
    assert(os.rename(dir .. "/log", dir .. "/log.1"))
    put("log.1", "two\n")
    expect "two\n"
    aw.sleep(10)
    put("log.1", "three\n")
    put("log", "four\n")
    expect "three\nfour\n"
    assert(os.rename(dir .. "/log", dir .. "/log.2"))
    put("log", "six\n")
    put("log.2", "five\n")
    expect "five\nsix\n"
  end)
end

function T.test_what_cannot_be_read_ends_it_with_why()
  testing.run(function()
    local _, w = aw.simplex(10)
    os.execute("mkfifo " .. dir .. "/fifo") -- to open it would be to wait for its writer
    for name, kind in pairs { [dir] = "directory", [dir .. "/fifo"] = "fifo", ["/dev/null"] = "char" } do
      lu.assertEquals(shipper().follow(name, w), ("%s: it is no file but a %s"):format(name, kind))
    end
    lu.assertStrContains(shipper().follow("/dev/null/x", w), "ENOTDIR")
  end)
end

-- Runs the program on dir/log; f(server, ship) is its server. Its exit status, stdout and stderr.
local function program(f)
  return check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local ship = assert(aw.process.spawn { "sh", "-c", "exec " .. child.lua .. ' spec/examples/log_shipper.lua "$@"', "sh",
      "127.0.0.1", (select(2, server:local_addr())), dir .. "/log", stdout = "pipe", stderr = "pipe", kill_on_drop = true })
    f(server, ship)
    local out, errors = ship.stdout:read_to_end(), ship.stderr:read_to_end()
    local status = ship:wait()
    ship:close()
    server:close()
    return status, out, errors
  end)
end

function T.test_a_signal_ends_following_and_what_was_read_before_still_goes_out()
  local lines = {}
  for i = 1, 100000 do lines[i] = ("line %d\n"):format(i) end
  local text, received = table.concat(lines), nil
  put("log", text)
  local status, out, err = program(function(server, ship)
    local conn = assert(server:accept())
    received = conn:read_exact(1) -- the rest fills the sockets
    ship:kill()
    received = received .. conn:read_to_end()
    conn:close()
  end)
  lu.assertEquals({ status, err }, { 0, "" })
  local whole = select(2, received:gsub("\n", ""))
  if received:sub(-1) ~= "\n" then whole = whole + 1 end -- the reading stopped within a line
  lu.assertEquals(out, whole .. " lines\n")
  check.same_bytes(received, text:sub(1, #received))
end

function T.test_a_file_that_cannot_be_followed_is_status_1()
  os.execute("mkdir " .. dir .. "/log")
  local status, out, err = program(function() end)
  lu.assertEquals({ status, out }, { 1, "0 lines\n" })
  lu.assertStrMatches(err, "log_shipper: [^\n]+/log: it is no file but a directory\n")
end

function T.test_a_server_that_stays_away_does_not_keep_it_from_ending_after_a_signal()
  put("log", "one\n")
  local status, out, err = program(function(server, ship)
    server:close()
    lu.assertStrContains(ship.stderr:read_line(), "ECONNREFUSED")
    ship:kill()
  end)
  lu.assertEquals({ status, out }, { 1, "" })
  lu.assertStrMatches(err, ".*log_shipper: stopped before the server had taken everything\n")
end

return T
