-- SPDX-License-Identifier: MIT
-- Misuse of constructors and free functions raises at the caller's line; the world's failures are returned.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local misuses, fails, in_task = check.misuses, check.fails, check.in_task
local T = {}

local simplex_r, simplex_w = aw.simplex(4)
local closed, moved = aw.sink(), aw.duplex(4)
closed:close()
local wrapper = aw.buf_writer(moved)

T.test_arguments_of_run_and_spawn = misuses {
  function() aw.run() end, "bad argument #1 'f' to 'run' (function expected, got nil)",
  function() aw.run("f") end, "bad argument #1 'f' to 'run' (function expected, got string)",
  function() aw.spawn() end, "bad argument #1 'f' to 'spawn' (function expected, got nil)",
  function() aw.spawn({}) end, "bad argument #1 'f' to 'spawn' (function expected, got table)",
  function() aw.spawn("name") end, "bad argument #2 'f' to 'spawn' (function expected, got nil)",
  function() aw.spawn("name", 5) end, "bad argument #2 'f' to 'spawn' (function expected, got number)",
}

T.test_arguments_of_sleep_timeout_first_and_all = misuses {
  function() aw.sleep() end, "bad argument #1 'seconds' to 'sleep' (number expected, got nil)",
  function() aw.sleep("1") end, "bad argument #1 'seconds' to 'sleep' (number expected, got string)",
  function() aw.sleep(-1) end, "bad argument #1 'seconds' to 'sleep' (0 to 1e9 expected, got -1)",
  function() aw.sleep(1e10) end, "bad argument #1 'seconds' to 'sleep' (0 to 1e9 expected, got " .. tostring(1e10) .. ")",
  function() aw.timeout(nil, print) end, "bad argument #1 'seconds' to 'timeout' (number expected, got nil)",
  function() aw.timeout("1", print) end, "bad argument #1 'seconds' to 'timeout' (number expected, got string)",
  function() aw.timeout(-1, print) end, "bad argument #1 'seconds' to 'timeout' (0 to 1e9 expected, got -1)",
  function() aw.timeout(1) end, "bad argument #2 'f' to 'timeout' (function expected, got nil)",
  function() aw.timeout(1, {}) end, "bad argument #2 'f' to 'timeout' (function expected, got table)",
  function() aw.first() end, "first: no function given",
  function() aw.first(print, 5) end, "bad argument #2 'f' to 'first' (function expected, got number)",
  function() aw.all(print, nil) end, "bad argument #2 'f' to 'all' (function expected, got nil)",
}

T.test_arguments_of_wakers = misuses {
  function() aw.waker() end, "bad argument #1 'f' to 'waker' (function expected, got no value)",
  function() aw.waker("f") end, "bad argument #1 'f' to 'waker' (function expected, got string)",
  function() aw.with_waker() end, "bad argument #1 'waker' to 'with_waker' (waker expected, got no value)",
  function() aw.with_waker(print, print) end, "bad argument #1 'waker' to 'with_waker' (waker expected, got function)",
  function() aw.with_waker(io.stdout, print) end, "bad argument #1 'waker' to 'with_waker' (waker expected, got userdata)",
  function() aw.with_waker(aw.waker(print)) end, "bad argument #2 'f' to 'with_waker' (function expected, got no value)",
  function() aw.current_waker():will_wake() end, "bad argument #1 'other' to 'will_wake' (waker expected, got no value)",
  function() aw.current_waker().wake() end, "bad self to 'wake' (waker expected, got no value)",
  function() aw.current_waker().wake(aw.sink()) end, "bad self to 'wake' (waker expected, got userdata)",
}

T.test_arguments_of_channel = misuses {
  function() aw.channel() end, "bad argument #1 'capacity' to 'channel' (integer of at least 1 expected, got nil)",
  function() aw.channel(0) end, "bad argument #1 'capacity' to 'channel' (integer of at least 1 expected, got 0)",
  function() aw.channel(1.5) end, "bad argument #1 'capacity' to 'channel' (integer of at least 1 expected, got 1.5)",
  function() aw.channel(1):send() end, "bad argument #1 'value' to 'send' (nil cannot be sent)",
  function() aw.channel(1):try_send(nil) end, "bad argument #1 'value' to 'try_send' (nil cannot be sent)",
}

