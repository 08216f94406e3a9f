-- SPDX-License-Identifier: MIT
-- V: poll_write_vectored, and what is built on it.

local D = require "asyncwrite.testing.conformance.doubles"
local check = require "asyncwrite.testing.conformance.check"
local clause = require("asyncwrite.testing.conformance.runner").define

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

clause("V1", "a_vector_is_one_write_of_the_concatenation", {}, function(t)
  t:read_on()
  for _ = 1, 100 do
    t:write_vectored(random_list(t, t.random(8), t.random(60)))
    if t.random(3) == 1 then t:write(t:text(t.random(9))) end
  end
  t:finish()
end)

clause("V1", "a_vector_that_is_pending_or_short_is_not_half_done", { "full" }, function(t)
  for _ = 1, 100000 do
    local list = random_list(t, 3, 500)
    local c, n = D.poll(t.w, "poll_write_vectored", list)
    if not n then
      check.equal(n, false, "a vector with no room")
      check.equal(c.woken, 0, "wakes before there is room")
      break
    end
    t:book(table.concat(list), n)
    check.ok(t.total < 64 * 1024 * 1024, "it takes bytes without end")
  end
  t:read_on()
  t:finish()
end)

clause("V1", "skip_leaves_out_what_was_accepted", {}, function(t)
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

clause("V2", "a_plain_writer_takes_no_more_than_the_first_buffer", { "!vectored" }, function(t)
  t:read_on()
  for _ = 1, 20 do
    local n = t:write_vectored { "", t:text(5), D.text(6, t.total + 6) }
    check.ok(n >= 1 and n <= 5, "it took " .. n .. " bytes of a first buffer of 5")
  end
  t:finish()
end)

clause("V3", "is_write_vectored_never_changes", {}, function(t, kind)
  local want = kind.vectored or false
  local function same(when) check.equal(t.w:is_write_vectored(), want, "is_write_vectored " .. when) end
  same("at first")
  t:read_on()
  t:put(t:text(100))
  same("after writes")
  t:finish()
  same("after shutdown")
end)

clause("V4", "an_all_empty_vector_is_ready_at_once", {}, function(t)
  for _, list in ipairs { {}, { "" }, { "", "", "" } } do
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", list)), 0, "an empty vector")
  end
  t:finish()
  for _, list in ipairs { {}, { "" } } do
    check.fails("EPIPE", "an empty vector after shutdown", select(2, D.poll(t.w, "poll_write_vectored", list)))
  end
end)

clause("V4", "an_all_empty_vector_is_ready_also_when_it_is_full", { "full" }, function(t)
  t:fill()
  for _, list in ipairs { {}, { "" }, { "", "", "" } } do
    check.equal(select(2, D.poll(t.w, "poll_write_vectored", list)), 0, "an empty vector when full")
  end
end)

clause("V5", "write_all_vectored_writes_every_byte_once", {}, function(t)
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

clause("V7", "lists_beyond_iov_max_are_written", {}, function(t)
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

clause("V7", "a_total_beyond_the_kernels_limit_is_a_short_write", { function(kind)
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
