-- SPDX-License-Identifier: MIT
-- P: poll_write.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

local LENGTHS = { 1, 2, 15, 16, 17, 63, 64, 65, 1000, 8192, 20000 }

clause(M, "P1", "ready_counts_lie_within_the_buffer", {}, function(t)
  t:read_on()
  for _, len in ipairs(LENGTHS) do
    local n = t:write(t:text(len)) -- checks 0 <= n <= len
    check.ok(n > 0, "a write with room took nothing")
  end
  t:finish()
end)

clause(M, "P1", "a_range_of_the_string_is_its_buffer", {}, function(t)
  t:read_on()
  for _, range in ipairs { { 1, 10 }, { 3, 3 }, { 4, 3 }, { 11, 10 }, { -4, -2 }, { 5 }, { -1 } } do
    local s = t:text(10)
    local want = s:sub(range[1], range[2] or -1)
    local n = check.count(want, D.ready(t.w, "poll_write", s, range[1], range[2]))
    t:book(want, n)
  end
  t:finish()
end)

-- A writer that claims more than it was given, less than nothing or no count at all must not corrupt its callers.
local LIES = { { 11, "(P1)" }, { -1, "(P1)" }, { 2.5, "(P1)" }, { 1e300, "(P1)" }, { "10", "a count" }, { true, "a count" } }

exact(M, "P1", "a_count_outside_the_buffer_is_a_hard_error", { kinds = { "custom", "custom(vectored)",
  "buf_writer > custom", "buf_writer > custom(vectored)" }, reason = "its own code counts, nobody else's" }, function()
  for _, case in ipairs(LIES) do
    local text = case[2]
    for _, vectored in ipairs { false, true } do
      local function lie() return case[1] end
      local methods = { poll_write = lie, poll_write_vectored = vectored and lie or nil }
      check.raises({ "poll_write", text }, "poll_write over a liar", D.poll, aw.custom(methods), "poll_write",
        D.text(10))
      check.raises({ "poll_write", text }, "a bypass over a liar", D.poll, aw.buf_writer(aw.custom(methods), 4),
        "poll_write", D.text(10))
      local w = aw.buf_writer(aw.custom(methods), 20)
      D.poll(w, "poll_write", D.text(10))
      check.raises({ "poll_write", text }, "a flush over a liar", D.poll, w, "poll_flush")
      check.equal(w:buffer(), D.text(10), "what is still buffered")
      w:into_parts():close()
    end
  end
end)

exact(M, "P1", "a_plain_writer_may_not_count_beyond_the_first_buffer", { kinds = { "custom" }, reason = "it takes vectors" },
  function()
    local w = aw.custom { poll_write = function() return 7 end }
    check.raises({ "poll_write", "(P1)" }, "7 of 5 bytes", D.poll, w, "poll_write_vectored", { D.text(5), D.text(5) })
  end)

clause(M, "P2", "pending_takes_nothing_and_wakes_when_there_is_room", { "full" }, function(t)
  local c = t:fill()
  local refused = { "other content", t:text(300) }
  for _, s in ipairs(refused) do
    local again, n = D.poll(t.w, "poll_write", s)
    if not t.kind.late then check.equal(n, false, "a second poll with no room") end
    if n then t:book(s, n) else c = again end
  end
  t:make_room(c)
  t:write("and now")
  t:finish()
end)

clause(M, "P2", "pending_wakes_when_the_peer_goes_away", { "full", "peer" }, function(t)
  local c = t:fill()
  t:close_peer()
  c:wait()
  check.fails("EPIPE ECONNRESET", "poll_write without a peer", select(2, D.poll(t.w, "poll_write", "x")))
end)

clause(M, "P3", "a_write_that_fails_has_written_nothing", {}, function(t)
  t:read_on()
  t:put(t:text(100))
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  check.fails("EPIPE", "poll_write after shutdown", D.ready(t.w, "poll_write", "lost"))
  t:finish()
end)

