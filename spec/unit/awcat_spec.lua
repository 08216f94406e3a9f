-- SPDX-License-Identifier: MIT
-- awcat as a process of its own: every kind of address, both directions, and what it says when things go wrong.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local quote, same_bytes = child.quote, check.same_bytes
local T = {}
local dir              -- a fresh folder for each test
local started = {}     -- process ids that a failing test must not leave behind

local BIG = check.pattern(3000000)

local function path(name) return dir .. "/" .. name end

local function save(name, bytes)
  local file = assert(io.open(path(name), "wb"))
  file:write(bytes)
  file:close()
  return path(name)
end

local function load_file(name)
  local file = assert(io.open(path(name), "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

local function exists(name)
  local file = io.open(path(name), "rb")
  if file then file:close() end
  return file ~= nil
end

function T.setUp()
  local pipe = assert(io.popen("mktemp -d"))
  dir = assert(pipe:read("*l"))
  pipe:close()
  save("awcat.lua", 'os.exit(require("asyncwrite.awcat").main(arg), true)')
end

function T.tearDown()
  for pid in pairs(started) do os.execute(("kill -KILL %s 2>/dev/null"):format(pid)) end
  started = {}
  os.execute("rm -rf " .. quote(dir))
end

-- The shell command that runs awcat with these arguments, in which @ stands for the folder.
local function awcat(arguments)
  return ("%s %s %s"):format(child.lua, path("awcat.lua"), (arguments:gsub("@", dir)))
end

local function sh(command) return child.sh((command:gsub("@", dir)), 60) end

-- Runs it to its end: { code, out, err }.
local function run(arguments) return child.sh(awcat(arguments), 60) end

local function assert_ok(result)
  if result.code ~= 0 then lu.fail(("awcat ended with %s: %s"):format(tostring(result.code), result.err)) end
end

-- It failed with that status, one line on stderr that holds the texts, and nothing on stdout.
local function assert_failed(result, code, ...)
  lu.assertEquals(result.code, code, result.err)
  lu.assertEquals(result.out or "", "")
  lu.assertStrMatches(result.err, "awcat: [^\n]+\n")
  for i = 1, select("#", ...) do lu.assertStrContains(result.err, (select(i, ...))) end
end

local Running = {}
Running.__index = Running

-- Starts it beside this process; its stdout goes to the file "out".
local function start(arguments)
  local inner = "echo $$; exec 2>&1 >" .. path("out") .. " </dev/null; exec " .. awcat(arguments)
  local pipe = assert(io.popen("exec 2>/dev/null; sh -c " .. quote(inner) .. "; echo \"status $?\""))
  local pid = pipe:read("*l")
  started[pid] = true
  return setmetatable({ pipe = pipe, pid = pid }, Running)
end

-- The next line of its stderr; blocks.
function Running:line() return (assert(self.pipe:read("*l"), "awcat ended early")) end

-- Where it listens, as an address to connect to.
function Running:address() return (assert(self:line():match("^awcat: listening on (%S+)$"))) end

function Running:signal(name) os.execute(("kill -%s %s"):format(name, self.pid)) end

-- Waits for its end: its status, and all that was left on its stderr.
function Running:wait()
  local rest, status = self.pipe:read("*a"):match("^(.*)status (%d+)\n$")
  self.pipe:close()
  started[self.pid] = nil
  return tonumber(status), rest
end

local function assert_silent_success(running)
  local status, rest = running:wait()
  lu.assertEquals(rest, "")
  lu.assertEquals(status, 0)
end

-- ---- The command line ----

function T.test_a_wrong_command_line_is_status_2_and_one_line()
  for arguments, text in pairs {
    [""] = "SOURCE and DEST",
    ["one"] = "SOURCE and DEST",
    ["one two three"] = "three",
    ["--nonsense a b"] = "unknown option --nonsense",
    ["--rate"] = "--rate needs a value",
    ["--rate 0 a b"] = "--rate 0",
    ["--rate=fast a b"] = "--rate fast",
    ["--rate -5 a b"] = "--rate -5",
    ["--buffer 2T a b"] = "--buffer 2T",
    ["--progress=1 a b"] = "takes no value",
    ["tcp://nowhere b"] = "needs a port",
    ["tcp://:80 b"] = "needs a host",
    ["tcp://::1:80 b"] = "brackets",
    ["tcp://host:http b"] = "port must be a number",
    ["tcp-listen://host:65536 b"] = "port must be a number",
    ["tcp://host:0 b"] = "only for listening",
    ["tcp:host:80 b"] = "tcp://HOST:PORT",
    ["http://host/ b"] = "http://",
    ["unix: b"] = "needs a path",
    ["'' b"] = "empty name",
  } do
    assert_failed(run(arguments), 2, text, "--help")
  end
end

function T.test_help_and_version_go_to_stdout()
  local help = run("--help")
  assert_ok(help)
  for _, text in ipairs { "tcp-listen://", "unix-listen:", "--rate", "--sha256", "exit status" } do
    lu.assertStrContains(help.out, text)
  end
  lu.assertEquals(run("--version").out, "awcat " .. aw._VERSION .. "\n")
end

-- ---- Files, standard input and output ----

function T.test_files_and_standard_streams_of_every_kind_are_copied_whole()
  save("in", BIG)
  for _, arguments in ipairs { "@/in @/copy", "-- @/in @/copy", "- - <@/in >@/copy", "@/in - >@/copy", "- @/copy <@/in",
    "/dev/stdin @/copy <@/in", "--buffer 1000 @/in @/copy" } do
    assert_ok(run(arguments))
    same_bytes(load_file("copy"), BIG)
    os.remove(path("copy"))
  end
  for _, command in ipairs { "cat @/in | AWCAT - - | cat >@/copy", "AWCAT @/in - | AWCAT - @/copy",
    "cat @/in | AWCAT --buffer 777k /dev/fd/3 /dev/stdout 3<&0 | cat >@/copy" } do
    assert_ok(sh((command:gsub("AWCAT", function() return awcat("") end))))
    same_bytes(load_file("copy"), BIG)
    os.remove(path("copy"))
  end
end

function T.test_an_empty_source_makes_an_empty_destination()
  save("copy", "old")
  assert_ok(run("/dev/null @/copy"))
  lu.assertEquals(load_file("copy"), "")
end

function T.test_standard_output_is_appended_to_where_the_shell_says_so()
  save("in", "new\n")
  save("log", "old\n")
  assert_ok(run("@/in - >>@/log"))
  lu.assertEquals(load_file("log"), "old\nnew\n")
end

function T.test_a_file_is_not_copied_onto_itself()
  save("in", "precious")
  os.execute(("ln -s in %s"):format(path("link")))
  for _, arguments in ipairs { "@/in @/in", "@/in @/link", "- @/in <@/in", "@/in - >>@/in" } do
    assert_failed(run(arguments), 3, "the same file")
  end
  lu.assertEquals(load_file("in"), "precious")
end

-- ---- Sockets ----

local function each_kind(f)
  for _, listen in ipairs { "tcp-listen://127.0.0.1:0", "tcp-listen://[::1]:0", "unix-listen:@/sock" } do
    local has_it = not listen:find("::1", 1, true) or aw.run(function()
      local listener = aw.tcp.listen("::1", 0)
      if listener then listener:close() end
      return listener ~= nil
    end)
    if has_it then f(listen) end
  end
end

function T.test_a_file_goes_from_whoever_connects_to_whoever_listens()
  save("in", BIG)
  each_kind(function(listen)
    local receiver = start(listen .. " @/copy")
    assert_ok(run("@/in " .. receiver:address()))
    assert_silent_success(receiver)
    same_bytes(load_file("copy"), BIG)
    lu.assertFalse(exists("sock"), "the socket is removed")
  end)
end

function T.test_a_file_goes_from_whoever_listens_to_whoever_connects()
  save("in", BIG)
  each_kind(function(listen)
    local sender = start("@/in " .. listen)
    assert_ok(run(sender:address() .. " - | cat >@/copy"))
    assert_silent_success(sender)
    same_bytes(load_file("copy"), BIG)
  end)
end

function T.test_the_digests_of_both_sides_are_those_of_sha256sum()
  child.need("sha256sum")
  save("in", BIG)
  local hex = sh("sha256sum <@/in").out:match("%x+")
  local receiver = start("--sha256 tcp-listen://127.0.0.1:0 @/copy")
  local sent = run("--sha256 --buffer 300 @/in " .. receiver:address())
  assert_ok(sent)
  lu.assertStrMatches(sent.err, ("awcat: sha256 %s  %%S+ %%-> tcp://%%S+\n"):format(hex))
  local status, received = receiver:wait()
  lu.assertEquals(status, 0)
  lu.assertStrMatches(received, ("awcat: sha256 %s  tcp%%-listen://%%S+ %%-> %%S+\n"):format(hex))
end

-- What a bridge of that source and a connection to us does with a request, its end, and an answer after it.
local function cross(listen)
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local bridge = start(("--sha256 %s tcp://127.0.0.1:%d"):format(listen, select(2, server:local_addr())))
    local address = bridge:address()
    local client = assert(aw.unix.connect(address:match("^unix:(.+)$")))
    local far = assert(server:accept())
    assert(client:write_all("question"))
    lu.assertEquals(far:read_exact(8), "question")
    assert(far:write_all("first "))
    lu.assertEquals(client:read_exact(6), "first ")
    assert(client:shutdown())
    lu.assertNil(far:read())
    aw.all(function()
      assert(far:write_all(BIG))
      assert(far:shutdown())
    end, function() same_bytes(client:read_to_end(), BIG) end)
    for _, stream in ipairs { far, client, server } do stream:close() end
    local status, digests = bridge:wait()
    lu.assertEquals(status, 0)
    lu.assertStrMatches(digests, "awcat: sha256 %x+  unix%-listen:%S+ %-> tcp:%S+\nawcat: sha256 %x+  tcp:%S+ %-> unix%S+\n")
  end)
end

function T.test_between_two_sockets_bytes_go_both_ways_and_one_end_leaves_the_other_open()
  child.need("sha256sum")
  cross("unix-listen:@/sock")
end

function T.test_bytes_do_not_wait_in_the_buffer_for_a_source_that_is_silent()
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local address = "tcp://127.0.0.1:" .. select(2, server:local_addr())
    local pipe = assert(io.popen(awcat("--buffer 1M - " .. address), "w"))
    pipe:write("hello")
    pipe:flush()
    local far = assert(server:accept())
    lu.assertEquals(far:read_exact(5), "hello")
    far:close()
    server:close()
    pipe:close()
  end)
