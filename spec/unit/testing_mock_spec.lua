-- SPDX-License-Identifier: MIT
-- testing.mock: clause X (tokio_test::io) and what it leaves open.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"

local M = {}

-- A test: f in a run. The mocks that it makes are checked at the end of that.
local function in_run(f)
  return function() aw.run(f) end
end

-- The error with which a run of f ends; all of the texts are in it.
local function run_fails(f, ...)
  return check.raises(function() aw.run(f) end, ...)
end

-- One poll by hand.
local function poll(w, method, ...)
  local c = testing.waker()
  local function with(...) return c, ... end
  return with(c:poll(w, method, ...))
end

-- ---- Reading and writing ----

M.test_X_reads_give_the_scripted_bytes_one_action_a_read = in_run(function()
  local w = testing.mock { { "read", "hello " }, { "read", "world" } }
  lu.assertEquals({ w:read(), w:read(3), w:read(), w:read() }, { "hello ", "wor", "ld" })
end)

M.test_X_a_write_is_compared_as_far_as_it_goes = in_run(function()
  local w, mock = testing.mock { { "write", "hello " }, { "write", "world" } }
  lu.assertEquals(w:write("hel"), 3)
  lu.assertEquals({ mock:position() }, { 1, 2 })
  lu.assertEquals(w:write("lo world"), 8) -- one write, two actions
  lu.assertEquals({ mock:position() }, { 3, 2 })
  lu.assertEquals(mock:contents(), "hello world")
end)

M.test_X_a_write_skips_reads_that_nobody_has_read = in_run(function()
  local w = testing.mock { { "read", "banner" }, { "write", "ab" }, { "read", "more" }, { "write", "cd" } }
  lu.assertEquals(w:write("abcd"), 4)
  lu.assertEquals({ w:read(), w:read() }, { "banner", "more" })
end)

M.test_X_a_write_stops_at_what_is_no_write = in_run(function()
  for _, action in ipairs { { "flush" }, { "accept", 5 }, { "zero" }, { "pending" }, { "write_error", "EIO" }, { "wait", 0 } } do
    local w, mock = testing.mock { { "write", "ab" }, action, { "write", "cd" } }
    lu.assertEquals(w:write("abcd"), 2, action[1])
    mock:abandon()
  end
end)

M.test_X_a_reader_waits_for_the_writes_before_its_bytes_and_is_woken_by_them = in_run(function()
  local w = testing.mock { { "write", "ping" }, { "read", "pong" } }
  local c, s = poll(w, "poll_read")
  lu.assertEquals(s, false)
  lu.assertEquals(w:write("pi"), 2)
  lu.assertEquals(c:count(), 0)
  lu.assertEquals(w:write("ng"), 2)
  lu.assertEquals(c:count(), 1)
  lu.assertEquals(w:read(), "pong")
end)

M.test_X_the_end_of_the_script_is_an_end_of_file_and_wakes_the_reader = in_run(function()
  local w = testing.mock { { "write", "bye" } }
  local c, s = poll(w, "poll_read")
  lu.assertEquals(s, false)
  w:write("bye")
  lu.assertEquals(c:count(), 1)
  lu.assertNil((w:read()))
  lu.assertNil((w:read()))
end)

M.test_X_eof_ends_reading_and_not_writing = in_run(function()
  local w = testing.mock { { "read", "x" }, { "eof" }, { "write", "still here" } }
  lu.assertEquals({ w:read_to_end() }, { "x" })
  lu.assertEquals(w:write("still here"), 10)
  lu.assertNil((w:read()))
end)

M.test_X_a_write_of_any_bytes_counts_them = in_run(function()
  local w, mock = testing.mock { { "write", "id=" }, { "write", 3 }, { "write", "!" }, { "write", math.huge } }
  w:write_all("id=", "xyz!", "and", " the rest")
  lu.assertEquals(mock:contents(), "id=xyz!and the rest")
end)

