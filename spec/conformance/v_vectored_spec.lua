-- SPDX-License-Identifier: MIT
-- V: poll_write_vectored, and what is built on it.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local clause, exact = H.clause, H.exact

-- A list of strings of the text that t writes; some are empty.
local function random_list(t, count, longest)
  local list, from = {}, t.total + 1
  for i = 1, count do
    local n = t.random(4) == 1 and 0 or t.random(longest)
    list[i] = D.text(n, from)
    from = from + n
  end
  return list
end

clause(M, "V1", "a_vector_is_one_write_of_the_concatenation", {}, function(t)
  t:read_on()
  for _ = 1, 100 do
    t:write_vectored(random_list(t, t.random(8), t.random(60)))
    if t.random(3) == 1 then t:write(t:text(t.random(9))) end
  end
  t:finish()
end)

clause(M, "V1", "a_vector_that_is_pending_or_short_is_not_half_done", { "full" }, function(t)
  local c, n
  repeat
    local list = random_list(t, 3, 500)
    c, n = D.poll(t.w, "poll_write_vectored", list)
    if n then
      t:book(table.concat(list), n)
    else
      check.equal(n, false, "a vector with no room")
      check.equal(c.woken, 0, "wakes before there is room")
    end
  until n == false
  t:read_on()
  t:finish()
end)

clause(M, "V1", "skip_leaves_out_what_was_accepted", {}, function(t)
  t:read_on()
  local list = { t:text(5), "", D.text(7, t.total + 6), D.text(3, t.total + 13), "" }
  local s, done = table.concat(list), 0
  while done < #s do
    local n = check.count(s:sub(done + 1), D.ready(t.w, "poll_write_vectored", list, done))
    t:book(s:sub(done + 1), n)
    done = done + n
  end
  check.equal(D.ready(t.w, "poll_write_vectored", list, #s), 0, "a vector all of which is skipped")
  check.raises({ "poll_write_vectored", "skip" }, "a skip beyond the list", D.ready, t.w, "poll_write_vectored", list, #s + 1)
  t:finish()
end)

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

clause(M, "V2", "a_plain_writer_takes_no_more_than_the_first_buffer", { "!vectored" }, function(t)
  t:read_on()
  for _ = 1, 20 do
    local n = t:write_vectored { "", t:text(5), D.text(6, t.total + 6) }
    check.ok(n >= 1 and n <= 5, "it took " .. n .. " bytes of a first buffer of 5")
  end
  t:finish()
end)

clause(M, "V3", "is_write_vectored_never_changes", {}, function(t, kind)
  local want = kind.vectored or false
  local function same(when) check.equal(t.w:is_write_vectored(), want, "is_write_vectored " .. when) end
  same("at first")
  t:read_on()
  t:put(t:text(100))
  same("after writes")
  t:finish()
  same("after shutdown")
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

clause(M, "V4", "an_all_empty_vector_is_ready_at_once", {}, function(t)
  for _, list in ipairs { {}, { "" }, { "", "", "" } } do
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", list)), 0, "an empty vector")
  end
  t:finish()
  for _, list in ipairs { {}, { "" } } do
    check.fails("EPIPE", "an empty vector after shutdown", select(2, D.poll(t.w, "poll_write_vectored", list)))
  end
end)

clause(M, "V4", "an_all_empty_vector_is_ready_also_when_it_is_full", { "full" }, function(t)
  t:fill()
  for _, list in ipairs { {}, { "" }, { "", "", "" } } do
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", list)), 0, "an empty vector when full")
  end
end)

clause(M, "V5", "write_all_vectored_writes_every_byte_once", {}, function(t)
  t:read_on()
  for _ = 1, 30 do
    local list = random_list(t, t.random(20), t.random(200))
    local before = table.concat(list, "|")
    check.equal(t.w:write_all_vectored(list), true, "write_all_vectored")
    check.equal(table.concat(list, "|"), before, "the caller's list")
    local s = table.concat(list)
    t:book(s, #s)
  end
  t:finish()
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

clause(M, "V7", "lists_beyond_iov_max_are_written", {}, function(t)
  t:read_on()
  local list, s = {}, t:text(9000)
  for i = 1, 3000 do list[i] = s:sub(i * 3 - 2, i * 3) end
  check.ok(t:write_vectored(list) > 0, "a long vector took nothing")
  local rest = {}
  for i = 1, 3000 do rest[i] = D.text(3, t.total + i * 3 - 2) end
  check.equal(t.w:write_all_vectored(rest), true, "write_all_vectored")
  s = table.concat(rest)
  t:book(s, #s)
  t:finish()
end)

clause(M, "V7", "a_total_beyond_the_kernels_limit_is_a_short_write", { function(kind)
  local copies = not (kind.fd or kind.blind or kind.name:find("plex", 1, true))
  return copies and "it would copy all of it" or nil
end }, function(t, kind)
  local list, s = {}, ("z"):rep(4 * 1024 * 1024)
  for i = 1, 1024 do list[i] = s end -- 4 GiB
  local n = D.ready(t.w, "poll_write_vectored", list)
  check.ok(type(n) == "number" and n > 0, "a vector of 4 GiB")
  if not kind.blind then
    check.ok(n <= #s, "it took " .. n)
    t:book(s, n)
  end
  t:read_on()
  t:finish()
end)

return M
