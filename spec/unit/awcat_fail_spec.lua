-- SPDX-License-Identifier: MIT
-- What awcat says and does when things go wrong, before the first byte and on the way; and signals.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local tool = require "support.awcat"

local path, save, load_file, exists, BIG = tool.path, tool.save, tool.load_file, tool.exists, tool.BIG
local awcat, sh, run, start = tool.command, tool.sh, tool.run, tool.start
local assert_failed = tool.assert_failed
local T = {}
tool.fixture(T)

-- ---- What can go wrong before the first byte ----

-- A port of this machine where nobody listens.
local function free_port()
  return aw.run(function()
    local listener = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = listener:local_addr()
    listener:close()
    return port
  end)
end

function T.test_what_cannot_be_opened_is_status_3_and_says_why()
  save("in", "x")
  save("kept", "old")
  os.execute("mkfifo " .. path("fifo"))
  local port = free_port()
  for arguments, text in pairs {
    ["@/nosuch @/copy"] = "/nosuch: ENOENT",
    ["@ @/copy"] = "EISDIR",
    ["- @/copy <@"] = "-: EISDIR",
    ["@/in @/nosuch/copy"] = "/nosuch/copy: ENOENT",
    ["@/in @"] = "EISDIR",
    ["@/fifo @/copy"] = "/fifo: a named pipe",
    ["@/in @/fifo"] = "/fifo: a named pipe",
    ["- @/copy 0>/dev/null"] = "-: it is not open for reading",
    ["@/in - >&-"] = "-: it is not open for writing",
    ["- @/copy <&-"] = "-: it is not open for reading",
    ["/dev/fd/99 @/copy"] = "/dev/fd/99: EBADF",
    ["/dev/fd/99999999999999999999 @/copy"] = "/dev/fd/99999999999999999999: ENOENT",
    ["@/in - 1</dev/null"] = "-: it is not open for writing",
    ["@/in tcp://127.0.0.1:" .. port] = "ECONNREFUSED",
    ["tcp://127.0.0.1:" .. port .. " @/kept"] = "ECONNREFUSED",
    ["@/in unix:@/nosuch"] = "/nosuch: ENOENT",
    ["@/in unix-listen:@/in"] = "EADDRINUSE",
    ["@/in unix:@/" .. ("x"):rep(200)] = "ENAMETOOLONG",
    ["tcp-listen://192.0.2.1:0 -"] = "EADDRNOTAVAIL",
  } do
    assert_failed(run(arguments), 3, text)
  end
  lu.assertFalse(exists("copy"))
  lu.assertEquals(load_file("kept"), "old", "a destination keeps its bytes until there is a source")
end

function T.test_a_missing_sha256sum_is_told_before_anything_is_opened()
  local tools = path("tools")
  local links = "mkdir " .. tools
  for _, word in ipairs { child.lua:match("^%S+"), child.lua:match("%S+$") } do -- env where that starts it, and Lua
    links = ("%s && ln -sf \"$(command -v %s)\" %s/"):format(links, word, tools)
  end
  os.execute(links)
  assert_failed(sh("PATH=" .. tools .. "; " .. awcat("--sha256 /dev/null @/copy")), 3, "sha256sum", "install")
  lu.assertFalse(exists("copy"))
end

function T.test_memory_that_is_not_there_is_status_3_and_one_line()
  child.not_sanitized("ulimit -v")
  assert_failed(sh("ulimit -v 1000000; " .. awcat("--buffer 1G /dev/null @/copy")), 3, "not enough memory")
end

-- ---- What can go wrong on the way ----