M.test_X_errors_come_once_and_the_script_goes_on = in_run(function()
  local w = testing.mock { { "write", "a" }, { "write_error", "EPIPE" }, { "write", "b" }, { "read_error", "ECONNRESET" },
    { "read", "c" }, { "write_error", "EODD", "odd: very" }, { "read_error", "EMINE" } }
  lu.assertEquals(w:write("a"), 1)
  lu.assertEquals({ w:write("b") }, { nil, "EPIPE: broken pipe", "EPIPE", 0 })
  lu.assertEquals(w:write("b"), 1)
  lu.assertEquals(select(3, w:read()), "ECONNRESET")
  lu.assertEquals(w:read(), "c")
  lu.assertEquals({ w:write("x") }, { nil, "odd: very", "EODD", 0 })
  lu.assertEquals({ w:read() }, { nil, "EMINE: by the script", "EMINE" })
end)

M.test_X_accept_makes_the_next_write_short = in_run(function()
  local w = testing.mock { { "accept", 2 }, { "write", "abc" }, { "accept", 9 }, { "write", "def" } }
  lu.assertEquals(w:write("abcdef"), 2)
  lu.assertEquals(w:write("cdef"), 1) -- the next accept is the next write's
  lu.assertEquals(w:write("def"), 3)
end)

M.test_X_P4_zero_takes_nothing_once_and_write_all_makes_an_error_of_it = in_run(function()
  local w = testing.mock { { "write", "ab" }, { "zero" }, { "write", "cd" } }
  lu.assertEquals({ w:write_all("abcd") }, { nil, "EWRITEZERO: the writer accepted zero bytes", "EWRITEZERO", 2 })
  lu.assertTrue(w:write_all("cd"))
end)

M.test_X_P5_an_empty_write_asks_nothing_of_the_script = in_run(function()
  local w = testing.mock { { "pending" }, { "write", "x" } }
  lu.assertEquals(w:write(""), 0)
  lu.assertEquals(w:write("x"), 1)
  lu.assertEquals(w:write(""), 0)
end)

-- ---- Waiting ----

M.test_X_W1_pending_polls_are_not_ready_and_woken = in_run(function()
  local w = testing.mock { { "pending", 2 }, { "write", "x" }, { "pending" }, { "read", "y" } }
  for _ = 1, 2 do
    local c, n = poll(w, "poll_write", "x")
    lu.assertEquals({ n, c:count() }, { false, 1 })
  end
  lu.assertEquals(w:write("x"), 1)
  local c, s = poll(w, "poll_read")
  lu.assertEquals({ s, c:count() }, { false, 1 })
  lu.assertEquals(w:read(), "y")
end)

function M.test_X_pending_of_one_direction_leaves_the_other_alone()
  run_fails(function()
    local w = testing.mock { { "pending", 1, "read" }, { "write", "x" }, { "pending", 1, "write" }, { "read", "y" } }
    lu.assertEquals(select(2, poll(w, "poll_write", "x")), 1)
    lu.assertEquals(select(2, poll(w, "poll_read")), false)
    local c, s = poll(w, "poll_read")
    lu.assertEquals({ s, c:count() }, { false, 0 })
  end, "2 actions of the script left", "pending")
end

function M.test_X_wait_holds_both_directions_for_its_time()
  testing.run(function()
    local w = testing.mock { { "wait", 5 }, { "read", "x" }, { "write", "y" } }
    local reader = aw.spawn(function() return w:read(), aw.now() end)
    local writer = aw.spawn(function() return w:write("y"), aw.now() end)
    lu.assertEquals({ reader:join() }, { "x", 5 })
    lu.assertEquals({ writer:join() }, { 1, 5 })
  end)
end

function M.test_X_wait_starts_when_it_is_met()
  testing.run(function()
    local w = testing.mock { { "write", "x" }, { "wait", 2 }, { "read", "y" }, { "wait", 0.5 }, { "flush" } }
    aw.sleep(10)
    w:write("x")
    lu.assertEquals({ w:read(), aw.now() }, { "y", 12 })
    w:flush()
    lu.assertEquals(aw.now(), 12.5)
  end)
end

