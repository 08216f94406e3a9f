-- SPDX-License-Identifier: MIT
-- stats: what went through a stream, and how long tasks had to wait on it.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local D = require "support.doubles"

local in_task = check.in_task
local T = {}

local function subset(stats, expected)
  local got = {}
  for key in pairs(expected) do got[key] = stats[key] end
  lu.assertEquals(got, expected)
end

T.test_bytes_are_counted_by_every_way_to_write = in_task(function()
  local w, twelve = aw.memory(), ("x"):rep(12)
  w:poll_write("ab")
  w:try_write("c")
  w:write("de")
  w:write_all("f", "", "gh")
  w:write_all_vectored { "i", "j" }
  w:poll_write_vectored { "k", "l" }
  w:write_all_buf(aw.cursor("mn"))
  w:write_u32(1)
  w:writef("%s", "o")
  aw.copy(aw.cursor(twelve), w)
  subset(w:stats(), { accepted = #w:contents(), written = #w:contents(), read = 0, queued = 0, lost = 0, pendings = 0,
    waits = 0, stalled = 0 })
  lu.assertEquals(w:stats().accepted, 14 + 4 + 1 + 12)
end)

T.test_bytes_are_counted_by_every_way_to_read = in_task(function()
  local near, far = aw.duplex(100)
  far:write_all("abcdef\nghi\nrest of it")
  far:shutdown()
  lu.assertEquals({ near:read(2), near:try_read(1), near:read_line() }, { "ab", "c", "def" })
  lu.assertEquals(near:stats().read, 7)
  lu.assertEquals(near:fill_buf(), "ghi\nrest of it")
  lu.assertEquals(near:stats().read, 7)
  near:consume(1)
  lu.assertEquals(near:stats().read, 8)
  lu.assertEquals(near:read_until("\n"), "hi\n")
  aw.copy(near, aw.sink())
  lu.assertEquals(near:stats().read, 21)
end)

T.test_what_the_chain_still_holds_is_queued_and_not_written = in_task(function()
  local w = aw.buf_writer(aw.memory(), 10)
  w:write_all("abcd")
  subset(w:stats(), { accepted = 4, queued = 4, written = 0 })
  w:write_all("efghijkl")
  subset(w:stats(), { accepted = 12, queued = 8, written = 4 })
  w:flush()
  subset(w:stats(), { accepted = 12, queued = 0, written = 12 })
end)

T.test_what_is_held_at_close_is_lost_but_not_after_shutdown = in_task(function()
  local dropped, ended = aw.buf_writer(aw.sink()), aw.buf_writer(aw.sink())
  dropped:write_all("abcd")
  dropped:close()
  subset(dropped:stats(), { accepted = 4, queued = 0, lost = 4, written = 0 })
  ended:write_all("abcd")
  ended:shutdown()
  ended:close()
  subset(ended:stats(), { accepted = 4, queued = 0, lost = 0, written = 4 })
end)

function T.test_waits_are_counted_once_and_timed_by_the_clock_of_the_tasks()
  testing.run(function()
    local near, far = aw.duplex(2)
    lu.assertEquals(near:write_all("ab"), true)
    local writer = aw.spawn(function() return near:write_all("cdef") end)
    aw.sleep(3)
    subset(near:stats(), { accepted = 2, waits = 1, pendings = 1, stalled = 3 })
    lu.assertEquals(far:read(), "ab")
    aw.sleep(1)
    subset(near:stats(), { accepted = 4, waits = 2, pendings = 2, stalled = 4 })
    lu.assertEquals(far:read(), "cd")
    writer:join()
    aw.sleep(5)
    subset(near:stats(), { accepted = 6, waits = 2, pendings = 2, stalled = 4 })
    subset(far:stats(), { read = 4, waits = 0, pendings = 0, stalled = 0 })
  end)
end

-- Whose fault a slow copy is: the writer is told of only while the copy waits for it.
function T.test_a_copy_that_waits_for_its_reader_does_not_stall_its_writer()
  testing.run(function()
    local source, r = aw.duplex(100)
    local w, sink = aw.duplex(2)
    local copy = aw.spawn(aw.copy, r, w)
    aw.sleep(3)
    subset(w:stats(), { accepted = 0, waits = 0, pendings = 0, stalled = 0 })
    source:write_all("abc")
    aw.sleep(1)
    subset(w:stats(), { accepted = 2, waits = 1, pendings = 1, stalled = 1 })
    lu.assertEquals(sink:read(), "ab")
    aw.sleep(5)
    subset(w:stats(), { accepted = 3, waits = 1, pendings = 1, stalled = 1 })
    source:shutdown()
    lu.assertEquals(copy:join(), 3)
    subset(w:stats(), { accepted = 3, waits = 1, pendings = 1, stalled = 1 })
  end)
end

function T.test_both_ways_of_a_copy_are_told_apart()
  testing.run(function()
    local near, a = aw.duplex(2)
    local b, far = aw.duplex(2)
    local copy = aw.spawn(aw.copy_bidirectional, a, b)
    aw.spawn(near.write_all, near, "abcdefgh")
    aw.sleep(2)
    subset(b:stats(), { accepted = 2, waits = 1, stalled = 2 })
    subset(a:stats(), { accepted = 0, waits = 0, stalled = 0 })
    lu.assertEquals(far:read_exact(8), "abcdefgh")
    near:shutdown()
    aw.sleep(4)
    lu.assertEquals(b:stats().stalled, 2)
    far:shutdown()
    lu.assertEquals({ copy:join() }, { 8, 0 })
    subset(a:stats(), { waits = 0, stalled = 0 })
  end)
end

T.test_a_copy_whose_flush_waits_stalls_its_writer = in_task(function()
  local d = D.writer { flush = { "now" } }
  lu.assertEquals(aw.copy(aw.cursor("abc"), d.w), 3)
  subset(d.w:stats(), { accepted = 3, waits = 1, pendings = 1 })
end)

T.test_a_spurious_wake_is_another_pending_and_the_same_wait = in_task(function()
  local near, far = aw.duplex(1)
  near:write("x")
  local writer = aw.spawn(function() near:write("y") end)
  aw.yield()
  writer.handle:wake()
  aw.yield()
  subset(near:stats(), { waits = 1, pendings = 2 })
  far:read()
  writer:join()
end)

T.test_flush_and_shutdown_wait_too = in_task(function()
  local d = D.writer { flush = { "now" }, shutdown = { "now" } }
  d.w:flush()
  d.w:shutdown()
  subset(d.w:stats(), { waits = 2, pendings = 2, accepted = 0 })
end)

function T.test_polls_by_a_foreign_waker_are_no_waits_of_tasks()
  local near = aw.duplex(1)
  aw.with_waker(aw.waker(function() end), function()
    near:poll_write("ab")
    near:poll_write("b")
  end)
  subset(near:stats(), { accepted = 1, pendings = 1, waits = 0, stalled = 0 })
end

T.test_a_moved_stream_keeps_its_counts_and_the_wrapper_starts_anew = in_task(function()
  local inner = aw.memory()
  inner:write_all("abc")
  local outer = aw.buf_writer(inner)
  subset(inner:stats(), { accepted = 3, written = 3 })
  subset(outer:stats(), { accepted = 0, written = 0 })
end)

function T.test_stats_of_something_else_is_an_error()
  local near = aw.duplex(1)
  check.raises(function() near.stats {} end, "bad self to 'stats'", "writer or reader expected, got table")
end

return T
