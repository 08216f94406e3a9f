-- SPDX-License-Identifier: MIT
-- V: poll_write_vectored, and what is built on it.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local exact = H.exact
H.kit(M, "v_vectored")

local PLAIN = { kinds = { "custom" }, reason = "it takes vectors, or wraps what does" }

exact(M, "V2", "a_plain_writer_gets_the_first_buffer_that_is_not_empty", PLAIN, function()
  local d = D.writer()
  local function write(list) return select(2, D.poll(d.w, "poll_write_vectored", list)) end
  check.equal(write {}, 0, "no buffers")
  check.equal(write { "", "" }, 0, "empty buffers")
  check.equal(write { "", "ab", "cd" }, 2, "the first that is not empty")
  check.equal(write { "ef", "", "g" }, 2, "the first")
  check.list(d.log, { "write = 0", "write = 0", "write ab = 2", "write ef = 2" })
end)

exact(M, "V3", "wrappers_are_as_vectored_as_what_they_wrap_and_buf_writer_always", { "!blind" }, function()
  for _, vectored in ipairs { false, true } do
    local function double() return D.writer { vectored = vectored }.w end
    local function input() return aw.cursor("input") end
    check.equal(double():is_write_vectored(), vectored, "custom")
    check.equal(aw.join(input(), double()):is_write_vectored(), vectored, "join")
    check.equal(aw.buf_reader(aw.join(input(), double())):is_write_vectored(), vectored, "buf_reader")
    check.equal(select(2, aw.split(aw.join(input(), double()))):is_write_vectored(), vectored, "split")
    check.equal(aw.buf_writer(double()):is_write_vectored(), true, "buf_writer (V6)")
  end
end)

exact(M, "V3", "a_vectored_writer_is_never_asked_to_write_plainly", { kinds = { "custom(vectored)" },
  reason = "no double below it tells the two apart" }, function()
  local d = D.writer { vectored = true }
  local buf = aw.cursor("cursor")
  check.equal(d.w:write("one"), 3, "write")
  check.equal(d.w:write_all("two", "three"), true, "write_all")
  check.equal(d.w:write_all_vectored { "four", "five" }, true, "write_all_vectored")
  check.equal(d.w:write_buf(buf), 6, "write_buf")
  check.equal(d.w:write_u16(0x4142), true, "write_u16")
  check.equal(d:count("write "), 0, "calls of poll_write")
  check.equal(d:bytes(), "onetwothreefourfivecursorAB", "what arrived")
end)

exact(M, "V5", "write_all_vectored_skips_empties_and_polls_nothing_for_nothing", { "!blind" }, function()
  local d = D.writer { vectored = true, write = { 3, "now", 1 } }
  check.equal(d.w:write_all_vectored {}, true, "an empty list")
  check.equal(d.w:write_all_vectored { "", "" }, true, "a list of empties")
  check.list(d:trace(), {}, "polls for nothing")
  check.equal(d.w:write_all_vectored { "", "ab", "", "cde", "f", "" }, true, "a list")
  check.list(d:trace(), { "vectored ab|cde|f = 3", "vectored de|f = pending", "vectored de|f = 1", "vectored e|f = 2" })
end)

exact(M, "V5", "write_all_vectored_tells_how_far_it_came", { "!blind" }, function()
  for _, vectored in ipairs { false, true } do
    for code, answer in pairs { EWRITEZERO = 0, EIO = { "EIO" } } do
      local d = D.writer { vectored = vectored, write = { 2, 1, answer } }
      local ok, message, got, accepted = d.w:write_all_vectored { "abc", "def" }
      check.fails(code, "write_all_vectored", ok, message, got)
      check.equal(accepted, 3, "bytes accepted")
      check.equal(d:bytes(), "abc", "what arrived")
    end
  end
end)