M.test_X_wait_is_real_time_in_an_ordinary_run = in_run(function()
  local start = aw.now()
  local w = testing.mock { { "wait", 0.01 }, { "read", "x" } }
  lu.assertEquals(w:read(), "x")
  lu.assertTrue(aw.now() - start >= 0.01)
end)

function M.test_X_a_wait_gives_way_to_a_deadline()
  testing.run(function()
    local w, mock = testing.mock { { "wait", 60 }, { "write", "x" } }
    w:set_deadline(1)
    check.fails("ETIMEDOUT", w:write("x"))
    lu.assertEquals(aw.now(), 1)
    mock:abandon()
  end)
end

function M.test_X_a_wait_that_nobody_waits_for_keeps_no_later_run_waiting()
  local w
  testing.run(function()
    local mock
    w, mock = testing.mock { { "wait", 1e6 }, { "write", "x" } }
    lu.assertFalse((select(2, poll(w, "poll_write", "x"))))
    mock:abandon()
  end)
  run_fails(function() aw.notify():notified() end, "nothing can wake them")
  lu.assertFalse(w:is_closed())
end

-- ---- flush, shutdown, close ----

M.test_X_flush_and_shutdown_that_the_script_does_not_know_are_always_ready = in_run(function()
  local w = testing.mock { { "write", "a" }, { "write", "b" } }
  w:write("a")
  lu.assertTrue(w:flush())
  w:write("b")
  lu.assertTrue(w:flush())
  lu.assertTrue(w:shutdown())
end)

M.test_X_flush_and_shutdown_are_met_at_their_place = in_run(function()
  local w = testing.mock { { "write", "a" }, { "flush" }, { "write", "b" }, { "pending" }, { "flush", "EIO" }, { "flush" },
    { "shutdown", "ENOTCONN", "gone" }, { "shutdown" }, { "close" } }
  lu.assertTrue(w:flush()) -- nothing to flush (F3)
  w:write("a")
  lu.assertTrue(w:flush())
  lu.assertTrue(w:flush()) -- again nothing
  w:write("b")
  check.fails("EIO", w:flush())
  lu.assertTrue(w:flush())
  lu.assertEquals({ w:shutdown() }, { nil, "gone", "ENOTCONN" })
  lu.assertTrue(w:shutdown())
  w:close()
end)

function M.test_X_a_flush_at_the_wrong_place_fails()
  run_fails(function()
    local w = testing.mock { { "write", "a" }, { "write", "b" }, { "flush" } }
    w:write("a")
    w:flush()
  end, "unexpected flush, expected write \"b\"", "action 2 of 3")
end

function M.test_X_a_write_where_a_flush_is_due_fails()
  run_fails(function()
    local w = testing.mock { { "write", "a" }, { "flush" }, { "write", "b" } }
    w:write_all("ab")
  end, "unexpected write of 1 byte, expected flush", 'got       "b"', "action 2 of 3")
end

function M.test_X_a_shutdown_before_the_last_write_fails()
  run_fails(function()
    local w = testing.mock { { "write", "a" }, { "write", "b" } }
    w:write("a")
    w:shutdown()
  end, "unexpected shutdown, expected write \"b\"")
end

function M.test_X_a_close_that_is_expected_and_does_not_come_is_left_over()
  run_fails(function()
    local w = testing.mock { { "write", "a" }, { "close" } }
    w:write("a")
  end, "1 action of the script left at the end of the run", "> 2 close")
end

-- ---- What goes wrong ----

function M.test_X_a_mismatch_shows_text_hex_place_name_and_script()
  local text = run_fails(function()
    local w = testing.mock { name = "smtp", { "read", "220 hi\r\n" }, { "write", "EHLO me\r\n" }, { "flush" } }
    w:read()
    w:write("EHLO")
    w:write(" you\r\n")
  end, "mock 'smtp' (made at spec/unit/testing_mock_spec.lua:")
  local want = table.concat({
    "the write differs at byte 6 of 9, at action 2 of 3",
    '  expected  " me\\r\\n"',
    '  got       " you\\r\\n"',
    "              ^",
    "  expected  20 6d 65 0d 0a",
    "  got       20 79 6f 75 0d 0a",
    "               ^^",
    '    1 read "220 hi\\r\\n" (done)',
    '  > 2 write "EHLO me\\r\\n" from byte 5 on',
    "    3 flush",
  }, "\n")
  lu.assertStrContains(text, want)