T.test_arguments_of_the_memory_kinds = misuses {
  function() aw.memory(0) end, "bad argument #1 'limit' to 'memory' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.memory("1") end, "bad argument #1 'limit' to 'memory' (number expected, got string)",
  function() aw.cursor({}) end, "bad argument #1 'initial' to 'cursor' (string expected, got table)",
  function() aw.cursor("abc", 2) end,
  "bad argument #2 'limit' to 'cursor' (integer from 3 to 2147483647 expected, got 2)",
  function() aw.cursor("abc", "9") end, "bad argument #2 'limit' to 'cursor' (number expected, got string)",
  function() aw.duplex() end, "bad argument #1 'capacity' to 'duplex' (number expected, got no value)",
  function() aw.duplex(0) end, "bad argument #1 'capacity' to 'duplex' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.duplex(-5) end, "bad argument #1 'capacity' to 'duplex' (integer from 1 to 2147483647 expected, got -5)",
  function() aw.duplex(2.5) end, "bad argument #1 'capacity' to 'duplex' (integer from 1 to 2147483647 expected, got 2.5)",
  function() aw.simplex("8") end, "bad argument #1 'capacity' to 'simplex' (number expected, got string)",
  function() aw.simplex(2 ^ 40) end,
  "bad argument #1 'capacity' to 'simplex' (integer from 1 to 2147483647 expected, got " .. tostring(2 ^ 40) .. ")",
}

T.test_arguments_of_the_wrappers = misuses {
  function() aw.buf_writer() end, "bad argument #1 'w' to 'buf_writer' (writer or reader expected, got no value)",
  function() aw.buf_writer({}) end,
  "bad argument #1 'w' to 'buf_writer' (writer or reader expected, got table: make one of it with asyncwrite.custom)",
  function() aw.buf_writer(io.stdout) end, "bad argument #1 'w' to 'buf_writer' (writer or reader expected, got userdata)",
  function() aw.buf_writer(closed) end, "bad argument #1 'w' to 'buf_writer' (it is closed)",
  function() aw.buf_writer(moved) end, "bad argument #1 'w' to 'buf_writer' (it was moved into a wrapper or split)",
  function() aw.buf_writer(simplex_r) end, "bad argument #1 'w' to 'buf_writer' (a simplex here is not a writer)",
  function() aw.buf_writer(simplex_w, -1) end,
  "bad argument #2 'capacity' to 'buf_writer' (integer from 0 to 2147483647 expected, got -1)",
  function() aw.buf_writer(simplex_w, "8") end,
  "bad argument #2 'capacity' to 'buf_writer' (number expected, got string)",
  function() aw.buf_reader(simplex_w) end, "bad argument #1 'r' to 'buf_reader' (a simplex here is not a reader)",
  function() aw.buf_reader(simplex_r, 0) end,
  "bad argument #2 'capacity' to 'buf_reader' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.buf_reader(closed) end, "bad argument #1 'r' to 'buf_reader' (it is closed)",
}

T.test_arguments_of_join_split_and_unsplit = misuses {
  function() aw.join(simplex_w, simplex_w) end, "bad argument #1 'r' to 'join' (a simplex here is not a reader)",
  function() aw.join(simplex_r, simplex_r) end, "bad argument #2 'w' to 'join' (a simplex here is not a writer)",
  function() aw.join(simplex_r) end, "bad argument #2 'w' to 'join' (writer or reader expected, got no value)",
  function() aw.join(simplex_r, closed) end, "bad argument #2 'w' to 'join' (it is closed)",
  function() aw.split(simplex_r) end, "bad argument #1 'stream' to 'split' (a simplex here is not a writer)",
  function() aw.split(5) end, "bad argument #1 'stream' to 'split' (writer or reader expected, got number)",
  function() aw.unsplit(simplex_r, simplex_w) end,
  "bad argument #2 'w' to 'unsplit' (not the write half of the same stream)",
  function() aw.unsplit(simplex_r) end, "bad argument #2 'w' to 'unsplit' (writer or reader expected, got no value)",
}

