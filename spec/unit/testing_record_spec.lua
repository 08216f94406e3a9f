-- SPDX-License-Identifier: MIT
-- testing.record and testing.replay, and script files.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local files = require "asyncwrite.testing.script_file"
local check = require "support.check"
local D = require "support.doubles"

local M = {}

local function in_run(f)
  return function() aw.run(f) end
end

M.test_it_writes_down_what_happened_in_order = in_run(function()
  local d = D.writer { write = { "now", "now", 3, { "EIO" }, nil }, flush = { { "EPIPE" }, "now" }, shutdown = { "now" },
    read = (function()
      local items = { false, "hello", {}, nil }
      local i = 0
      return function()
        i = i + 1
        if i == 1 then aw.current_waker():wake() return false end
        if i == 2 then return items[2] end
        if i == 3 then return nil, "ECONNRESET: mine", "ECONNRESET" end
        return nil
      end
    end)() }
  local w, tape = testing.record(d.w)
  lu.assertEquals(w:write("abcdef"), 3)
  check.fails("EIO", w:write("def"))
  lu.assertEquals(w:write("def"), 3)
  lu.assertEquals(w:write(""), 0)
  check.fails("EPIPE", w:flush())
  lu.assertTrue(w:flush())
  lu.assertTrue(w:flush())
  lu.assertEquals(w:read(), "hello")
  check.fails("ECONNRESET", w:read())
  lu.assertNil((w:read()))
  lu.assertNil((w:read()))
  lu.assertTrue(w:shutdown())
  w:close()
  lu.assertEquals(tape:script(), {
    name = "double",
    { "pending", 2, "write" }, { "accept", 3 }, { "write", "abc" }, { "write_error", "EIO", "EIO: by the script" },
    { "write", "def" }, { "flush", "EPIPE", "EPIPE: by the script" }, { "pending", 1, "write" }, { "flush" },
    { "pending", 1, "read" }, { "read", "hello" }, { "read_error", "ECONNRESET", "ECONNRESET: mine" }, { "eof" },
    { "pending", 1, "write" }, { "shutdown" }, { "close" },
  })
end)

M.test_failures_of_the_library_s_own_need_no_text = in_run(function()
  local near, far = aw.duplex(4)
  local w, tape = testing.record(near)
  far:close()
  check.fails("EPIPE", w:write("x"))
  lu.assertEquals(tape:script()[1], { "write_error", "EPIPE" })
end)

-- A session of which both sides are code: the server's is `serve`, the client's the return value.
local function session(client)
  local near, far = aw.duplex(16)
  local server = aw.spawn(function()
    far:write_all("220 ready\r\n")
    for line in far:lines() do
      far:writef("250 you said %s\r\n", line)
      if line == "QUIT" then break end
    end
    far:shutdown()
  end)
  local w, tape = testing.record(near)
  local result = client(w)
  w:close()
  server:join()
  far:close()
  return tape, result
end