end

function M.test_X_a_long_mismatch_is_shown_around_the_difference()
  local text = run_fails(function()
    local w = testing.mock { { "write", ("a"):rep(1000) .. "X" .. ("b"):rep(1000) } }
    w:write(("a"):rep(1000) .. "\0Y" .. ("b"):rep(1000))
  end, "differs at byte 1001 of 2001")
  lu.assertStrContains(text, '"aaaaaaaaXbbbbbbbbbbbbbbbbbbbbbbbb"')
  lu.assertStrContains(text, '"aaaaaaaa\\000Ybbbbbbbbbbbbbbbbbbbbbbb"')
  lu.assertTrue(#text < 1500)
end

function M.test_X_a_write_after_the_script_fails()
  run_fails(function()
    local w = testing.mock { { "write", "a" } }
    w:write_all("ab")
  end, "unexpected write of 1 byte, after 1 action", 'got       "b"', "the end of the script")
end

function M.test_X_an_error_that_the_code_swallows_is_raised_at_the_end_of_the_run()
  run_fails(function()
    local w = testing.mock { { "write", "a" } }
    pcall(w.write, w, "b")
  end, "the write differs at byte 1 of 1")
end

function M.test_X_an_error_below_a_wrapper_that_swallows_it_is_raised_at_the_end_of_the_run()
  run_fails(function()
    local inner = testing.mock { { "write", "a" } }
    local w = aw.custom {
      poll_write = function(_, s)
        local ok, n = pcall(inner.poll_write, inner, s)
        return ok and n or #s
      end,
    }
    lu.assertEquals(w:write("b"), 1)
  end, "the write differs at byte 1 of 1")
end

function M.test_X_after_a_mismatch_every_poll_says_the_same()
  run_fails(function()
    local w = testing.mock { { "write", "a" } }
    pcall(w.write, w, "b")
    for _, call in ipairs { { "poll_write", "a" }, { "poll_flush" }, { "poll_shutdown" }, { "poll_read" } } do
      check.raises(function() w[call[1]](w, call[2]) end, "the write differs at byte 1 of 1")
    end
  end, "the write differs")
end

function M.test_X_the_error_of_the_code_comes_first_and_the_mock_s_behind_it()
  local text = run_fails(function()
    local w = testing.mock { { "write", "a" } }
    if not pcall(w.write, w, "b") then error("the login failed") end
  end, "the login failed", "the write differs at byte 1 of 1")
  lu.assertTrue(text:find("the login failed", 1, true) < text:find("the write differs", 1, true))
end

function M.test_X_a_failed_run_does_not_ask_for_the_rest_of_scripts()
  local text = run_fails(function()
    testing.mock { { "write", "a" } }
    error("something else")
  end, "something else")
  lu.assertNotStrContains(text, "left at the end")
end

function M.test_X_what_is_left_at_the_end_of_the_run_fails()
  run_fails(function()
    local w = testing.mock { name = "m", { "read", "a" }, { "write", "b" } }
    w:read()
  end, "mock 'm'", "1 action of the script left at the end of the run", '> 2 write "b"')
end

function M.test_X_what_is_left_when_it_is_closed_fails()
  run_fails(function()
    local w = testing.mock { { "read", "unread" } }
    w:close()
  end, "1 action of the script left when it was closed", '> 1 read "unread"')
end

function M.test_X_a_mock_that_was_collected_is_heard_of_at_the_end_of_the_run()
  run_fails(function()
    testing.mock { { "read", "unread" } }
    collectgarbage()
    collectgarbage()
  end, "1 action of the script left when it was closed")
end

function M.test_X_a_mock_that_was_made_outside_is_checked_by_the_next_run()
  local w = testing.mock { { "write", "ab" } }
  run_fails(function() w:write("a") end, "1 action of the script left at the end of the run")
  aw.run(function() end)
end

function M.test_X_a_mock_collected_outside_of_runs_is_warned_of_and_raised_by_the_next()
  local said = {}
  local stderr = io.stderr
  io.stderr = { write = function(_, ...) said[#said + 1] = table.concat { ... } end } -- luacheck: ignore
  testing.mock { { "write", "lonely" } }
  collectgarbage()
  collectgarbage()
  io.stderr = stderr -- luacheck: ignore
  lu.assertStrContains(table.concat(said), 'write "lonely"')
  run_fails(function() end, 'write "lonely"')
  aw.run(function() end)
end

function M.test_X_a_wait_that_nobody_can_end_fails_with_the_place_in_the_script()
  run_fails(function()
    local w = testing.mock { name = "peer", { "write", "a" }, { "read", "b" } }
    w:read()
  end, "nothing can wake them", "waits in read on mock 'peer' (1/2: write \"a\")",
    "2 actions of the script left when nothing could go on", '> 1 write "a"')
end

function M.test_X_an_open_script_that_nobody_continues_fails()
  run_fails(function()
    local w = testing.mock { open = true, { "read", "b" } }
    w:read()
    w:write("more")
  end, "waits in write on mock(open)", "it waits for more actions, or for finish()")
end

-- ---- The handle ----

function M.test_X_done_raises_what_is_left_and_what_failed_and_asks_once()
  local w, mock = testing.mock { { "write", "ab" }, { "flush" } }
  local c = testing.waker()
  c:poll(w, "poll_write", "ab")
  check.raises(function() mock:done() end, "1 action of the script left when done was called", "> 2 flush")
  aw.run(function() end) -- it has been told
  local bad, handle = testing.mock { { "write", "a" } }
  pcall(c.poll, c, bad, "poll_write", "b")
  check.raises(function() handle:done() end, "the write differs")
  local good, fine = testing.mock { { "write", "a" } }
  c:poll(good, "poll_write", "a")
  lu.assertTrue(fine:done())
  aw.run(function() end)
end

M.test_X_actions_can_be_added_while_somebody_waits = in_run(function()
  local w, mock = testing.mock()
  local reader = aw.spawn(function() return w:read() end)
  local writer = aw.spawn(function() return w:write_all("abc") end)
  aw.yield()
  mock:add({ "read", "hi" }, { "write", "a" })
  lu.assertEquals(reader:join(), "hi")
  mock:write("bc"):read("bye")
  lu.assertTrue(writer:join())
  lu.assertEquals(w:read(), "bye")
  local last = aw.spawn(function() return w:read() end)
  aw.yield()
  mock:finish()
  lu.assertNil((last:join()))
  mock:done()
end)

function M.test_X_after_finish_a_write_fails()
  run_fails(function()
    local w, mock = testing.mock()
    mock:finish()
    w:write("x")
  end, "unexpected write of 1 byte, after 0 actions")
end

M.test_X_W5_wake_wakes_for_nothing = in_run(function()
  local w, mock = testing.mock { open = true }
  local c = poll(w, "poll_read")
  lu.assertTrue(mock:wake())
  lu.assertEquals(c:count(), 1)
  lu.assertFalse(mock:wake())
  lu.assertEquals(select(2, poll(w, "poll_read")), false)
end)

M.test_X_every_action_has_a_method_of_the_handle = in_run(function()
  local w, mock = testing.mock()
  mock:pending():read("a"):read_error("EIO"):accept(1):write("bc"):zero():write_error("EPIPE"):flush():eof()
    :wait(0):shutdown():close():finish()
  lu.assertEquals(w:read(), "a")
  check.fails("EIO", w:read())
  lu.assertEquals({ w:write("bc"), w:write("c"), w:write("x") }, { 1, 1, 0 })
  check.fails("EPIPE", w:write("x"))
  lu.assertTrue(w:flush())
  lu.assertNil((w:read()))
  lu.assertTrue(w:shutdown())
  w:close()
end)

M.test_X_what_abandon_leaves_need_not_happen = in_run(function()
  local _, mock = testing.mock { { "write", "never" } }
  mock:abandon()
end)

-- ---- In stacks ----

M.test_X_below_wrappers_it_sees_what_reaches_it = in_run(function()
  local inner, mock = testing.mock { { "write", "abcdef" }, { "flush" }, { "read", "line 1\nline 2\n" }, { "shutdown" } }
  local w = aw.buf_writer(inner, 16)
  w:write_all("abc", "def")
  lu.assertEquals(mock:contents(), "")
  lu.assertTrue(w:flush())
  lu.assertEquals({ w:read_line(), w:read_line() }, { "line 1", "line 2" })
  lu.assertTrue(w:shutdown())
  lu.assertStrContains(tostring(w), "buf_writer(16) > mock(done)")
end)

M.test_X_vectored_it_takes_the_strings_as_one = in_run(function()
  local w, mock = testing.mock { vectored = true, { "accept", 4 }, { "write", "abcdef" } }
  lu.assertTrue(w:is_write_vectored())
  lu.assertEquals(w:write_vectored { "abc", "def" }, 4)
  lu.assertEquals(w:write_vectored { "e", "f" }, 2)
  lu.assertEquals(mock:contents(), "abcdef")
  local plain = testing.mock { { "write", "abc" } }
  lu.assertFalse(plain:is_write_vectored())
  lu.assertEquals(plain:write_vectored { "abc", "def" }, 3) -- the first string alone
end)

M.test_X_copy_and_try_write_work_on_it = in_run(function()
  local w = testing.mock { { "pending" }, { "write", "copied" }, { "pending" }, { "write", "x" } }
  lu.assertEquals(aw.copy(aw.cursor("copied"), w), 6)
  check.fails("EAGAIN", w:try_write("x"))
  lu.assertEquals(w:try_write("x"), 1)
end)

M.test_a_script_that_is_none_is_misuse_and_names_the_action = check.misuses {
  function() testing.mock("x") end, "bad argument #1 'script' to 'mock' (table expected, got string)",
  function() testing.mock { "x" } end,
  "bad argument #1 'script' to 'mock' (action 1: an action such as {\"read\", \"bytes\"} expected, got \"x\")",
  function() testing.mock { { "read", "x" }, { "reed", "x" } } end,
  "bad argument #1 'script' to 'mock' (action 2: unknown action \"reed\")",
  function() testing.mock { { "read", 5 } } end,
  "bad argument #1 'script' to 'mock' (action 1: read: a string that is not empty expected, got 5)",
  function() testing.mock { { "accept", 0 } } end,
  "bad argument #1 'script' to 'mock' (action 1: accept: an integer of at least 1 expected, got 0)",
  function() testing.mock { { "write_error", "pipe" } } end,
  "bad argument #1 'script' to 'mock' (action 1: write_error: a code such as \"EPIPE\" expected, got \"pipe\")",
  function() testing.mock { { "write_error", "EAGAIN" } } end,
  "bad argument #1 'script' to 'mock' (action 1: write_error: EAGAIN is no error of a poll (P6); see pending)",
  function() testing.mock { { "flush", "EIO", "text", 3 } } end,
  "bad argument #1 'script' to 'mock' (action 1: flush: nothing more expected, got 3)",
  function() testing.mock { { "eof" }, { "read", "x" } } end,
  "bad argument #1 'script' to 'mock' (action 2: nothing can be read after eof)",
  function() testing.mock { nome = "x" } end, "bad argument #1 'script' to 'mock' (unknown field 'nome')",
  function() testing.mock { name = 5 } end,
  "bad argument #1 'script' to 'mock' (field 'name': string expected, got number)",
  function() select(2, testing.mock()):abandon():add({ "wait", -1 }) end,
  "bad argument #1 'action' to 'add' (wait: seconds from 0 to 1e9 expected, got -1)",
  function() select(2, testing.mock()):abandon():pending(1, "up") end,
  "pending: pending: \"read\" or \"write\" expected, got \"up\"",
}

return M
