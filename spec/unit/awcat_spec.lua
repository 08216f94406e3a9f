-- SPDX-License-Identifier: MIT
-- awcat as a process of its own: the command line, every kind of address, both directions, rate and progress.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local tool = require "support.awcat"

local same_bytes = check.same_bytes
local path, save, load_file, exists, BIG = tool.path, tool.save, tool.load_file, tool.exists, tool.BIG
local awcat, sh, run, start = tool.command, tool.sh, tool.run, tool.start
local assert_ok, assert_failed = tool.assert_ok, tool.assert_failed
local T = {}
tool.fixture(T)

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
    ["--rate 1048576G a b"] = "--rate 1048576G",
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
    ["--tee"] = "--tee needs a value",
    ["--tee= a b"] = "--tee '': an empty name",
    ["--tee tcp://host:80 a b"] = "--tee tcp://host:80: it may be a file, - or exec:COMMAND",
    [("--tee x "):rep(254) .. "a b"] = "--tee x: there are 253 already",
    ["--tee exec: a b"] = "--tee exec:: it needs a command",
    ["unix: b"] = "needs a path",
    ["'' b"] = "empty name",
  } do
    assert_failed(run(arguments), 2, text, "--help")
  end
end

function T.test_the_largest_values_are_taken()
  assert_ok(run("--rate 931322G --buffer 1G /dev/null /dev/null"))
  assert_ok(run("--sha256 " .. ("--tee /dev/null "):rep(253) .. "/dev/null /dev/null"))
end

function T.test_help_and_version_go_to_stdout()
  local help = run("--help")
  assert_ok(help)
  for _, text in ipairs { "tcp-listen://", "unix-listen:", "--rate", "--sha256", "exit status" } do
    lu.assertStrContains(help.out, text)
  end
  lu.assertEquals(run("--version").out, "awcat " .. aw._VERSION .. "\n")
  for _, option in ipairs { "--help", "--version" } do
    assert_failed(sh(awcat(option) .. " >/dev/full"), 1, "-: No space left on device")
  end
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

function T.test_tee_writes_the_same_to_other_places()
  save("in", BIG)
  assert_ok(run("--tee @/one --tee=exec:'cat >@/two' --tee - --buffer 10000 @/in @/copy >@/three"))
  for _, name in ipairs { "copy", "one", "two", "three" } do same_bytes(load_file(name), BIG) end
  local receiver = start("tcp-listen://127.0.0.1:0 @/copy")
  assert_ok(run("--sha256 --rate 100M --tee @/one @/in " .. receiver:address()))
  assert_silent_success(receiver)
  for _, name in ipairs { "copy", "one" } do same_bytes(load_file(name), BIG) end
end

function T.test_standard_output_that_is_a_socket_stays_open_for_others()
  save("in", BIG)
  for _, arguments in ipairs { "@/in -", "@/in @/copy --tee -", "@/in 'exec:cat >@/copy' --tee /dev/fd/1 --sha256" } do
    check.run(function()
      local near, far = aw.unix.pair()
      local process = assert(aw.process.spawn { "sh", "-c", awcat(arguments), stdout = far, stderr = "null" })
      aw.spawn(function()
        lu.assertEquals(process:wait(), 0)
        assert(far:write_all("more"))
        far:close()
      end)
      same_bytes(near:read_to_end(), BIG .. "more")
      near:close()
    end)
  end
end

function T.test_a_file_is_not_copied_onto_itself()
  save("in", "precious")
  os.execute(("ln -s in %s"):format(path("link")))
  for _, arguments in ipairs { "@/in @/in", "@/in @/link", "- @/in <@/in", "@/in - >>@/in",
    "--tee @/in - @/copy <@/in", "--tee @/link @/in @/copy", "--tee @/copy @/in @/copy", "--tee @/a --tee @/a @/in -" } do
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
    local bridge = start(("--sha256 --tee @/one %s tcp://127.0.0.1:%d"):format(listen, select(2, server:local_addr())))
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
    lu.assertEquals(load_file("one"), "question") -- tee has what goes from SOURCE to DEST
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
    return sh("script -qec " .. child.quote(awcat("--progress --rate 800k " .. arguments)) .. " @/typescript").out
  end
  local known = on_terminal("@/in @/copy")
  lu.assertStrContains(known, "100%")
  lu.assertStrMatches(known, ".*%[=+>? *%] +%d+%% +%S+ KiB +%S+ %a+/s  0:0%d left.*")
  local unknown = on_terminal("- @/copy <@/in | cat")
  lu.assertStrMatches(unknown, ".*%S+ KiB +%S+ %a+/s.*")
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
