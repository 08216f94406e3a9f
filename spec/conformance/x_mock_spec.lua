-- SPDX-License-Identifier: MIT
-- X: the rules of the scripted mock, as tokio_test::io has them. The rest of it is the business of spec/unit.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local testing = require "asyncwrite.testing"

local M = {}
local exact = H.exact

local MOCK = { kinds = { "mock", "mock(vectored)", "mock(scripted)" }, reason = "it follows no script" }

local function poll(...) return select(2, D.poll(...)) end

exact(M, "X", "a_write_is_compared_and_goes_on_behind_reads", MOCK, function()
  local w, mock = testing.mock { { "write", "ab" }, { "read", "x" }, { "write", "cd" }, { "write", "e" } }
  check.equal(poll(w, "poll_write", "abcd"), 4, "a write over two actions")
  check.equal(poll(w, "poll_write", "e"), 1, "the next")
  check.equal(poll(w, "poll_read"), "x", "a read")
  mock:done()
end)

exact(M, "X", "a_mismatch_names_what_was_expected_and_where", MOCK, function()
  local w, mock = testing.mock { name = "server", { "write", "hello" } }
  check.raises({ "server", "hello", "help!" }, "a write of something else", poll, w, "poll_write", "help!")
  check.raises({ "hello" }, "each later poll", poll, w, "poll_flush")
  check.raises({ "hello" }, "done", mock.done, mock)
end)

exact(M, "X", "a_write_error_comes_once", MOCK, function()
  local w, mock = testing.mock { { "write", "a" }, { "write_error", "EIO" }, { "write", "b" } }
  check.equal(poll(w, "poll_write", "ab"), 1, "a write up to the error")
  check.fails("EIO", "the next write", poll(w, "poll_write", "b"))
  check.equal(poll(w, "poll_write", "b"), 1, "the one after it")
  mock:done()
end)

exact(M, "X", "a_write_behind_the_end_of_the_script_is_unexpected", MOCK, function()
  local w, mock = testing.mock { { "write", "a" } }
  check.equal(poll(w, "poll_write", "a"), 1, "the write of the script")
  check.raises({ "b" }, "a write more", poll, w, "poll_write", "b")
  pcall(mock.done, mock)
end)

exact(M, "X", "a_reader_waits_for_the_writes_before_its_read", MOCK, function()
  local s, mock = testing.mock { { "write", "ping" }, { "read", "pong" } }
  local c, value = D.poll(s, "poll_read")
  check.equal(value, false, "a read before the write")
  check.equal(poll(s, "poll_write", "pi"), 2, "half of the write")
  check.equal(c.woken, 0, "wakes by half of it")
  check.equal(poll(s, "poll_write", "ng"), 2, "the rest")
  check.equal(c.woken, 1, "wakes by all of it")
  check.equal(poll(s, "poll_read"), "pong", "the read")
  mock:done()
end)

exact(M, "X", "a_wait_holds_up_both_directions", MOCK, function()
  local s, mock = testing.mock { { "wait", 0.001 }, { "read", "x" }, { "write", "y" } }
  local reader = D.poll(s, "poll_read")
  local writer, n = D.poll(s, "poll_write", "y")
  check.equal(n, false, "a write during the wait")
  reader:wait()
  writer:wait()
  check.equal(poll(s, "poll_write", "y"), 1, "a write after it")
  check.equal(poll(s, "poll_read"), "x", "a read after it")
  mock:done()
end)

exact(M, "X", "what_is_left_of_the_script_is_a_failure", MOCK, function()
  local w, mock = testing.mock { { "write", "a" }, { "read", "unread" } }
  check.equal(aw.is_stream(w), true, "the mock is a stream")
  check.equal(poll(w, "poll_write", "a"), 1, "the write")
  check.raises({ "unread" }, "done", mock.done, mock)
end)

return M
