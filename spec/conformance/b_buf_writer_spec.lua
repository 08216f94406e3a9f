-- SPDX-License-Identifier: MIT
-- B: buf_writer, and what wrappers hand on. B8-B10 are in b_line_writer_spec.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact
H.kit(M, "b_buffer")

local BUFFER = { kinds = { "buf_writer > custom", "buf_writer > custom(vectored)", "buf_writer > chaos",
  "buf_writer > chaos(vectored)", "buf_writer > buf_writer > chaos" },
  reason = "another type; the trace is of buf_writer over a double" }

-- Every step: method, argument, result, the calls it makes below, and what is buffered then.
local function walk(w, d, steps)
  for i, step in ipairs(steps) do
    local value, _, code = D.ready(w, step[1], step[2])
    check.equal(code or value, step[3], ("result of step %d"):format(i))
    check.list(d:trace(), step[4], ("calls below step %d"):format(i))
    check.equal(w:buffer(), step[5], ("the buffer after step %d"):format(i))
    check.equal(w:buffered(), #step[5], ("buffered() after step %d"):format(i))
  end
  w:close()
end

exact(M, "B1", "small_writes_are_collected_and_long_ones_pass", BUFFER, function()
  local d = D.writer()
  walk(aw.buf_writer(d.w, 8), d, {
    { "poll_write", "abcde", 5, {}, "abcde" },
    { "poll_write", "fgh", 3, {}, "abcdefgh" },                                             -- full is not flushed
    { "poll_write", "i", 1, { "write abcdefgh = 8" }, "i" },                                -- and no flush goes below
    { "poll_write", "12345678", 8, { "write i = 1", "write 12345678 = 8" }, "" },           -- len >= capacity passes
    { "poll_write", "123456789", 9, { "write 123456789 = 9" }, "" },
    { "poll_write", "1234567", 7, {}, "1234567" },
    { "poll_write", "", 0, {}, "1234567" },
    { "poll_flush", nil, true, { "write 1234567 = 7", "flush" }, "" },
  })
end)

exact(M, "B1", "a_write_that_passes_may_be_short", BUFFER, function()
  local d = D.writer { write = { 1, 1, 3 } }
  walk(aw.buf_writer(d.w, 8), d, {
    { "poll_write", "ab", 2, {}, "ab" },
    { "poll_write", "12345678", 3, { "write ab = 1", "write b = 1", "write 12345678 = 3" }, "" },
  })
end)

exact(M, "B1", "the_default_is_8_kib", BUFFER, function()
  local d = D.writer()
  local w = aw.buf_writer(d.w)
  check.equal(tostring(w), "buf_writer(8192) > double", "tostring")
  for _ = 1, 8192 do D.ready(w, "poll_write", "x") end
  check.list(d:trace(), {}, "calls below 8192 bytes")
  D.ready(w, "poll_write", "x")
  check.list(d:trace(), { "write <8192 bytes> = 8192" }, "calls below the next")
  w:close()
end)

exact(M, "B1", "a_capacity_of_0_passes_everything", BUFFER, function()
  local d = D.writer()
  walk(aw.buf_writer(d.w, 0), d, {
    { "poll_write", "a", 1, { "write a = 1" }, "" },
    { "poll_write", "", 0, { "write = 0" }, "" },
    { "poll_flush", nil, true, { "flush" }, "" },
  })
end)

-- B2, byte for byte as tokio's test: what is written, what has gone below then, and what is buffered.
local B2 = {
  { "\0\1", "\0\1", "" },
  { "\2", "\0\1", "\2" },
  { "\3", "\0\1", "\2\3" },
  { "flush", "\0\1\2\3", "" },
  { "\4", "\0\1\2\3", "\4" },
  { "\5", "\0\1\2\3", "\4\5" },
  { "\6", "\0\1\2\3\4\5", "\6" },
  { "\7\8", "\0\1\2\3\4\5\6\7\8", "" },
  { "\9\10\11", "\0\1\2\3\4\5\6\7\8\9\10\11", "" },
  { "flush", "\0\1\2\3\4\5\6\7\8\9\10\11", "" },
}

local function trace_b2(w, below)
  for i, step in ipairs(B2) do
    if step[1] == "flush" then
      check.equal(D.ready(w, "poll_flush"), true, "poll_flush")
    else
      check.equal(D.ready(w, "poll_write", step[1]), #step[1], ("the result of step %d"):format(i))
    end
    check.equal(below(), step[2], ("what went below in step %d"):format(i))
    check.equal(w:buffer(), step[3], ("the buffer after step %d"):format(i))
  end
end

exact(M, "B2", "the_exact_trace_over_memory", { kinds = { "buf_writer > memory" }, reason = BUFFER.reason }, function()
  local w = aw.buf_writer(aw.memory(), 2)
  trace_b2(w, function() return w:contents() end)
end)

local CALLS = { "write \\0\\1 = 2", "write \\2\\3 = 2", "flush", "write \\4\\5 = 2", "write \\6 = 1", "write \\7\\8 = 2",
  "write \\9\\10\\11 = 3", "flush" }

exact(M, "B2", "the_exact_trace_over_a_plain_writer", BUFFER, function()
  local d = D.writer()
  trace_b2(aw.buf_writer(d.w, 2), function() return d:bytes() end)
  check.list(d.log, CALLS)
end)

exact(M, "B2", "the_exact_trace_over_a_writer_that_pends_before_every_write", BUFFER, function()
  local turn = false
  local d = D.writer {
    write = function()
      turn = not turn
      return turn and "now" or nil
    end,
  }
  trace_b2(aw.buf_writer(d.w, 2), function() return d:bytes() end)
  local calls = {}
  for _, call in ipairs(CALLS) do
    if call ~= "flush" then calls[#calls + 1] = call:gsub("= %d+$", "= pending") end
    calls[#calls + 1] = call
  end
  check.list(d.log, calls)
end)

exact(M, "B3", "a_pending_flush_takes_nothing_of_the_new_write_and_sends_nothing_twice", BUFFER, function()
  local d = D.writer { write = { 2, "pending", 1, "pending" } }
  local w = aw.buf_writer(d.w, 8)
  D.poll(w, "poll_write", "abcdef")
  check.equal(select(2, D.poll(w, "poll_write", "123")), false, "the first write with no room")
  check.equal(w:buffer(), "cdef", "the buffer")
  check.equal(select(2, D.poll(w, "poll_write", "other content")), false, "the second write with no room")
  check.equal(w:buffer(), "def", "the buffer")
  check.equal(select(2, D.poll(w, "poll_write", "xyz")), 3, "a write that fits again")
  check.equal(D.ready(w, "poll_flush"), true, "poll_flush")
  check.list(d.log, { "write abcdef = 2", "write cdef = pending", "write cdef = 1", "write def = pending",
    "write def = 3", "write xyz = 3", "flush" })
end)

exact(M, "B4", "the_write_that_flushes_gets_the_error_and_is_not_accepted", BUFFER, function()
  for code, answer in pairs { ENOSPC = { "ENOSPC" }, EWRITEZERO = 0 } do
    local d = D.writer { write = { 2, answer } }
    local w = aw.buf_writer(d.w, 8)
    check.equal(w:write("abcdef"), 6, "the write that was buffered")
    local n, message, got, accepted = w:write("123")
    check.fails(code, "the write that flushes", n, message, got)
    check.equal(accepted, 0, "bytes accepted")
    check.equal(w:buffer(), "cdef", "the buffer after the error")
    check.equal(w:write_all("123"), true, "once more")
    check.equal(w:flush(), true, "flush")
    check.equal(d:bytes(), "abcdef123", "what arrived")
  end
end)

exact(M, "B4", "the_error_of_a_write_that_passes_is_its_own", BUFFER, function()
  local d = D.writer { write = { 4, { "EIO" } } }
  local w = aw.buf_writer(d.w, 4)
  check.equal(w:write("abcd"), 4, "write")
  check.fails("EIO", "a write that passes", w:write("efgh"))
  check.equal(w:buffer(), "", "the buffer")
  check.equal(d:bytes(), "abcd", "what arrived")
end)

exact(M, "B5", "into_parts_gives_back_the_writer_and_what_it_did_not_get", BUFFER, function()
  local d = D.writer { write = { 2, { "EIO" } } }
  local w = aw.buf_writer(d.w, 16)
  D.poll(w, "poll_write", "abcdef")
  D.poll(w, "poll_flush")
  local inner, rest = w:into_parts()
  check.equal(rest, "cdef", "what was not written")
  check.equal(tostring(inner), "double", "the inner writer")
  check.raises({ "moved" }, "a write to what is gone", w.write, w, "x")
  check.equal(inner:write_all(rest), true, "write_all of the rest")
  check.equal(d:bytes(), "abcdef", "what arrived")
end)

clause(M, "B5", "into_parts_loses_nothing", { "full", "buffer", function(kind)
  return not kind.name:find("^%w+_writer") and "its outermost wrapper is another" or nil
end }, function(t)
  t:fill()
  local before = t.w:buffered()
  local rest
  t.w, rest = t.w:into_parts()
  check.equal(t.w:buffered() + #rest, before, "bytes held back")
  t.accepted = { (t:booked():sub(1, t.total - #rest)) } -- the rest is ours again
  t.total = t.total - #rest
  t:put_and_finish(rest)
end)

-- B6: where an inner writer has a position, buffered bytes belong to the old one.
exact(M, "B6", "a_seek_does_not_move_what_is_buffered", { kinds = { "buf_writer > cursor(fixed)" },
  reason = "nothing in it has a position" }, function()
  local w = aw.buf_writer(aw.cursor("..........", 10), 8)
  check.equal(w:write("ab"), 2, "write")
  local ok, position = pcall(w.position, w)
  if ok then check.equal(position, 2, "the logical position") end
  if not pcall(w.set_position, w, 6) then -- to refuse is as good
    check.ok(w:flush())
    w:set_position(6)
  end
  check.equal(w:write("cd"), 2, "write after the seek")
  check.equal(w:flush(), true, "flush")
  check.equal(w:contents(), "ab....cd..", "contents")
end)

-- B7: all five methods, through everything that has nothing to add to them.
local function delegated(wrap)
  return function()
    for _, vectored in ipairs { false, true } do
      local d = D.writer { vectored = vectored, write = { 1, 2, "pending" }, flush = { "now" }, shutdown = { { "EIO" } } }
      local w = wrap(aw.join(aw.cursor("input"), d.w))
      check.equal(w:is_write_vectored(), vectored, "is_write_vectored")
      check.equal(select(2, D.poll(w, "poll_write", "abc")), 1, "poll_write")
      check.equal(select(2, D.poll(w, "poll_write_vectored", { "de", "fg" })), 2, "poll_write_vectored")
      local c, value = D.poll(w, "poll_write", "h")
      check.equal(value, false, "a pending poll_write")
      d:wake()
      check.equal(c.woken, 1, "wakes")
      check.equal(select(2, D.poll(w, "poll_flush")), false, "a pending poll_flush")
      check.equal(select(2, D.poll(w, "poll_flush")), true, "poll_flush")
      check.fails("EIO", "poll_shutdown", select(2, D.poll(w, "poll_shutdown")))
      check.equal(select(2, D.poll(w, "poll_shutdown")), true, "poll_shutdown")
      local write = vectored and "vectored " or "write "
      check.list(d.log, { write .. "abc = 1", write .. (vectored and "de|fg" or "de") .. " = 2", write .. "h = pending",
        "flush = pending", "flush", "shutdown = EIO", "shutdown" })
    end
  end
end

local function passing(...) return { kinds = { ... }, reason = "another type" } end
exact(M, "B7", "join_hands_all_on", passing("join(simplex, simplex)", "join(pipe, buf_writer > pipe)"),
  delegated(function(w) return w end))
exact(M, "B7", "buf_reader_hands_all_on", passing("buf_reader | duplex", "buf_reader | tcp",
  "buf_reader | buf_writer > unix"), delegated(aw.buf_reader))
local function nothing() end
local function over(name)
  return { function(kind) return kind.name:find("^" .. name .. " >") == nil and "another type" or nil end }
end
exact(M, "B7", "inspect_hands_all_on", over("inspect"), delegated(function(w) return aw.inspect(w, nothing) end))
exact(M, "B7", "tee_hands_all_on", over("tee"), delegated(function(w) return aw.tee { w, aw.sink() } end))
exact(M, "B7", "throttle_hands_all_on", over("throttle"), delegated(function(w) return aw.throttle(w, 1e14) end))
exact(M, "B7", "deadline_hands_all_on", over("deadline"), delegated(function(w) return aw.deadline(w, 1e6) end))
exact(M, "B7", "progress_hands_all_on", over("progress"), delegated(function(w) return aw.progress(w, nothing) end))
exact(M, "B7", "limit_hands_all_on", over("limit"), delegated(function(w) return aw.limit(w, 100) end))
exact(M, "B7", "checksum_hands_all_on", over("checksum"), delegated(function(w) return aw.checksum(w, "crc32") end))
exact(M, "B7", "split_hands_all_on", passing("split(duplex)", "split(tcp)", "split(buf_writer > tcp)"),
  delegated(function(w) return (select(2, aw.split(w))) end))
exact(M, "B7", "unsplit_hands_all_on", passing("unsplit(unix)"),
  delegated(function(w) return aw.unsplit(aw.split(w)) end))

return M
