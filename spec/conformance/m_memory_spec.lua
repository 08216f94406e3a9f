-- SPDX-License-Identifier: MIT
-- M: pipes in memory, memory, cursor, sink, join and split; U: what libuv makes of descriptors, as far as it shows.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local child = require "support.child"

local M = {}
local clause, exact = H.clause, H.exact

local function poll(...) return select(2, D.poll(...)) end

local function pipes() -- every way to make one for n bytes: writer, reader
  return {
    duplex = function(n) return aw.duplex(n) end,
    simplex = function(n)
      local r, w = aw.simplex(n)
      return w, r
    end,
    lua_pipe = D.pipe,
  }
end

local IN_MEMORY = { kinds = { "duplex", "simplex", "lua_pipe", "buf_reader | duplex", "join(simplex, simplex)",
  "split(duplex)" }, reason = "no pipe in memory, or a buffer before it" }

exact(M, "M1", "a_pipe_takes_what_is_free_and_pends_when_full", IN_MEMORY, function()
  for name, make in pairs(pipes()) do
    local w, r = make(10)
    check.equal(poll(w, "poll_write", D.text(6)), 6, name .. ": a write with room")
    check.equal(poll(w, "poll_write", D.text(6, 7)), 4, name .. ": a write with room for a part")
    check.equal(poll(w, "poll_write", "x"), false, name .. ": a write with no room")
    check.equal(poll(r, "poll_read", 3), D.text(3), name .. ": a read")
    check.equal(poll(w, "poll_write", "abcd"), 3, name .. ": a write with room for a part again")
    check.equal(poll(r, "poll_read"), D.text(7, 4) .. "abc", name .. ": the rest")
    check.equal(poll(r, "poll_read"), false, name .. ": a read of nothing")
    w:close()
    check.equal(poll(r, "poll_read"), nil, name .. ": a read without a writer")
  end
end)

exact(M, "M1", "a_write_without_a_reader_fails_though_there_is_room", IN_MEMORY, function()
  for name, make in pairs(pipes()) do
    local w, r = make(10)
    check.equal(poll(w, "poll_write", "abc"), 3, name .. ": a write")
    r:close()
    check.fails("EPIPE", name .. ": a write without a reader", poll(w, "poll_write", "d"))
  end
end)

clause(M, "M1", "the_reader_drains_what_was_written_and_then_sees_the_end", IN_MEMORY, function(t)
  t:put(t:text(50))
  t.w:close()
  check.equal(poll(t.peer, "poll_read", 20), D.text(20), "the first read after close")
  check.equal(poll(t.peer, "poll_read"), D.text(30, 21), "the second")
  for _ = 1, 3 do check.equal(poll(t.peer, "poll_read"), nil, "the end") end
end)

