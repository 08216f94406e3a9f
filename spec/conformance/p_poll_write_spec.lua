-- SPDX-License-Identifier: MIT
-- P: poll_write.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact
H.kit(M, "p_poll_write")

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

return M