-- V6. Every step: what is written, the result, the calls below, and what is buffered then.
local function walk(w, d, steps)
  for i, step in ipairs(steps) do
    local value, _, code = select(2, D.poll(w, "poll_write_vectored", step[1]))
    check.equal(code or value, step[2], ("result of step %d"):format(i))
    check.list(d:trace(), step[3], ("calls below step %d"):format(i))
    check.equal(w:buffer(), step[4], ("the buffer after step %d"):format(i))
  end
  w:close()
end

local BRANCH = { kinds = { "buf_writer > custom", "buf_writer > custom(vectored)", "buf_writer > chaos",
  "buf_writer > chaos(vectored)", "buf_writer > buf_writer > chaos" }, reason = "about buf_writer; traced over doubles" }

exact(M, "V6", "over_a_vectored_writer_the_total_decides", BRANCH, function()
  local d = D.writer { vectored = true }
  walk(aw.buf_writer(d.w, 8), d, {
    { { "ab", "", "cd" }, 4, {}, "abcd" },                                        -- it fits
    { { "ef", "gh" }, 4, {}, "abcdefgh" },                                        -- it fits exactly and is not flushed
    { {}, 0, {}, "abcdefgh" },
    { { "i", "jk" }, 3, { "vectored abcdefgh = 8" }, "ijk" },                     -- no room: flush, then buffer all
    { { "lmno", "pqrs" }, 8, { "vectored ijk = 3", "vectored lmno|pqrs = 8" }, "" }, -- as long as the buffer: through
    { { "1", "2", "3456789" }, 9, { "vectored 1|2|3456789 = 9" }, "" },           -- longer
  })
  d = D.writer { vectored = true, write = { 2, "now", 9, 3 } }
  walk(aw.buf_writer(d.w, 8), d, {
    { { "abcd" }, 4, {}, "abcd" },
    { { "efg", "hi" }, false, { "vectored abcd = 2", "vectored cd = pending" }, "cd" }, -- nothing of the new is taken
    { { "XYZ", "12345" }, 3, { "vectored cd = 2", "vectored XYZ|12345 = 3" }, "" },     -- through, and short
  })
end)

exact(M, "V6", "over_a_plain_writer_the_first_buffer_decides", BRANCH, function()
  local d = D.writer()
  walk(aw.buf_writer(d.w, 8), d, {
    { { "", "" }, 0, {}, "" },
    { { "", "ab", "", "cd" }, 4, {}, "abcd" },                   -- leading empties go; whole buffers that fit are taken
    { { "ef", "ghijk", "l" }, 2, {}, "abcdef" },                 -- up to the first that does not fit
    { { "xyz", "a" }, 4, { "write abcdef = 6" }, "xyza" },       -- the first does not fit: flush, then as many as fit
    { { "12345678", "9" }, 8, { "write xyza = 4", "write 12345678 = 8" }, "" }, -- the first is long: through, alone
    { { "abc", "12345678" }, 3, {}, "abc" },                     -- a long one later waits for its own call
    { { "defgh" }, 5, {}, "abcdefgh" },
    { { "", "" }, 0, {}, "abcdefgh" },
  })
  d = D.writer { write = { { "EIO" }, 4, 2 } }
  walk(aw.buf_writer(d.w, 4), d, {
    { { "abc" }, 3, {}, "abc" },
    { { "de", "f" }, "EIO", { "write abc = EIO" }, "abc" },
    { { "de", "f" }, 3, { "write abc = 3" }, "def" },
    { { "123456", "7" }, 6, { "write def = 2", "write f = 1", "write 123456 = 6" }, "" },
  })
end)

exact(M, "V6", "a_bypass_may_be_short_inside_any_slice", BRANCH, function()
  for n = 1, 9 do
    local d = D.writer { vectored = true, write = { n } }
    walk(aw.buf_writer(d.w, 4), d, { { { "ab", "cdefg", "", "hi" }, n, { "vectored ab|cdefg|hi = " .. n }, "" } })
  end
end)

return M