end

function T.test_a_peer_that_answers_while_it_is_written_to_is_no_deadlock()
  save("in", BIG .. BIG)
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local sender = start("@/in tcp://127.0.0.1:" .. select(2, server:local_addr()))
    local echo = assert(server:accept())
    lu.assertEquals(aw.copy(echo, echo), 2 * #BIG)
    echo:close()
    server:close()
    assert_silent_success(sender)
  end)
end

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
    ["@/nosuch @/copy"] = "/nosuch: No such file",
    ["@ @/copy"] = "Is a directory",
    ["- @/copy <@"] = "-: Is a directory",
    ["@/in @/nosuch/copy"] = "/nosuch/copy: No such file",
    ["@/in @"] = "Is a directory",
    ["@/fifo @/copy"] = "/fifo: not a regular file",
    ["@/in @/fifo"] = "/fifo: not a regular file",
    ["- @/copy 0>/dev/null"] = "-: it is not open for reading",
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

-- ---- What can go wrong on the way ----

function T.test_a_full_disk_is_status_1_with_the_bytes_that_got_through()
  save("in", BIG)
  assert_failed(run("@/in /dev/full"), 1, "/dev/full: No space left on device, after 0 bytes")
  assert_failed(run("@/in - >/dev/full"), 1, "-: ENOSPC", "after 0 bytes")
  local result = sh("trap '' XFSZ; ulimit -f 200; " .. awcat("@/in @/copy"))
  assert_failed(result, 1, "File too large")
  lu.assertEquals(tonumber(result.err:match("after (%d+) bytes")), #load_file("copy"))
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

-- awcat against a peer in this process that resets the connection once f has had it.
local function reset_after(arguments, f)
  check.run(function()
    local server = assert(aw.tcp.listen("127.0.0.1", 0))
    local tool = start((arguments:gsub("PEER", "tcp://127.0.0.1:" .. select(2, server:local_addr()))))
    local conn = assert(server:accept())
    f(conn)
    conn:set_linger(0)
    conn:close()
    server:close()
    local status, err = tool:wait()
    lu.assertEquals(status, 1)
    lu.assertStrMatches(err, "awcat: tcp:%S+: the other side went away %(ECONNRESET: [^\n]+\n")
  end)
end

function T.test_a_source_that_resets_its_connection_fails_the_transfer()
  reset_after("PEER @/copy", function(conn)
    assert(conn:write_all("some"))
    check.eventually(function() return exists("copy") and load_file("copy") == "some" end)
  end)
end

function T.test_a_destination_that_resets_is_noticed_while_the_source_is_silent()
  os.execute("mkfifo " .. path("silent"))
  local holder = io.popen("{ printf hello; exec sleep 60; } >" .. path("silent") .. " & echo $!")
  started[holder:read("*l")] = true
  holder:close()
  reset_after("- PEER <@/silent", function(conn) lu.assertEquals(conn:read_exact(5), "hello") end)
end

function T.test_a_peer_that_leaves_before_it_has_read_everything_fails_the_transfer()
  save("in", BIG)
  reset_after("@/in PEER", function(conn) assert(conn:read_exact(1000)) end)
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

-- ---- Rate and progress ----

function T.test_a_rate_is_not_exceeded()
  save("in", BIG:sub(1, 100000))
  for _, arguments in ipairs { "@/in @/copy", "- - <@/in | cat >@/copy" } do
    local began = aw.now()
    assert_ok(run("--rate 200000 " .. arguments))
    lu.assertTrue(aw.now() - began >= 0.35, "it took only " .. aw.now() - began)
    same_bytes(load_file("copy"), BIG:sub(1, 100000))
  end
end

function T.test_progress_is_drawn_on_a_terminal_and_nowhere_else()
  save("in", BIG:sub(1, 400000))
  local quiet = run("--progress @/in @/copy")
  assert_ok(quiet)
  lu.assertEquals(quiet.out .. quiet.err, "")
  child.need("script")
  local function on_terminal(arguments)
    return sh("script -qec " .. quote(awcat("--progress --rate 800k " .. arguments)) .. " @/typescript").out
  end
  local known = on_terminal("@/in @/copy")
  lu.assertStrContains(known, "100%")
  lu.assertStrMatches(known, ".*%[=+>? *%] +%d+%% +%S+ KiB +%S+ KiB/s  0:0%d left.*")
  local unknown = on_terminal("- @/copy <@/in | cat")
  lu.assertStrContains(unknown, "KiB/s")
  same_bytes(load_file("copy"), BIG:sub(1, 400000))
end

function T.test_the_progress_line_fits_every_terminal()
  local progress = require "asyncwrite.awcat.progress"
  lu.assertEquals(progress.text(72, 2.5 * 1024, 10240, 1024, 7.5),
    "[=======>                     ]  25%   2.5 KiB     1.0 KiB/s  0:08 left")
  lu.assertEquals(progress.text(80, 3 * 1024 ^ 3, nil, 5, 3725), "   3.0 GiB         5 B/s  1:02:05")
  for columns = 2, 200 do
    for _, total in ipairs { false, 0, 1, 10 ^ 15 } do
      lu.assertTrue(#progress.text(columns, 1, total or nil, 10 ^ 9, 10 ^ 6) < columns)
    end
  end
end

return T