function T.test_a_full_disk_is_status_1_with_the_bytes_that_got_through()
  save("in", BIG)
  assert_failed(run("@/in /dev/full"), 1, "/dev/full: ENOSPC: no space left on device, after 0 bytes")
  assert_failed(run("@/in - >/dev/full"), 1, "-: ENOSPC", "after 0 bytes")
  local result = sh("trap '' XFSZ; ulimit -f 200; " .. awcat("@/in @/copy"))
  assert_failed(result, 1, "EFBIG")
  lu.assertEquals(tonumber(result.err:match("after (%d+) bytes")), #load_file("copy"))
end

function T.test_a_failure_is_that_of_the_place_it_happened_at()
  save("in", BIG)
  assert_failed(run("--tee /dev/full @/in @/copy"), 1, "awcat: /dev/full: ENOSPC: no space left on device, after ")
  assert_failed(run("--tee 'exec:exec <&-; exec sleep 1' @/in @/copy"), 1, "awcat: exec:", "sleep 1: the other side went away")
  assert_failed(run("--tee 'exec:cat >/dev/null; exit 5' @/in @/copy"), 1, "exit 5: its exit status is 5, after 3000000 bytes")
  assert_failed(run("--tee @/copy @/in /dev/full"), 1, "awcat: /dev/full: ENOSPC: no space left on device, after ")
end

function T.test_a_reader_of_stdout_that_goes_away_is_status_1()
  local result = sh("{ " .. awcat("/dev/zero -") .. "; echo $? >@/code; } | head -c 1000 >/dev/null")
  lu.assertEquals(load_file("code"), "1\n")
  lu.assertStrMatches(result.err, "awcat: %-: the other side went away %(EPIPE: broken pipe%), after %d+ bytes\n")
end

function T.test_a_receiver_that_is_killed_ends_the_sender_with_status_1_and_the_count()
  local receiver = start("tcp-listen://127.0.0.1:0 @/copy")
  local address = receiver:address()
  local sender = start("/dev/zero " .. address)
  check.run(function()
    check.eventually(function() return exists("copy") and #load_file("copy") > 0 end)
  end)
  receiver:signal("KILL")
  lu.assertEquals(receiver:wait(), 137)
  local status, err = sender:wait()
  lu.assertEquals(status, 1)
  local count = err:match("^awcat: tcp:%S+: the other side went away %(E%u+: [^\n]+%), after (%d+) bytes\n$")
  lu.assertTrue(tonumber(count) and tonumber(count) > 0, err)
end

-- awcat against a peer in this process that resets the connection once f has had it. f returns true if it has stopped it.
local function reset_after(arguments, f)
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local running = start((arguments:gsub("PEER", "tcp://127.0.0.1:" .. select(2, server:local_addr()))))
    local conn = assert(server:accept())
    local stopped = f(conn, running)
    conn:set_linger(0)
    conn:close()
    if stopped then running:signal("CONT") end
    server:close()
    local status, err = running:wait()
    lu.assertEquals(status, 1)
    lu.assertStrMatches(err, "awcat: tcp:%S+: the other side went away %(ECONNRESET: [^\n]+\n")
  end)
end

-- Sends text, which arrives at the copy.
local function send(conn, text)
  assert(conn:write_all(text))
  check.eventually(function() return exists("copy") and load_file("copy") == text end)
end

function T.test_a_source_that_resets_its_connection_fails_the_transfer()
  reset_after("PEER @/copy", function(conn) send(conn, "some") end)
end

function T.test_what_came_before_a_source_failed_still_goes_out()
  reset_after("PEER @/copy", function(conn, running)
    send(conn, "some")
    running:signal("STOP") -- so that it finds more bytes and the failure at once
    return assert(conn:write_all(" more"))
  end)
  lu.assertEquals(load_file("copy"), "some more")
end

function T.test_a_destination_that_resets_is_noticed_while_the_source_is_silent()
  os.execute("mkfifo " .. path("silent"))
  local holder = io.popen("{ printf hello; exec sleep 60; } >" .. path("silent") .. " & echo $!")
  tool.guard(holder:read("*l"))
  holder:close()
  reset_after("- PEER <@/silent", function(conn) lu.assertEquals(conn:read_exact(5), "hello") end)
end

function T.test_a_peer_that_leaves_before_it_has_read_everything_fails_the_transfer()
  save("in", BIG)
  reset_after("@/in PEER", function(conn) assert(conn:read_exact(1000)) end)
end

function T.test_a_tcp_peer_does_not_take_what_a_failure_left_for_the_whole()
  for _, arguments in ipairs { "/dev/zero PEER --tee 'exec:head -c 1 >/dev/null'", "SOURCE PEER --rate 100M",
    "SOURCE PEER --sha256" } do
    check.run(function()
      local server, source = assert(aw.tcp.listen("127.0.0.1", 0)), assert(aw.tcp.listen("127.0.0.1", 0))
      local function address(listener) return "tcp://127.0.0.1:" .. select(2, listener:local_addr()) end
      local running = start((arguments:gsub("PEER", address(server)):gsub("SOURCE", address(source))))
      local conn = arguments:find("SOURCE", 1, true) and assert(source:accept())
      local peer = assert(server:accept())
      if conn then
        assert(conn:write_all("some"))
        conn:set_linger(0)
        conn:close()
      end
      local bytes, _, code
      repeat bytes, _, code = peer:read() until not bytes
      lu.assertEquals(code, "ECONNRESET")
      lu.assertEquals((running:wait()), 1)
      for _, thing in ipairs { peer, server, source } do thing:close() end
    end)
  end
end

function T.test_what_a_command_printed_before_it_failed_is_whole_for_the_peer()
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local running = start("'exec:printf some; exit 3' tcp://127.0.0.1:" .. select(2, server:local_addr()))
    local peer = assert(server:accept())
    lu.assertEquals(assert(peer:read_to_end()), "some")
    for _ = 1, 40 do -- it may still answer, and is heard until it closes
      assert(peer:write_all("thanks"))
      aw.sleep(0.005)
    end
    peer:close()
    server:close()
    lu.assertEquals((running:wait()), 1)
  end)