T.test_M8_halves_of_different_streams_cannot_be_joined_by_unsplit = in_task(function()
  local a_r, a_w = aw.split((aw.duplex(4)))
  local b_r, b_w = aw.split((aw.duplex(4)))
  check.raises(function() aw.unsplit(a_r, b_w) end, "bad argument #2 'w' to 'unsplit'")
  check.raises(function() aw.unsplit(b_r, a_w) end, "bad argument #2 'w' to 'unsplit'")
  lu.assertTrue(aw.unsplit(a_r, a_w):is_reader())
  lu.assertTrue(aw.unsplit(b_r, b_w):is_writer())
end)

T.test_arguments_of_custom = misuses {
  function() aw.custom() end, "bad argument #1 'methods' to 'custom' (table expected, got no value)",
  function() aw.custom(print) end, "bad argument #1 'methods' to 'custom' (table expected, got function)",
  function() aw.custom {} end, "bad argument #1 'methods' to 'custom' (it has neither poll_write nor poll_read)",
  function() aw.custom { poll_flush = print } end,
  "bad argument #1 'methods' to 'custom' (it has neither poll_write nor poll_read)",
  function() aw.custom { poll_write = 5 } end,
  "bad argument #1 'methods' to 'custom' (field 'poll_write': function expected, got number)",
  function() aw.custom { poll_write = print, close = "x" } end,
  "bad argument #1 'methods' to 'custom' (field 'close': function expected, got string)",
}

T.test_arguments_of_copy = misuses {
  function() aw.copy(nil) end, "bad argument #1 'r' to 'copy' (writer or reader expected, got nil)",
  function() aw.copy(simplex_w, simplex_w) end, "bad argument #1 'r' to 'copy' (a simplex here is not a reader)",
  function() aw.copy(simplex_r, simplex_r) end, "bad argument #2 'w' to 'copy' (a simplex here is not a writer)",
  function() aw.copy(simplex_r, {}) end,
  "bad argument #2 'w' to 'copy' (writer or reader expected, got table: make one of it with asyncwrite.custom)",
  function() aw.copy(simplex_r, simplex_w, 0) end,
  "bad argument #3 'buffer' to 'copy' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.copy(closed, simplex_w) end, "bad argument #1 'r' to 'copy' (it is closed)",
  function() aw.copy_bidirectional(wrapper, simplex_w) end,
  "bad argument #2 'b' to 'copy_bidirectional' (a simplex here is not a reader)",
  function() aw.copy_bidirectional(simplex_w, wrapper) end,
  "bad argument #1 'a' to 'copy_bidirectional' (a simplex here is not a reader)",
  function() aw.copy_bidirectional(wrapper, nil) end,
  "bad argument #2 'b' to 'copy_bidirectional' (writer or reader expected, got nil)",
  function() aw.copy_bidirectional(wrapper, wrapper, -1) end,
  "bad argument #3 'buffer' to 'copy_bidirectional' (integer from 1 to 2147483647 expected, got -1)",
}

T.test_arguments_of_tcp = misuses {
  function() aw.tcp.connect() end, "bad argument #1 'host' to 'connect' (string expected, got nil)",
  function() aw.tcp.connect(5, 1) end, "bad argument #1 'host' to 'connect' (string expected, got number)",
  function() aw.tcp.connect("h") end, "bad argument #2 'port' to 'connect' (integer from 0 to 65535 expected, got nil)",
  function() aw.tcp.connect("h", "http") end,
  "bad argument #2 'port' to 'connect' (integer from 0 to 65535 expected, got http)",
  function() aw.tcp.connect("h", 65536) end,
  "bad argument #2 'port' to 'connect' (integer from 0 to 65535 expected, got 65536)",
  function() aw.tcp.connect("h", -1) end,
  "bad argument #2 'port' to 'connect' (integer from 0 to 65535 expected, got -1)",
  function() aw.tcp.connect("h", 1, 5) end, "bad argument #3 'options' to 'connect' (table expected, got number)",
  function() aw.tcp.connect("h", 1, { timeout = 1 }) end,
  "bad argument #3 'options' to 'connect' (unknown option 'timeout')",
  function() aw.tcp.connect("127.0.0.1", 1, { bind = 5 }) end,
  "bad argument #3 'options.bind' to 'connect' (string expected, got number)",
  function() aw.tcp.listen(nil, 1) end, "bad argument #1 'host' to 'listen' (string expected, got nil)",
  function() aw.tcp.listen("127.0.0.1", 1.5) end,
  "bad argument #2 'port' to 'listen' (integer from 0 to 65535 expected, got 1.5)",
  function() aw.tcp.listen("127.0.0.1", 0, { backlog = 0 }) end,
  "bad argument #3 'options.backlog' to 'listen' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.tcp.listen("127.0.0.1", 0, { nodelay = true }) end,
  "bad argument #3 'options' to 'listen' (unknown option 'nodelay')",
}

