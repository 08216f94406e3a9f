-- SPDX-License-Identifier: MIT
-- W1-W10: who is woken, when, and by what.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local exact = H.exact
H.kit(M, "w_wakers")

local CUSTOM = { kinds = { "custom", "custom(vectored)", "buf_writer > custom", "buf_writer > custom(vectored)" },
  reason = "written in C; a forgotten waker shows in every test that waits" }

exact(M, "W1", "a_writer_in_lua_that_pends_without_the_waker_is_reported", CUSTOM, function()
  local function no() return false end
  local forgetful = { poll_write = no, poll_flush = no, poll_shutdown = no, poll_read = no }
  local vectored = { poll_write = no, poll_write_vectored = no }
  check.raises({ "poll_write", "W1" }, "poll_write", D.poll, aw.custom(forgetful), "poll_write", "x")
  check.raises({ "poll_write_vectored", "W1" }, "vectored", D.poll, aw.custom(vectored), "poll_write", "x")
  check.raises({ "poll_flush", "W1" }, "poll_flush", D.poll, aw.buf_writer(aw.custom(forgetful)), "poll_flush")
  check.raises({ "poll_shutdown", "W1" }, "poll_shutdown", D.poll, aw.custom(forgetful), "poll_shutdown")
  check.raises({ "poll_read", "W1" }, "poll_read", D.poll, aw.custom(forgetful), "poll_read")
  check.raises({ "poll_write", "W1" }, "write in a task", function() aw.custom(forgetful):write("x") end)
end)

exact(M, "W1", "a_writer_in_lua_may_pend_on_another_one", CUSTOM, function()
  local below, peer = aw.duplex(4)
  local w = aw.custom {
    poll_write = function(_, s) return below:poll_write(s) end,
    poll_flush = function() return below:poll_flush() end,
  }
  check.equal(w:write("abcd"), 4, "write")
  local c, n = D.poll(w, "poll_write", "e")
  check.equal(n, false, "poll_write with no room below")
  check.equal(peer:read(), "abcd", "read")
  check.equal(c.woken, 1, "wakes")
end)

exact(M, "W6", "a_wake_during_a_poll_makes_one_more_poll", CUSTOM, function()
  local function thrice(d) -- three wakes in one poll
    for _ = 1, 3 do aw.current_waker():wake() end
    if d.polls then return nil end
    d.polls = 1
    return "pending"
  end
  local d = D.writer { write = thrice }
  check.equal(d.w:write("x"), 1, "write")
  check.list(d.log, { "write x = pending", "write x = 1" })
end)

return M