end

function T.test_ctrl_c_ends_it_with_status_130_and_without_a_trace()
  local waiting = start("unix-listen:@/sock -")
  lu.assertStrContains(waiting:address(), "/sock")
  waiting:signal("INT")
  local status, err = waiting:wait()
  lu.assertEquals(err, "awcat: interrupted\n")
  lu.assertEquals(status, 130)
  lu.assertFalse(exists("sock"))
end

function T.test_what_a_command_has_started_ends_with_an_interrupt_too()
  child.need("setsid")
  local running = start("'exec:sleep 60 & echo $!; wait' @/copy", "setsid") -- without a terminal
  check.run(function()
    check.eventually(function() return exists("copy") and load_file("copy"):find("\n", 1, true) end)
  end)
  local pid = load_file("copy"):match("%d+")
  tool.guard(pid)
  running:signal("TERM")
  lu.assertEquals((running:wait()), 143)
  check.run(function()
    check.eventually(function() return sh("kill -0 " .. pid).code ~= 0 end)
  end)
end

-- A source that says "hello" and then nothing more; awcat has it in its buffer or has passed it on.
local function stopped_by(signal, options)
  local results
  aw.run(function()
    local listener = assert(aw.unix.listen(path("source")))
    local out = assert(aw.unix.listen(path("dest")))
    local running = start(options .. " unix:@/source unix:@/dest")
    local source, dest = assert(listener:accept()), assert(out:accept())
    assert(source:write_all("hello"))
    assert(dest:read_exact(5))
    running:signal(signal)
    lu.assertEquals({ dest:read() }, {}) -- closed in order
    local status, err = running:wait()
    results = { status, err }
    for _, thing in ipairs { listener, out, source, dest } do thing:close() end
  end)
  return results[1], results[2]
end

function T.test_a_signal_ends_a_transfer_with_its_status_the_count_and_the_figures()
  for signal, expected in pairs { INT = { 130, "interrupted" }, TERM = { 143, "terminated" } } do
    local status, err = stopped_by(signal, "--stats")
    lu.assertEquals(status, expected[1], err)
    lu.assertStrContains(err, ": 5 bytes in ")
    lu.assertStrContains(err, ("awcat: %s, after 5 bytes there and 0 back\n"):format(expected[2]))
  end
end

function T.test_a_signal_waits_a_second_at_most_for_a_peer_that_reads_nothing()
  save("in", BIG)
  aw.run(function()
    local out = assert(aw.unix.listen(path("dest")))
    local running = start("@/in unix:@/dest")
    local dest = assert(out:accept())
    assert(dest:read_exact(1)) -- the rest fills the socket, and then the buffer
    running:signal("TERM")
    local status, err = running:wait()
    lu.assertEquals(status, 143, err)
    local passed_on = tonumber(err:match("^awcat: terminated, after (%d+) bytes\n$"))
    lu.assertEquals(1 + #assert(dest:read_to_end()), passed_on, err)
    dest:close()
    out:close()
  end)
end

return T