T.test_arguments_of_unix_and_pipe = misuses {
  function() aw.unix.connect() end, "bad argument #1 'path' to 'connect' (string expected, got nil)",
  function() aw.unix.connect({}) end, "bad argument #1 'path' to 'connect' (string expected, got table)",
  function() aw.unix.listen(5) end, "bad argument #1 'path' to 'listen' (string expected, got number)",
  function() aw.unix.listen("/tmp/x", true) end, "bad argument #2 'options' to 'listen' (table expected, got boolean)",
  function() aw.unix.listen("/tmp/x", { mode = 1 }) end, "bad argument #2 'options' to 'listen' (unknown option 'mode')",
  function() aw.unix.listen("/tmp/x", { backlog = "1" }) end,
  "bad argument #2 'options.backlog' to 'listen' (number expected, got string)",
  function() aw.pipe.open() end, "bad argument #1 'fd' to 'open' (number expected, got no value)",
  function() aw.pipe.open("0") end, "bad argument #1 'fd' to 'open' (number expected, got string)",
  function() aw.pipe.open(-1) end, "bad argument #1 'fd' to 'open' (integer from 0 to 2147483647 expected, got -1)",
  function() aw.pipe.open(1.5) end, "bad argument #1 'fd' to 'open' (integer from 0 to 2147483647 expected, got 1.5)",
}

-- ---- the world's failures ----

T.test_the_worlds_failures_are_returned_with_message_and_code = in_task(function()
  fails("ENOENT", aw.unix.connect("/nonexistent/socket"))
  fails("ENOENT", aw.unix.listen("/nonexistent/socket"))
  fails("ENAMETOOLONG", aw.unix.listen(("x"):rep(200)))
  fails("EINVAL", aw.unix.connect(""))
  fails("EBADF", aw.pipe.open(99999))
  fails("EADDRNOTAVAIL", aw.tcp.listen("192.0.2.1", 0)) -- an address of nobody (RFC 5737)
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  fails("EADDRINUSE", aw.tcp.listen("127.0.0.1", port))
  listener:close()
  fails("ECONNREFUSED", aw.tcp.connect("127.0.0.1", port))
  local near, far = aw.duplex(4)
  far:close()
  lu.assertEquals(fails("EPIPE", near:write_all("x")), 0)
  lu.assertEquals(fails("EPIPE", near:write("x")), 0)
  fails("EPIPE", near:poll_write("x"))
  fails("EPIPE", near:flush())
  lu.assertEquals(fails("EOF", near:read_exact(1)), "")
  lu.assertEquals(fails("ENOBUFS", aw.memory(2):write_all("abc")), 2)
  lu.assertEquals(fails("EWRITEZERO", aw.cursor("ab", 2):write_all("abc")), 2)
end)

T.test_failures_of_name_options_on_the_wrong_socket_are_returned = in_task(function()
  local near, far = assert(aw.unix.pair())
  fails("ENOTSUP", near:set_nodelay(true))
  local r, w = assert(aw.pipe.pair())
  fails("ENOTSOCK", w:local_addr())
  fails("ENOTSOCK", r:peer_cred())
  for _, s in ipairs { near, far, r, w } do s:close() end
end)

return T