local function over_flaky(wrap)
  return function(random)
    for _, vectored in ipairs { false, true } do
      local d = D.writer(D.chaos(random, { errors = 15, vectored = vectored }))
      local w, accepted = wrap(d.w), {}
      for i = 1, 300 do
        local s = ("<%d:%s>"):format(i, D.text(random(40)))
        local n, _, code = D.ready(w, "poll_write", s)
        if n then
          accepted[#accepted + 1] = s:sub(1, n)
        else
          check.equal(code, "EIO", "the code of a failure")
        end
      end
      D.run_until(function() return D.ready(w, "poll_flush") end, "a flush without an error")
      check.equal(d:bytes(), table.concat(accepted), "what arrived")
      w:close()
    end
  end
end

local FLAKY = { kinds = { "chaos", "chaos(vectored)", "buf_writer > chaos", "buf_writer > chaos(vectored)",
  "buf_writer > buf_writer > chaos" }, reason = "no double below that could fail and go on" }

exact(M, "P3", "after_an_error_the_same_writer_goes_on_where_it_was", FLAKY, over_flaky(function(w) return w end))
exact(M, "P3", "after_an_error_a_buf_writer_goes_on_where_it_was", FLAKY,
  over_flaky(function(w) return aw.buf_writer(w, 50) end))
exact(M, "P3", "after_an_error_two_buf_writers_go_on_where_they_were", FLAKY,
  over_flaky(function(w) return aw.buf_writer(aw.buf_writer(w, 20), 64) end))

clause(M, "P3", "a_full_memory_fails_whole", { kinds = { "memory", "buf_writer > memory" },
  reason = "it has no limit that is an error" }, function(t, kind)
  t.w = aw.memory(10)
  if kind.buffer then t.w = aw.buf_writer(t.w, 4) end
  check.equal(t:write("123456789"), 9, "a write with room")
  check.equal(t:write("abcdef"), 1, "a write with room for one")
  check.fails("ENOBUFS", "a write with no room", D.ready(t.w, "poll_write", "bcdef"))
  check.equal(t.w:contents(), "123456789a", "contents")
end)

clause(M, "P4", "zero_for_bytes_means_no_more_room_for_ever", { "zero" }, function(t, kind)
  t:put(t:text(kind.zero))
  local function full(what, n, message, code, accepted)
    check.fails("EWRITEZERO", what, n, message, code)
    return accepted
  end
  if kind.buffer then
    for _ = 1, kind.buffer do t:put(t:text(1)) end -- the buffer takes so much more, which then cannot leave it
    full("poll_write", D.ready(t.w, "poll_write", "x"))
    full("flush", t.w:flush())
    full("shutdown", t.w:shutdown())
  else
    for _ = 1, 3 do check.equal(D.ready(t.w, "poll_write", "x"), 0, "poll_write with no room") end
    check.equal(t.w:write("x"), 0, "write with no room")
    check.equal(t.w:write_buf(aw.cursor("x")), 0, "write_buf with no room")
  end
end)

clause(M, "P4", "higher_layers_turn_zero_into_an_error", { "zero" }, function(t, kind)
  local room = kind.zero + (kind.buffer or 0)
  t:put(t:text(room - 3))
  local function cut(what, want, value, message, code, accepted)
    check.fails("EWRITEZERO", what, value, message, code)
    check.equal(accepted, want, "bytes accepted by " .. what)
  end
  -- What is longer than a buffer is not buffered: it goes straight to where nothing fits any more.
  local fits = kind.buffer and 0 or 3
  cut("write_all", fits, t.w:write_all(D.text(20)))
  cut("write_all_vectored", 0, t.w:write_all_vectored { D.text(10), D.text(10) })
  cut("write_all_buf", 0, t.w:write_all_buf(aw.cursor(D.text(20))))
  cut("copy", 0, aw.copy(aw.cursor(D.text(20)), t.w))
  if not kind.buffer then
    cut("writef", 0, t.w:writef("%d", 1))
    cut("write_u32", 0, t.w:write_u32(1))
  end
end)

clause(M, "P4", "a_write_with_room_is_never_zero", { "!zero" }, function(t)
  t:read_on()
  for _ = 1, 50 do check.ok(t:write(t:text(100)) > 0, "poll_write gave 0 for 100 bytes") end
  t:finish()
end)

clause(M, "P5", "an_empty_write_is_ready_at_once", {}, function(t)
  check.equal(select(2, D.poll(t.w, "poll_write", "")), 0, "an empty write")
  check.equal(select(2, D.poll(t.w, "poll_write_vectored", {})), 0, "an empty vector")
  check.equal(t.w:write(""), 0, "write('')")
  check.equal(t.w:try_write(""), 0, "try_write('')")
end)

clause(M, "P5", "an_empty_write_is_ready_also_when_it_is_full", { "full" }, function(t)
  local c = t:fill()
  for _ = 1, 3 do
    check.equal(select(2, D.poll(t.w, "poll_write", "")), 0, "an empty write when full")
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", { "", "" })), 0, "an empty vector when full")
  end
  t:make_room(c) -- the waker of the write that waits is still the one
  t:finish()
end)

clause(M, "P5", "closed_comes_before_empty_after_shutdown", {}, function(t)
  t:read_on()
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  check.fails("EPIPE", "an empty write after shutdown", select(2, D.poll(t.w, "poll_write", "")))
  check.fails("EPIPE", "an empty vector after shutdown", select(2, D.poll(t.w, "poll_write_vectored", { "" })))
  check.fails("EPIPE", "an empty try_write after shutdown", t.w:try_write(""))
end)

clause(M, "P5", "closed_comes_before_empty_without_a_peer", { "peer", "!buffer" }, function(t)
  t:close_peer()
  local code = t:break_pipe()
  check.fails(code, "an empty write without a peer", select(2, D.poll(t.w, "poll_write", "")))
  check.fails(code, "an empty vector without a peer", select(2, D.poll(t.w, "poll_write_vectored", {})))
end)

clause(M, "P6", "no_room_is_pending_and_no_error", { "full" }, function(t)
  t:fill()
  for _ = 1, 3 do
    local _, n, _, code = D.poll(t.w, "poll_write", "x")
    check.equal(code, nil, "the code of a poll with no room")
    if n then t:book("x", n) end
  end
  local flushed, _, code = select(2, D.poll(t.w, "poll_flush"))
  check.ok(flushed ~= nil, code)
  t:read_on()
  t:finish()
end)

exact(M, "P6", "would_block_and_interrupted_do_not_reach_the_caller", { kinds = { "custom", "custom(vectored)",
  "buf_writer > custom", "buf_writer > custom(vectored)" }, reason = "it makes no such code" }, function()
  for _, code in ipairs { "EAGAIN", "EINTR" } do
    for _, wrap in ipairs { function(w) return w end, function(w) return aw.buf_writer(w, 0) end } do
      local d = D.writer { write = { { code } }, flush = { { code } }, shutdown = { { code } } }
      local w = wrap(d.w)
      for _, op in ipairs { "poll_write", "poll_flush", "poll_shutdown" } do
        local _, value, _, got = D.poll(w, op, "x")
        check.ok(value == false or value == nil, op .. " of " .. code)
        check.ok(got ~= code, op .. " leaks " .. code)
      end
    end
  end
end)

clause(M, "P7", "it_makes_room_by_itself_without_a_flush", { "full" }, function(t, kind)
  local total = kind.fd and 300000 or 5000
  t:read_on()
  while t.total < total do t:write(t:text(kind.fd and 5000 or 50)) end
  t:finish()
end)

clause(M, "P7", "it_makes_progress_when_only_a_flush_below_would", { kinds = { "buf_writer > buf_writer > lua_pipe" },
  reason = "it has no two buffers over something small" }, function(t)
  local c = t:fill()
  t:make_room(c)
  check.ok(select(2, D.poll(t.w, "poll_write", "x")) ~= nil, "poll_write")
  t.total = 0
  t:read_on()
end)

local function one_at_most(wrap)
  return function()
    for _, answer in ipairs { 3, "now", { "EIO" }, 10 } do
      for _, vectored in ipairs { false, true } do
        local d = D.writer { write = { answer }, vectored = vectored }
        local w = wrap(d.w)
        D.poll(w, "poll_write", D.text(10))
        check.equal(#d.log, 1, "attempts of one poll_write")
        D.poll(w, "poll_write_vectored", { D.text(10), D.text(5) })
        check.equal(#d.log, 2, "attempts of one poll_write and one poll_write_vectored")
      end
    end
    local d = D.writer { write = { "now", "now", 4 } }
    check.equal(wrap(d.w):write(D.text(10)), 4, "write")
    check.equal(#d.log, 3, "attempts of a write that was NotReady twice")
  end
end

local function reader() return aw.cursor("input") end
local function only(part) -- the trace over a double stands for every kind whose outermost type it is
  return { function(kind)
    return kind.name:sub(1, #part) ~= part and "the system calls of a leaf cannot be counted" or nil
  end }
end
exact(M, "P8", "one_attempt_per_write", only("custom"), one_at_most(function(w) return w end))
exact(M, "P8", "one_attempt_per_write_through_join", only("join("), one_at_most(function(w) return aw.join(reader(), w) end))
exact(M, "P8", "one_attempt_per_write_through_buf_reader", only("buf_reader |"),
  one_at_most(function(w) return aw.buf_reader(aw.join(reader(), w)) end))
exact(M, "P8", "one_attempt_per_write_through_split", only("split("),
  one_at_most(function(w) return select(2, aw.split(aw.join(reader(), w))) end))
exact(M, "P8", "one_attempt_per_write_past_the_buffer", only("buf_writer"),
  one_at_most(function(w) return aw.buf_writer(w, 10) end))

clause(M, "P9", "a_retry_may_bring_other_content", {}, function(t)
  t:read_on()
  local accepted = 0
  for i = 1, 400 do
    local s = ("%d:%s;"):format(i, D.text(t.random(30)))
    local c, n = D.poll(t.w, "poll_write", s)
    if n then
      t:book(s, check.count(s, n))
      accepted = accepted + 1
    else
      check.equal(n, false, "poll_write")
      c:wait()
    end
  end
  check.ok(accepted > 0, "nothing was accepted")
  t:finish()
end)

clause(M, "P10", "a_short_write_is_normal", { "full" }, function(t)
  local s = t:text(1000000)
  local n = t:write(s)
  check.ok(n > 0 and n < #s, ("a write of %d bytes took %d"):format(#s, n))
  t:read_on()
  local rest = s:sub(n + 1, n + 200000)
  check.ok(t.w:write_all(rest)) -- after a short count the edge is gone, and still the wake comes
  t:book(rest, #rest)
  t:finish()
end)

return M
