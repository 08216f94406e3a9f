-- SPDX-License-Identifier: MIT
-- B8-B10: line_writer, by exact traces.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

local LINES = { kinds = { "line_writer > custom", "line_writer > custom(vectored)", "line_writer > chaos",
  "line_writer > buf_writer > chaos(vectored)" }, reason = "another type; the trace is of line_writer over a double" }

-- Every step: what is written (a string, a list, or nil: a flush), the result, the calls below, what is buffered then.
local function walk(w, d, steps)
  for i, step in ipairs(steps) do
    local method = step[1] == nil and "poll_flush" or type(step[1]) == "table" and "poll_write_vectored" or "poll_write"
    local value, _, code = select(2, D.poll(w, method, step[1]))
    check.equal(code or value, step[2], ("result of step %d"):format(i))
    check.list(d:trace(), step[3], ("calls below step %d"):format(i))
    check.equal(w:buffer(), step[4], ("the buffer after step %d"):format(i))
    check.equal(w:buffered(), #step[4], ("buffered() after step %d"):format(i))
  end
  w:close()
end

local FLUSH = nil

exact(M, "B10", "the_trace_of_lines", LINES, function()
  local d = D.writer()
  walk(aw.line_writer(d.w), d, {
    { "0", 1, {}, "0" },
    { "1", 1, {}, "01" },
    { FLUSH, true, { "write 01 = 2", "flush" }, "" },
    { "0\n1\n2", 5, { "write 0\\101\\10 = 4" }, "2" },
    { FLUSH, true, { "write 2 = 1", "flush" }, "" },
    { "3\n", 2, { "write 3\\10 = 2" }, "" },
  })
end)

exact(M, "B10", "the_trace_of_vectors", LINES, function()
  local d = D.writer { vectored = true }
  walk(aw.line_writer(d.w), d, {
    { { "", "\n", "", "a" }, 2, { "vectored \\10 = 1" }, "a" },
    { { "b", "a", "c" }, 3, {}, "abac" },
    { {}, 0, {}, "abac" },
    { { "", "" }, 0, {}, "abac" },
    { { "a\nb" }, 3, { "vectored abac = 4", "vectored a\\10 = 2" }, "b" }, -- one buffer is a plain write
    { { "x", "a\nb" }, 4, { "vectored b = 1", "vectored x|a\\10b = 4" }, "" }, -- the buffer of the newline goes whole
    { { "x\n", "yz", "" }, 4, { "vectored x\\10 = 2" }, "yz" },
  })
end)

exact(M, "B9", "whole_lines_are_written_and_not_flushed_below", LINES, function()
  for _, vectored in ipairs { false, true } do
    local d = D.writer { vectored = vectored }
    local w = aw.line_writer(d.w)
    D.poll(w, "poll_write", "one\n")
    D.poll(w, "poll_write", "tw")
    D.poll(w, "poll_write", "o\n")
    D.poll(w, "poll_write_vectored", { "three", "\n" })
    check.equal(d:count("flush"), 0, "flushes below")
    check.equal(d:bytes(), vectored and "one\ntwo\nthree\n" or "one\ntwo\n", "what arrived")
    w:close()
  end
end)

exact(M, "B8", "a_line_that_waits_complete_goes_before_what_comes_next", LINES, function()
  local d = D.writer { write = { 3 } }
  walk(aw.line_writer(d.w, 8), d, {
    { "abcd\n", 5, { "write abcd\\10 = 3" }, "d\n" }, -- short: the rest of the line is kept
    { "", 0, { "write d\\10 = 2" }, "" },             -- and goes out with whatever comes next
    { "ef", 2, {}, "ef" },
    { "ghijkl", 6, {}, "efghijkl" },                  -- without a newline it is a buf_writer
    { "m", 1, { "write efghijkl = 8" }, "m" },
    { "0123456789", 10, { "write m = 1", "write 0123456789 = 10" }, "" },
  })
end)

exact(M, "B8", "a_short_write_of_lines_keeps_what_ends_in_a_line", LINES, function()
  local d = D.writer { write = { 1, 1, 1, 1 } }
  walk(aw.line_writer(d.w, 4), d, {
    { "ab\ncd", 3, { "write ab\\10 = 1" }, "b\n" },            -- the rest of the lines fits; the tail is the caller's
    { FLUSH, true, { "write b\\10 = 1", "write \\10 = 1", "flush" }, "" },
  })
  d = D.writer { write = { 1 } }
  walk(aw.line_writer(d.w, 4), d, {
    { "ab\ncdefg\nh", 3, { "write ab\\10cdefg\\10 = 1" }, "b\n" }, -- it does not fit: up to the last newline that does
  })
  d = D.writer { write = { 1 } }
  walk(aw.line_writer(d.w, 4), d, {
    { "abcdefg\nh", 5, { "write abcdefg\\10 = 1" }, "bcde" },   -- no newline that would fit: as much as fits
  })
end)

exact(M, "B8", "the_tail_behind_the_lines_is_cut_to_the_capacity", LINES, function()
  local d = D.writer()
  walk(aw.line_writer(d.w, 4), d, {
    { "a\nbcdefg", 6, { "write a\\10 = 2" }, "bcde" },
  })
  d = D.writer { vectored = true }
  walk(aw.line_writer(d.w, 4), d, {
    { { "a\n", "bc", "", "def", "g" }, 6, { "vectored a\\10 = 2" }, "bcde" },
  })
end)

exact(M, "B8", "zero_pending_and_errors_take_nothing", LINES, function()
  for _, vectored in ipairs { false, true } do
    local verb = vectored and "vectored" or "write"
    local d = D.writer { vectored = vectored, write = { 0, "pending", { "EIO" } } }
    walk(aw.line_writer(d.w), d, {
      { "a\nb", 0, { verb .. " a\\10 = 0" }, "" },
      { "a\nb", false, { verb .. " a\\10 = pending" }, "" },
      { "a\nb", "EIO", { verb .. " a\\10 = EIO" }, "" },
      { "c", 1, {}, "c" },
      { "\n", 1, { verb .. " c = 1", verb .. " \\10 = 1" }, "" },
    })
  end
  local d = D.writer { vectored = true, write = { 0, "pending", { "EIO" }, 2 } }
  walk(aw.line_writer(d.w), d, {
    { { "a", "\n", "b" }, 0, { "vectored a|\\10 = 0" }, "" },
    { { "a", "\n", "b" }, false, { "vectored a|\\10 = pending" }, "" },
    { { "a", "\n", "b" }, "EIO", { "vectored a|\\10 = EIO" }, "" },
    { { "ab", "\n", "c" }, 2, { "vectored ab|\\10 = 2" }, "" }, -- short: no more is taken
  })
end)

exact(M, "B8", "what_waits_goes_first_and_an_error_there_takes_nothing_of_the_new_line", LINES, function()
  local d = D.writer { write = { 1, "pending", { "EIO" } } }
  walk(aw.line_writer(d.w), d, {
    { "abc", 3, {}, "abc" },
    { "d\n", false, { "write abc = 1", "write bc = pending" }, "bc" },
    { "other\n", "EIO", { "write bc = EIO" }, "bc" },
    { "d\n", 2, { "write bc = 2", "write d\\10 = 2" }, "" },
  })
end)

-- Lines of text, some long, some empty, some never ended.
local function line(t)
  local s = t:text(t.random(3) == 1 and t.random(60) or t.random(6))
  if t.random(2) == 1 then s = s:sub(1, -2) .. "\n" end
  return s
end

clause(M, "B8", "lines_arrive_once_and_in_order_whatever_pends", { function(kind)
  return kind.name:find("^line_writer") == nil and "another type" or nil
end }, function(t)
  t:read_on()
  for _ = 1, 300 do
    if t.random(2) == 1 then t:write(line(t)) else t:write_vectored { line(t), line(t), line(t) } end
    if t.random(20) == 1 then D.ready(t.w, "poll_flush") end
  end
  t:finish()
end)

clause(M, "B8", "a_whole_line_arrives_without_a_flush", { "!random", function(kind)
  return kind.name:find("^line_writer") == nil and "another type" or
    kind.name:find("buf_writer", 1, true) and "there is a buffer below" or nil
end }, function(t)
  t:put("a line\n")
  t:await(7)
  t:expect_all()
  check.equal(t.w:buffered(), 0, "buffered")
  t:put("more")
  check.equal(t.w:buffered(), 4, "buffered of an unfinished line")
  t:finish()
end)

return M