local function talk(w)
  local log = { w:read_line() }
  for _, command in ipairs { "EHLO a.example", ("x"):rep(100), "QUIT" } do
    assert(w:write_all(command, "\r\n"))
    assert(w:flush())
    log[#log + 1] = w:read_line()
  end
  log[#log + 1] = w:read_to_end()
  assert(w:shutdown())
  return table.concat(log, "|")
end

M.test_a_recorded_session_plays_back = in_run(function()
  local tape, result = session(talk)
  local w, mock = testing.replay(tape:script())
  lu.assertEquals(talk(w), result)
  w:close()
  mock:done()
end)

M.test_it_plays_back_from_the_file_that_close_wrote = in_run(function()
  local path = os.tmpname()
  local near, far = aw.duplex(64)
  local w, tape = testing.record(near, path)
  far:write_all("\0\1\2\255\"\\\n]]", ("\r\n"):rep(20))
  w:write_all("a\nb\0c")
  lu.assertEquals(#w:read(), 49)
  w:close()
  local again, mock = testing.replay(path)
  os.remove(path)
  again:write_all("a\nb\0c")
  lu.assertEquals(again:read(), "\0\1\2\255\"\\\n]]" .. ("\r\n"):rep(20))
  again:close()
  mock:done()
  lu.assertStrContains(tape:source(), '{ "write", "a\\nb\\000c" },')
end)

function M.test_a_client_that_changed_is_told_where()
  check.raises(function()
    aw.run(function()
      local tape = session(talk)
      local w = testing.replay(tape:script())
      w:read_line()
      w:write_all("HELO a.example\r\n")
    end)
  end, "the write differs at byte 1 of", '  got       "HELO a.example')
end

M.test_a_session_over_sockets_plays_back_without_one = in_run(function()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local server = aw.spawn(function()
    local conn = assert(listener:accept())
    conn:write_all(conn:read_line():upper(), "\n")
    conn:close()
  end)
  local function client(w)
    w:write_all("hello\n")
    local line = w:read_line()
    w:shutdown()
    w:close()
    return line
  end
  local conn = assert(aw.tcp.connect(listener:local_addr()))
  local w, tape = testing.record(conn)
  lu.assertEquals(client(w), "HELLO")
  server:join()
  listener:close()
  local again, mock = testing.replay(tape:script())
  lu.assertEquals(client(again), "HELLO")
  mock:done()
end)

M.test_it_is_vectored_as_what_it_records = in_run(function()
  local w, tape = testing.record(aw.memory())
  lu.assertTrue(w:is_write_vectored())
  lu.assertEquals(w:write_vectored { "ab", "cd" }, 4)
  lu.assertEquals(tape:script()[1], { "write", "abcd" })
  lu.assertFalse((testing.record(D.writer().w)):is_write_vectored())
end)

M.test_readers_and_writers_alone_stay_what_they_are = in_run(function()
  local r, w = aw.simplex(8)
  local recorded_r, tape = testing.record(r)
  local recorded_w = testing.record(w)
  lu.assertFalse(recorded_r:is_writer())
  lu.assertFalse(recorded_w:is_reader())
  recorded_w:write_all("abc")
  recorded_w:close()
  lu.assertEquals(recorded_r:read_to_end(), "abc")
  lu.assertEquals(tape:script(), { name = "simplex(8)", { "read", "abc" }, { "eof" } })
  lu.assertStrContains(tostring(recorded_r), "record > simplex")
end)

function M.test_a_file_that_cannot_be_written_is_reported()
  local tape = select(2, testing.record(aw.sink()))
  local ok, message = tape:save("/nonexistent/folder/file")
  lu.assertNil(ok)
  lu.assertStrContains(message, "/nonexistent/folder/file")
end

-- ---- Script files ----

function M.test_what_is_written_reads_back()
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local script = { name = "a \"name\"", open = true, vectored = false,
    { "read", table.concat(all) }, { "write", ("0\n1"):rep(100) }, { "wait", 0.1 }, { "pending", 3, "read" },
    { "write", math.huge }, { "flush" } }
  local text = files.write(script)
  lu.assertEquals(files.parse(text), script)
  local load = loadstring or load -- luacheck: ignore 143
  lu.assertEquals(assert(load(text))(), script) -- and it is Lua
  for line in text:gmatch("[^\n]+") do lu.assertTrue(#line < 300) end
end

function M.test_files_made_by_hand_may_use_the_notation_of_lua()
  local script = assert(files.parse [==[#!/usr/bin/env lua
    -- a comment
    return { --[[ long
      comment ]] name = 'it\'s';
      { "read", "a\065\x41\t" .. [[
long
string]] .. "\z
         b" },
      { 'wait', 1.5e-1 }, { "pending" },
    } ]==])
  lu.assertEquals(script, { name = "it's", { "read", "aAA\tlong\nstringb" }, { "wait", 0.15 }, { "pending" } })
end

function M.test_a_file_is_data_and_nothing_in_it_is_run()
  for text, expected in pairs {
    ["return { os.exit() }"] = "mine:1: 'os.exit' is no value that a script may have",
    ["return {\n { 'read', ('x'):rep(9) } }"] = "mine:2: a value expected near '('x'):rep('",
    ["return (function() end)()"] = "mine:1: a table expected",
    ["local x = {}"] = "mine:1: 'return' expected",
    ["return { 'a' .. x }"] = "mine:1: a string expected after ..",
    ["return { 'a\nb' }"] = "mine:1: unfinished string",
    ["return { '\\300' }"] = "mine:1: \\300 is no byte",
    ["return { '\\q' }"] = "mine:1: unknown escape \\q",
    ["return { [[abc }"] = "mine:1: unfinished string",
    ["return { {{{{{}}}}} }"] = "mine:1: tables in tables in tables",
    ["return {}\nreturn {}"] = "mine:2: nothing more expected",
    ["return { 1 2 }"] = "mine:1: '}' expected near '2 }'",
    [""] = "mine:1: 'return' expected",
  } do
    local script, message = files.parse(text, "mine")
    lu.assertNil(script, text)
    lu.assertStrContains(message, expected)
  end
end

function M.test_replay_raises_what_is_wrong_with_a_file()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("return {\n{ 'reed' }\n}")
  file:close()
  check.raises(function() testing.replay(path) end, "'replay' (action 1: unknown action \"reed\")")
  os.remove(path)
  check.raises(function() testing.replay(path) end, "replay: ", path)
  check.misuse(function() testing.replay() end, "bad argument #1 'script' to 'replay' (table expected, got boolean)")
end

M.test_misuse_is_named = check.misuses {
  function() testing.record("x") end, "bad argument #1 'stream' to 'record' (writer or reader expected, got string)",
  function() testing.record(aw.sink(), 5) end, "bad argument #2 'path' to 'record' (string expected, got 5)",
}

return M