clause(M, "M1", "the_ring_keeps_the_order_whatever_the_sizes", IN_MEMORY, function(t)
  local sent, read = 0, 0
  for _ = 1, 2000 do
    if t.random(2) == 1 then
      local n = poll(t.w, "poll_write", D.text(t.random(70), sent + 1))
      if n then sent = sent + n else check.equal(sent - read, 64, "bytes in a pipe that is full") end
    else
      local s = poll(t.peer, "poll_read", t.random(70))
      if s then
        check.equal(s, D.text(#s, read + 1), "what was read")
        read = read + #s
      else
        check.equal(sent, read, "bytes in a pipe that is empty")
      end
    end
  end
end)

exact(M, "M2", "duplex_32_takes_32_and_then_what_was_read", IN_MEMORY, function()
  for name, make in pairs(pipes()) do
    local w, r = make(32)
    check.equal(poll(w, "poll_write", D.text(64)), 32, name .. ": the first write")
    check.equal(poll(w, "poll_write", D.text(64)), false, name .. ": the second")
    check.equal(poll(r, "poll_read", 4), D.text(4), name .. ": a read of 4")
    check.equal(poll(w, "poll_write", D.text(64)), 4, name .. ": the third")
  end
end)

exact(M, "M3", "a_capacity_of_zero_is_refused", { kinds = { "memory", "duplex", "simplex", "buf_reader | duplex" },
  reason = "it has no capacity, or one of 0 is useful (buf_writer)" }, function()
  check.raises({ "duplex", "capacity" }, "duplex", aw.duplex, 0)
  check.raises({ "simplex", "capacity" }, "simplex", aw.simplex, 0)
  check.raises({ "memory", "limit" }, "memory", aw.memory, 0)
  check.raises({ "cursor", "limit" }, "cursor", aw.cursor, "", 0)
  check.raises({ "buf_reader", "capacity" }, "buf_reader", aw.buf_reader, aw.cursor(), 0)
  for _, bad in ipairs { -1, 1.5, 2 ^ 40 } do check.raises({ "duplex", "capacity" }, "duplex", aw.duplex, bad) end
end)

-- ---- Memory, cursor, sink ----

local function ready_whole(t)
  for _, s in ipairs { "", "a", D.text(10000) } do
    check.equal(poll(t.w, "poll_write", s), #s, "poll_write")
    check.equal(poll(t.w, "poll_write_vectored", { s, "", s }), 2 * #s, "poll_write_vectored")
    t:book(s .. s .. s, 3 * #s)
  end
  check.equal(poll(t.w, "poll_flush"), true, "poll_flush")
  check.equal(poll(t.w, "poll_shutdown"), true, "poll_shutdown")
  if t.contents then check.equal(t:arrived(), t:booked(), "contents") end
end

clause(M, "M5", "memory_takes_everything_at_once", { kinds = { "memory", "cursor" }, reason = "it is neither" }, ready_whole)

clause(M, "M5", "a_fixed_cursor_is_short_and_then_gives_zero", { "zero", "leaf" }, function(t, kind)
  check.equal(poll(t.w, "poll_write", D.text(kind.zero - 2)), kind.zero - 2, "a write with room")
  check.equal(poll(t.w, "poll_write_vectored", { "a", "bcd" }), 2, "a vector with room for two")
  check.equal(poll(t.w, "poll_write", "x"), 0, "a write with no room")
  check.equal(poll(t.w, "poll_write_vectored", { "x", "y" }), 0, "a vector with no room")
  check.fails("EWRITEZERO", "write_all with no room", t.w:write_all("x"))
end)

exact(M, "M5", "a_cursor_writes_over_extends_and_fills_gaps_with_zeros", { kinds = { "cursor", "cursor(fixed)" },
  reason = "it has no position" }, function()
  local w = aw.cursor("hello world")
  check.equal(w:write_all("HE"), true, "write_all")
  check.equal(w:contents(), "HEllo world", "contents after a write at 0")
  check.equal(w:read(3), "llo", "a read from the position")
  w:set_position(9)
  check.equal(w:write_all("LD!"), true, "write_all over the end")
  check.equal(w:contents(), "HEllo worLD!", "contents after a write over the end")
  w:set_position(14)
  check.equal(w:contents(), "HEllo worLD!", "contents after a seek beyond the end")
  check.equal(w:write_all(".", "."), true, "write_all beyond the end")
  check.equal(w:contents(), "HEllo worLD!\0\0..", "contents after a write beyond the end")
  check.equal(w:position(), 16, "position")
  check.equal(w:read(), nil, "a read at the end")
  local fixed = aw.cursor("1234", 4)
  fixed:set_position(9)
  check.equal(fixed:write("x"), 0, "a write beyond a fixed end")
end)

clause(M, "M6", "a_sink_takes_everything_at_once", { kinds = { "sink", "empty" }, reason = "it is no sink" }, ready_whole)

clause(M, "M6", "an_empty_one_is_at_its_end", { kinds = { "empty" }, reason = "it is not empty" }, function(t)
  for _ = 1, 2 do
    local value, message = poll(t.w, "poll_read")
    check.equal(value, nil, "poll_read")
    check.equal(message, nil, "the message of poll_read")
  end
  check.equal(t.w:read_to_end(), "", "read_to_end")
  check.equal(aw.copy(t.w, t.w), 0, "copy to itself")
end)

-- ---- join, split ----

exact(M, "M7", "join_reads_from_one_and_writes_to_the_other", { kinds = { "join(simplex, simplex)",
  "join(pipe, buf_writer > pipe)" }, reason = "it is no join" }, function()
  local near, far = aw.duplex(100)
  local d = D.writer()
  local both = aw.join(near, d.w)
  check.ok(far:try_write("input"))
  check.equal(poll(both, "poll_read"), "input", "poll_read")
  check.equal(poll(both, "poll_write", "out"), 3, "poll_write")
  check.equal(poll(both, "poll_flush"), true, "poll_flush")
  check.equal(poll(both, "poll_shutdown"), true, "poll_shutdown")
  check.list(d.log, { "write out = 3", "flush", "shutdown" })
  check.ok(far:try_write("more"))
  check.equal(poll(both, "poll_read"), "more", "poll_read after shutdown: R is not touched")
  check.equal(poll(far, "poll_read"), nil, "the write half that join dropped is closed")
end)

clause(M, "M8", "the_halves_work_side_by_side", { "half", function(kind)
  return not kind.name:find("split", 1, true) and "it was never split" or nil
end }, function(t)
  local s = D.text(t.kind.fd and 500000 or 5000)
  local task = t:spawn(function() return t.r:read_exact(5) end)
  local writer = t:spawn(function() return t.w:write_all(s) and t.w:flush() end)
  t:read_on()
  check.equal(writer:join(), true, "the writing half")
  t:book(s, #s)
  check.ok(t.back:write_all("hello") and t.back:flush())
  check.equal(task:join(), "hello", "the reading half")
  t:finish()
end)

exact(M, "M8", "only_halves_of_one_stream_go_together_again", { kinds = { "unsplit(unix)", "split(duplex)", "split(tcp)",
  "split(buf_writer > tcp)" }, reason = "it was never split" }, function()
  local a, b = aw.duplex(10), aw.duplex(10)
  local ar, a_w = aw.split(a)
  local br, b_w = aw.split(b)
  check.raises({ "unsplit", "same stream" }, "unsplit of strangers", aw.unsplit, ar, b_w)
  check.raises({ "unsplit", "same stream" }, "unsplit of strangers", aw.unsplit, br, a_w)
  local one, other = aw.unix.pair()
  check.raises({ "unsplit" }, "unsplit of what was never split", aw.unsplit, one, other)
  a = aw.unsplit(ar, a_w)
  check.ok(a:is_writer() and a:is_reader(), "what unsplit made")
  check.raises({ "moved" }, "a half that went into the whole", ar.try_read, ar)
end)

-- ---- U ----

exact(M, "U9", "an_error_in_a_wakers_function_does_not_leave_the_loop", { "fd" }, function()
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.run(function()
      local a, b = aw.unix.pair()
      local fired = false
      aw.with_waker(aw.waker(function()
        fired = true
        error("oops")
      end), a.poll_read, a)
      assert(b:write_all("x"))
      repeat aw.sleep(0) until fired
      print(a:read(), "and it goes on")
    end)]]
  check.equal(result.out, "x\tand it goes on\n", "output")
  check.ok(result.err:find("^asyncwrite: error in a waker's function: .*oops\n$"), result.err)
end)

return M
