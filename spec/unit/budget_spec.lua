-- SPDX-License-Identifier: MIT
-- budget, budgeted: what many writers hold together stays below a limit, and who finds no room waits for it.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"
local D = require "support.doubles"
local seed = require "support.seed"

local fails, in_task, raises = check.fails, check.in_task, check.raises
local T = {}

local function text(n) return ("x"):rep(n) end

local kept = {} -- readers: one that is collected gives back what it has not read

function T.setUp() kept = {} end

-- A pipe whose writer is charged to that budget: writer, reader.
local function pipe(budget, n)
  local near, far = aw.duplex(n or 1000)
  kept[#kept + 1] = far
  return aw.budgeted(near, budget), far
end

-- ---- Charges ----

T.test_unread_bytes_are_charged_and_given_back_as_they_are_read = in_task(function()
  local budget = aw.budget(10)
  local w, far = pipe(budget)
  lu.assertEquals({ w:write(text(7)), budget:used() }, { 7, 7 })
  lu.assertEquals({ w:write(text(7)), budget:used() }, { 3, 10 })
  lu.assertEquals({ #far:read(4), budget:used() }, { 4, 6 })
  lu.assertEquals({ w:write(text(7)), budget:used() }, { 4, 10 })
  lu.assertEquals({ #far:read(), budget:used() }, { 10, 0 })
end)

T.test_bytes_in_buffers_are_charged_until_they_leave_the_chain = in_task(function()
  local budget = aw.budget(100)
  local d = D.writer()
  local w = aw.budgeted(aw.buf_writer(aw.line_writer(d.w, 30), 20), budget)
  w:write(text(5))
  lu.assertEquals({ budget:used(), w:buffered() }, { 5, 5 })
  w:write(text(18))
  lu.assertEquals({ budget:used(), w:buffered() }, { 23, 23 })
  lu.assertTrue(w:flush())
  lu.assertEquals({ budget:used(), #d:bytes() }, { 0, 23 })
  w:write(text(5))
  lu.assertTrue(w:shutdown())
  lu.assertEquals(budget:used(), 0)
end)

T.test_what_moves_from_a_buffer_into_a_pipe_is_charged_once = in_task(function()
  local budget = aw.budget(100)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.buf_writer(near, 20), budget)
  w:write(text(15))
  lu.assertEquals(budget:used(), 15)
  lu.assertTrue(w:flush())
  lu.assertEquals(budget:used(), 15)
  w:write(text(15))
  lu.assertEquals(budget:used(), 30)
  far:read()
  lu.assertEquals(budget:used(), 15)
  w:close()
end)

T.test_what_goes_straight_through_is_not_charged = in_task(function()
  local budget = aw.budget(10)
  for _, inner in ipairs { aw.sink(), aw.memory(), aw.cursor() } do
    local w = aw.budgeted(inner, budget)
    lu.assertTrue(w:write_all(text(1000)))
    lu.assertEquals(budget:used(), 0)
  end
end)

T.test_what_a_file_has_not_written_yet_is_charged_and_given_back_without_a_poll = in_task(function()
  local path = os.tmpname()
  local budget = aw.budget(10)
  local f = aw.budgeted(assert(aw.file.open(path, "w")), budget)
  lu.assertTrue(f:flush()) -- it is open
  lu.assertEquals({ f:write(text(10)), budget:used() }, { 10, 10 })
  local w = pipe(budget)
  lu.assertEquals(w:write("abc"), 3) -- it had to wait for the disk, which only the loop can tell it
  lu.assertEquals(budget:used(), 3)
  f:close()
  w:close()
  os.remove(path)
end)

T.test_what_a_closed_file_is_still_writing_stays_charged = in_task(function()
  local path = os.tmpname()
  local budget = aw.budget(10)
  local f = aw.budgeted(assert(aw.file.open(path, "w")), budget)
  lu.assertTrue(f:flush())
  f:write(text(10))
  f:close()
  lu.assertEquals(budget:used(), 10)
  lu.assertEquals((pipe(budget)):write("abc"), 3)
  os.remove(path)
end)

function T.test_what_a_closed_file_could_not_write_is_charged_until_it_is_given_up()
  local result = child.run(child.posix_text() .. [[
    local aw = require "asyncwrite"
    local path = os.tmpname()
    aw.run(function()
      local budget = aw.budget(1050)
      local f = aw.budgeted(assert(aw.file.create(path)), budget)
      assert(f:flush())
      os.remove(path)
      posix.limit_file_size(1000)
      assert(f:write(("x"):rep(1050)) == 1050)
      f:close()
      assert(budget:used() == 1050)
      local near, far = aw.duplex(10)
      assert(aw.budgeted(near, budget):write_all("through"))
      assert(far:read() == "through" and budget:used() == 0)
    end)]])
  lu.assertStrMatches(result.err, "asyncwrite: 50 bytes lost: file /[^:]+: EFBIG: file too large\n")
  lu.assertEquals(result.code, 0)
end

T.test_what_is_held_already_is_charged_from_the_start_also_beyond_the_limit = in_task(function()
  local budget = aw.budget(10)
  local near, far = aw.duplex(1000)
  near:write(text(30))
  local w = aw.budgeted(near, budget)
  lu.assertEquals({ budget:used(), D.poll(w, "poll_write", "x") and select(2, D.poll(w, "poll_write", "x")) }, { 30, false })
  far:read(20)
  lu.assertEquals(select(2, D.poll(w, "poll_write", "x")), false)
  far:read(1)
  lu.assertEquals(w:write("xyz"), 1)
end)

T.test_taking_the_wrapper_off_ends_its_charge = in_task(function()
  local budget = aw.budget(10)
  local w, far = pipe(budget)
  local other = pipe(budget)
  w:write(text(10))
  local c = D.poll(other, "poll_write", "x")
  local inner, held = w:into_parts()
  lu.assertEquals({ held, budget:used(), c.woken }, { "", 0, 1 })
  lu.assertEquals({ inner:write("xyz"), budget:used() }, { 3, 0 })
  lu.assertEquals({ #far:read(), budget:used() }, { 13, 0 })
end)

T.test_unread_bytes_stay_charged_when_their_writer_is_closed = in_task(function()
  local budget = aw.budget(10)
  local w, far = pipe(budget)
  w:write(text(10))
  w:close()
  lu.assertEquals(budget:used(), 10)
  local other = pipe(budget)
  local c = D.poll(other, "poll_write", "x")
  lu.assertEquals({ #far:read(4), budget:used(), c.woken }, { 4, 6, 1 })
  lu.assertEquals({ #far:read(), budget:used(), far:read() }, { 6, 0, nil })
end)

T.test_a_reader_that_goes_gives_back_what_it_has_not_read = in_task(function()
  for _, first in ipairs { "reader", "writer" } do
    local budget = aw.budget(10)
    local w, far = pipe(budget)
    w:write(text(10))
    if first == "writer" then w:close() end
    far:close()
    lu.assertEquals(budget:used(), 0, first)
    if first == "reader" then w:close() end
    lu.assertEquals(budget:used(), 0, first)
  end
end)

T.test_a_buffer_that_is_dropped_is_given_back_and_what_it_had_passed_on_is_not = in_task(function()
  local budget = aw.budget(100)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.buf_writer(near, 20), budget)
  w:write(text(30))
  w:write(text(8))
  lu.assertEquals(budget:used(), 38)
  w:close()
  lu.assertEquals(budget:used(), 30)
  far:close()
  lu.assertEquals(budget:used(), 0)
end)

T.test_two_budgets_around_one_pipe_are_both_charged_and_both_given_back = in_task(function()
  local a, b = aw.budget(10), aw.budget(20)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.budgeted(near, a), b)
  local wa, wb = pipe(a), pipe(b)
  wb:write(text(10))
  lu.assertEquals({ w:write(text(30)), a:used(), b:used() }, { 10, 10, 20 })
  local ca, cb = D.poll(wa, "poll_write", "x"), D.poll(wb, "poll_write", "x")
  far:read(3)
  lu.assertEquals({ a:used(), b:used(), ca.woken, cb.woken }, { 7, 17, 1, 1 })
  w:close()
  lu.assertEquals({ a:used(), b:used() }, { 7, 17 })
  far:read()
  lu.assertEquals({ a:used(), b:used() }, { 0, 10 })
end)

T.test_a_budget_that_two_of_one_chain_have_is_charged_once_with_what_goes_through_both = in_task(function()
  local budget = aw.budget(10)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.buf_writer(aw.budgeted(near, budget), 100), budget)
  lu.assertEquals({ w:write(text(30)), budget:used() }, { 10, 10 })
  lu.assertTrue(w:flush()) -- into the pipe: they need no room there once more
  lu.assertEquals({ budget:used(), (select(2, D.poll(w, "poll_write", "x"))) }, { 10, false })
  lu.assertEquals({ #far:read(4), budget:used(), w:write(text(9)), budget:used() }, { 4, 6, 4, 10 })
  lu.assertTrue(w:shutdown())
  w:close()
  lu.assertEquals({ budget:used(), #far:read(), budget:used() }, { 10, 10, 0 })
end)

T.test_a_budget_above_those_of_two_of_one_chain_is_charged_once_and_theirs_each = in_task(function()
  local top = aw.budget(10)
  local a, b, c = aw.budget(8, top), aw.budget(9, top), aw.budget(7)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.budgeted(aw.budgeted(aw.buf_writer(near, 4), a), c), b)
  lu.assertEquals({ w:write(text(30)), a:used(), b:used(), c:used(), top:used() }, { 7, 7, 7, 7, 7 })
  lu.assertEquals({ #far:read(2), w:write(text(30)) }, { 2, 2 })
  lu.assertEquals({ a:used(), b:used(), c:used(), top:used() }, { 7, 7, 7, 7 })
  far:close() -- what is in the buffer stays
  lu.assertEquals({ a:used(), b:used(), c:used(), top:used() }, { 2, 2, 2, 2 })
  w:close()
  lu.assertEquals({ a:used(), b:used(), c:used(), top:used() }, { 0, 0, 0, 0 })
end)

T.test_the_inner_one_is_charged_again_when_the_outer_one_is_taken_off = in_task(function()
  local budget = aw.budget(10)
  local near, far = aw.duplex(1000)
  local inner = aw.budgeted(near, budget)
  inner:write(text(3))
  local w = aw.budgeted(inner, budget)
  lu.assertEquals({ budget:used(), w:write(text(4)), budget:used() }, { 3, 4, 7 })
  local counter = D.poll(pipe(budget), "poll_write", text(3)) -- the rest
  inner = w:into_parts()
  lu.assertEquals({ counter.woken, budget:used(), (select(2, D.poll(inner, "poll_write", "x"))) }, { 0, 10, false })
  lu.assertEquals({ #far:read(), inner:write(text(20)), budget:used() }, { 7, 7, 10 })
  inner:close()
end)

T.test_what_a_tee_holds_for_a_branch_needs_no_room_again_in_the_budget_of_both = in_task(function()
  for _, branch_first in ipairs { true, false } do
    local budget = aw.budget(10)
    local near, far = aw.duplex(1000)
    local branch, memory = aw.budgeted(near, budget), aw.memory()
    local w = aw.budgeted(aw.tee(branch_first and { branch, memory } or { memory, branch }), budget)
    local reader = aw.spawn(function() return far:read_to_end() end)
    lu.assertTrue(w:write_all(text(100)))
    lu.assertTrue(w:shutdown())
    lu.assertEquals({ reader:join(), budget:used() }, { text(100), 0 })
  end
end)

T.test_what_a_tee_may_hold_more_than_once_has_room_for_each_time = in_task(function()
  local budget, other = aw.budget(10), D.writer { write = { "pending", "pending", "pending" } }
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.tee { near, other.w }, budget)
  lu.assertEquals({ w:write(text(30)), budget:used() }, { 5, 10 }) -- in the pipe, and kept for the other branch
  other:wake()
  lu.assertEquals({ #far:read(), budget:used() }, { 5, 5 })
  w:close()
  budget = aw.budget(1)
  near, far = aw.duplex(1000)
  w = aw.budgeted(aw.tee { near, aw.memory() }, budget)
  lu.assertEquals({ w:write(text(30)), budget:used() }, { 1, 1 }) -- so little that it is never enough
  far:close()
  w:close()
end)

T.test_S6_closed_comes_before_no_room = in_task(function()
  local budget = aw.budget(3)
  local near, far = aw.duplex(1000)
  near:write("abc")
  near:shutdown()
  local w = aw.budgeted(near, budget)
  fails("EPIPE", w:poll_write("x"))
  lu.assertEquals({ budget:waiting(), far:read() }, { 0, "abc" })
end)

T.test_a_branch_that_a_tee_drops_takes_its_charge_with_it = in_task(function()
  local budget = aw.budget(100)
  local near, far = aw.duplex(5)
  local w = aw.budgeted(aw.tee({ near, aw.memory() }, { on_error = "drop", capacity = 50 }), budget)
  w:write(text(5))
  lu.assertEquals(budget:used(), 5)
  far:close()
  lu.assertEquals(budget:used(), 0)
  w:write(text(5))
  w:write(text(5))
  lu.assertEquals({ w:branches()[1].failed, budget:used() }, { "EPIPE", 0 })
  w:close()
end)

T.test_the_branch_that_leads_after_another_was_dropped_is_the_one_that_gives_back = in_task(function()
  local budget = aw.budget(100)
  local slow, slow_far = aw.duplex(5)
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.tee({ slow, near }, { on_slow = "drop", capacity = 5 }), budget)
  for _ = 1, 20 do w:write(text(5)) end
  lu.assertEquals({ w:branches()[1].failed, budget:used() > 20 }, { "ENOBUFS", true })
  local used = budget:used()
  lu.assertEquals({ #far:read(20), budget:used() }, { 20, used - 20 })
  lu.assertEquals({ #slow_far:read(), budget:used() }, { 5, used - 20 })
  w:close()
end)

-- ---- Room, and waiting for it ----

T.test_P2_no_room_is_pending_and_every_waiter_is_woken_when_there_is_some = in_task(function()
  local budget = aw.budget(10)
  local w, far = pipe(budget)
  w:write(text(10))
  local others, counters = {}, {}
  for i = 1, 3 do
    others[i] = pipe(budget)
    local n
    counters[i], n = D.poll(others[i], "poll_write", "abc")
    lu.assertFalse(n)
  end
  lu.assertEquals({ budget:waiting(), budget:used() }, { 3, 10 })
  far:read(1)
  for i = 1, 3 do lu.assertEquals(counters[i].woken, 1) end
  lu.assertEquals(budget:waiting(), 0)
  far:read(1)
  lu.assertEquals(counters[1].woken, 1)
end)

T.test_who_waits_for_longer_comes_first_also_after_a_wake_that_had_no_room_for_it = in_task(function()
  local budget = aw.budget(1)
  local order, readers = {}, {}
  local first, far = pipe(budget)
  first:write("x")
  for i = 1, 3 do
    local w, r = pipe(budget)
    readers[i] = r
    aw.spawn(function()
      for _ = 1, 3 do
        w:write_all("x")
        order[#order + 1] = i
      end
    end)
  end
  aw.yield()
  far:read()
  for _ = 1, 9 do
    D.run_until(function() return budget:used() == 1 end, "a write")
    for _ = 1, 5 do aw.yield() end
    readers[order[#order]]:read()
  end
  lu.assertEquals(table.concat(order), "123123123")
end)

T.test_who_takes_the_room_back_at_once_does_not_keep_it_from_those_who_were_woken_for_it = in_task(function()
  local budget = aw.budget(4)
  local greedy, far = pipe(budget)
  local got, rounds = 0, 0
  greedy:write("xxxx")
  for i = 1, 2 do
    local w, r = pipe(budget)
    aw.spawn(function()
      for _ = 1, 10 do
        local n = w:write("y")
        got = got + n
        r:read()
      end
    end)
    if i == 1 then aw.yield() end
  end
  while got < 20 and rounds < 100 do
    rounds = rounds + 1
    far:read(4)
    lu.assertTrue(greedy:write_all("xxxx"))
  end
  lu.assertTrue(rounds < 100)
end)

T.test_a_writer_waits_once_at_most_for_those_who_were_woken_and_do_not_come = in_task(function()
  local budget = aw.budget(4)
  local w, far = pipe(budget)
  local absent = { pipe(budget), pipe(budget) }
  w:write("xxxx")
  for i = 1, 2 do D.poll(absent[i], "poll_write", "x") end
  far:read(4)
  local c, n = D.poll(w, "poll_write", "x")
  lu.assertEquals({ n, c.woken, budget:waiting() }, { false, 1, 0 })
  for _ = 1, 3 do lu.assertEquals(c:poll(w, "poll_write", "x"), 1) end
  lu.assertEquals({ c.woken, budget:used() }, { 1, 3 })
  local gone = aw.spawn(function() return absent[1]:write_all("xxxxx") end)
  aw.yield()
  lu.assertEquals({ budget:waiting(), budget:used() }, { 1, 4 })
  gone:cancel()
  far:read()
  lu.assertEquals({ c:poll(w, "poll_write", "xxxxx"), c.woken }, { 3, 1 }) -- nobody is there to give way to
end)

T.test_the_least_room_of_all_above_is_what_a_write_gets = in_task(function()
  local top = aw.budget(20)
  local a, b = aw.budget(15, top), aw.budget(15, top)
  local wa, ra = pipe(a)
  local wb, rb = pipe(b)
  lu.assertEquals({ wa:write(text(30)), wb:write(text(30)) }, { 15, 5 })
  lu.assertEquals({ a:used(), b:used(), top:used() }, { 15, 5, 20 })
  local ca, cb = D.poll(wa, "poll_write", "x"), D.poll(wb, "poll_write", "x")
  lu.assertEquals({ a:waiting(), b:waiting(), top:waiting() }, { 1, 0, 1 })
  rb:read(1) -- b's own, but only the room of all helps a
  lu.assertEquals({ ca.woken, cb.woken }, { 0, 1 })
  ra:read(1)
  lu.assertEquals({ ca.woken, a:used(), top:used() }, { 1, 14, 18 })
end)

-- In a process of its own: here other specs may have left streams to the collector.
function T.test_the_global_budget_is_above_all_and_has_no_limit_at_first()
  local result = child.run [[
    local aw = require "asyncwrite"
    local global = aw.global_budget()
    local waker = aw.waker(function() end)
    assert(global:limit() == math.huge and tostring(global) == "budget(unlimited)" and global == aw.global_budget())
    local near, far = aw.duplex(1000)
    local w = aw.budgeted(near, aw.budget(100))
    local plain = aw.budgeted(aw.buf_writer(aw.sink(), 100))
    assert(w:try_write(("x"):rep(10)) == 10 and plain:try_write("12345") == 5 and global:used() == 15)
    assert(tostring(plain) == "budgeted(unlimited) > buf_writer(100) > sink")
    global:set_limit(20)
    assert(tostring(plain) == "budgeted(20) > buf_writer(100) > sink")
    assert(w:try_write(("x"):rep(10)) == 5 and global:waiting() == 0)
    assert(aw.with_waker(waker, w.poll_write, w, "x") == false and global:waiting() == 1)
    global:set_limit(math.huge)
    assert(global:waiting() == 0 and w:try_write(("x"):rep(10)) == 10)
    far:close()
    plain:close()
    assert(global:used() == 0)]]
  lu.assertEquals({ result.err, result.code }, { "", 0 })
end

T.test_a_limit_below_what_is_used_stops_new_bytes_until_that_fell = in_task(function()
  local budget = aw.budget(10)
  local w, far = pipe(budget)
  w:write(text(8))
  budget:set_limit(4)
  lu.assertEquals({ budget:limit(), budget:used() }, { 4, 8 })
  local c, n = D.poll(w, "poll_write", "x")
  lu.assertFalse(n)
  far:read(4)
  lu.assertEquals({ c.woken, select(2, c:poll(w, "poll_write", "x")) }, { 0, nil })
  lu.assertEquals(c:poll(w, "poll_write", "x"), false)
  far:read(1)
  lu.assertEquals({ c.woken, w:write("xy") }, { 1, 1 })
  budget:set_limit(0)
  far:read()
  lu.assertEquals({ budget:used(), (select(2, D.poll(w, "poll_write", "x"))) }, { 0, false })
end)

T.test_a_higher_limit_wakes_who_waits = in_task(function()
  local budget = aw.budget(5)
  local w = pipe(budget)
  w:write(text(5))
  local c = D.poll(w, "poll_write", "x")
  budget:set_limit(5)
  lu.assertEquals(c.woken, 0)
  budget:set_limit(6)
  lu.assertEquals({ c.woken, w:write("xy") }, { 1, 1 })
end)

T.test_P7_without_room_what_the_chain_itself_holds_goes_first = in_task(function()
  local budget = aw.budget(10)
  local d = D.writer { flush = { "pending" } }
  local w = aw.budgeted(aw.buf_writer(d.w, 100), budget)
  lu.assertEquals(w:write(text(30)), 10)
  lu.assertEquals(w:write(text(30)), 10)
  lu.assertEquals(d.log, { "write " .. text(10) .. " = 10", "flush = pending" }) -- it pends, but the bytes are gone
  lu.assertTrue(w:write_all(text(25)))
  lu.assertTrue(w:shutdown())
  lu.assertEquals(#d:bytes(), 45)
end)

T.test_a_flush_for_room_that_pends_with_the_bytes_still_there_wakes_and_others_may_make_room_too = in_task(function()
  for _, who in ipairs { "below", "other" } do
    local budget = aw.budget(10)
    local other, far = pipe(budget)
    other:write(text(5))
    local d = D.writer { write = { "pending" } }
    local w = aw.budgeted(aw.buf_writer(d.w, 100), budget)
    lu.assertEquals(w:write(text(30)), 5)
    local c, n = D.poll(w, "poll_write", "x")
    lu.assertEquals({ n, budget:waiting() }, { false, 1 })
    if who == "below" then d:wake() else far:read(2) end
    lu.assertEquals(c.woken, 1, who)
    lu.assertEquals(w:write("xyz"), who == "below" and 3 or 2)
    w:close()
  end
end)

T.test_F5_an_error_of_a_flush_for_room_is_the_writes_and_loses_nothing = in_task(function()
  local budget = aw.budget(10)
  local d = D.writer { write = { 4, { "EIO" } } }
  local w = aw.budgeted(aw.buf_writer(d.w, 100), budget)
  w:write(text(10))
  fails("EIO", w:poll_write("abc"))
  lu.assertEquals({ budget:used(), w:write("abcdefgh") }, { 6, 4 })
  lu.assertTrue(w:flush())
  lu.assertEquals(d:bytes(), text(10) .. "abcd")
end)

T.test_P5_an_empty_write_needs_no_room_and_leaves_the_waiting_one_alone = in_task(function()
  local budget = aw.budget(5)
  local w, far = pipe(budget)
  w:write(text(5))
  local c = D.poll(w, "poll_write", "x")
  lu.assertEquals({ w:poll_write(""), w:poll_write_vectored {}, w:try_write(""), budget:waiting() }, { 0, 0, 0, 1 })
  far:read(1)
  lu.assertEquals(c.woken, 1)
end)

T.test_try_write_without_room_is_eagain_and_registers_nothing = in_task(function()
  local budget = aw.budget(5)
  local w, far = pipe(budget)
  lu.assertEquals(w:try_write(text(10)), 5)
  fails("EAGAIN", w:try_write("x"))
  lu.assertEquals(budget:waiting(), 0)
  local c = D.poll(w, "poll_write", "x")
  fails("EAGAIN", w:try_write("x"))
  lu.assertEquals(budget:waiting(), 1)
  far:read(1)
  lu.assertEquals(c.woken, 1)
end)

T.test_V1_vectors_are_cut_at_the_room = in_task(function()
  local function cut(n)
    local w, far = pipe(aw.budget(n))
    local accepted = w:write_vectored { "ab", "", "cde", "f" }
    return accepted .. far:read()
  end
  lu.assertEquals({ cut(1), cut(2), cut(4), cut(5), cut(6), cut(9) }, { "1a", "2ab", "2ab", "5abcde", "6abcdef", "6abcdef" })
  local budget = aw.budget(5)
  local w, far = pipe(budget)
  local reader = aw.spawn(function() return far:read_exact(9) end)
  lu.assertTrue(w:write_all_vectored { "abc", "", "def", "ghi" })
  lu.assertEquals({ reader:join(), budget:used() }, { "abcdefghi", 0 })
end)

T.test_W2_the_waker_of_the_latest_poll_is_the_one = in_task(function()
  local budget = aw.budget(5)
  local w, far = pipe(budget)
  w:write(text(5))
  local old = D.poll(w, "poll_write", "x")
  local new = D.poll(w, "poll_write", "x")
  lu.assertEquals(budget:waiting(), 1)
  far:read(1)
  lu.assertEquals({ old.woken, new.woken }, { 0, 1 })
end)

T.test_W2_a_flush_that_pends_takes_the_place_of_a_write_that_waits = in_task(function()
  local budget = aw.budget(10)
  local other, far = pipe(budget)
  other:write(text(5))
  local d = D.writer { write = { "pending", "pending" } }
  local w = aw.budgeted(aw.buf_writer(d.w, 100), budget)
  w:write(text(5))
  local old = D.poll(w, "poll_write", "x")
  local new, flushed = D.poll(w, "poll_flush")
  lu.assertEquals({ flushed, budget:waiting() }, { false, 0 })
  far:read(1)
  lu.assertEquals(old.woken, 0)
  d:wake()
  lu.assertEquals({ old.woken, new.woken }, { 0, 1 })
  w:close()
end)

-- ---- Ends ----

T.test_W8_a_peer_that_goes_tells_who_waits_for_room = in_task(function()
  local budget = aw.budget(5)
  local w, far = pipe(budget)
  local other, other_far = pipe(budget)
  other:write(text(3))
  w:write(text(2))
  local c = D.poll(w, "poll_write", "x")
  far:close()
  lu.assertEquals(c.woken, 1)
  fails("EPIPE", w:poll_write("x"))
  w:close()
  local late, late_far = pipe(budget)
  other:write(text(5))
  c = D.poll(late, "poll_write", "x") -- it holds nothing itself
  late_far:close()
  lu.assertEquals(c.woken, 1)
  fails("EPIPE", late:poll_write("x"))
  lu.assertEquals(#other_far:read(), 5)
end)

T.test_a_task_that_waits_for_room_is_told_when_its_writer_is_closed = in_task(function()
  local budget = aw.budget(5)
  local full = pipe(budget)
  full:write(text(5))
  local w = pipe(budget)
  local task = aw.spawn(function() return w:write_all("x") end)
  aw.yield()
  lu.assertEquals(budget:waiting(), 1)
  w:close()
  fails("ECANCELED", task:join())
  lu.assertEquals(budget:waiting(), 0)
end)

T.test_closing_one_gives_its_buffer_to_those_who_wait = in_task(function()
  local budget = aw.budget(5)
  local held = aw.budgeted(aw.buf_writer(aw.sink(), 10), budget)
  held:write(text(5))
  local w, far = pipe(budget)
  local task = aw.spawn(function() return w:write_all("through") end)
  aw.yield()
  held:close()
  lu.assertEquals(far:read_exact(7), "through")
  lu.assertTrue(task:join())
end)

T.test_a_cancelled_waiter_takes_no_room_from_the_others = in_task(function()
  local budget = aw.budget(5)
  local full, far = pipe(budget)
  full:write(text(5))
  local a, b = pipe(budget), pipe(budget)
  local gone = aw.spawn(function() a:write_all(text(5)) end)
  local stays = aw.spawn(function() return b:write_all(text(5)) end)
  aw.yield()
  lu.assertEquals(budget:waiting(), 2)
  far:read()
  gone:cancel() -- woken, and not run yet
  lu.assertTrue(stays:join())
  lu.assertEquals({ budget:used(), budget:waiting() }, { 5, 0 })
  gone = aw.spawn(function() a:write_all("x") end)
  aw.yield()
  gone:cancel()
  lu.assertEquals(budget:waiting(), 0)
end)

T.test_a_budget_lives_as_long_as_its_writers = in_task(function()
  local w, far = pipe(aw.budget(5, aw.budget(3)))
  for _ = 1, 3 do collectgarbage() end
  lu.assertEquals(w:write(text(9)), 3)
  lu.assertFalse(select(2, D.poll(w, "poll_write", "x")))
  far:read()
  lu.assertEquals({ w:write(text(9)), tostring(w) }, { 3, "budgeted(5) > duplex(1000)" })
end)

T.test_a_function_that_is_woken_may_close_everything = in_task(function()
  local budget = aw.budget(5)
  local full, far = pipe(budget)
  full:write(text(5))
  local all, woken = { full, far }, 0
  for i = 3, 6 do
    local w = pipe(budget)
    all[i] = w
    aw.with_waker(aw.waker(function()
      woken = woken + 1
      for _, s in ipairs(all) do if not s:is_closed() then s:close() end end
    end), w.poll_write, w, "x")
  end
  lu.assertEquals(budget:waiting(), 4)
  lu.assertEquals(#far:read(1), 1)
  lu.assertEquals({ woken, budget:used(), budget:waiting() }, { 4, 0, 0 })
end)

T.test_what_a_function_below_writes_to_another_of_the_group_does_not_exceed_the_limit = in_task(function()
  local budget = aw.budget(10)
  local other, most = pipe(budget), 0
  local near, far = aw.duplex(1000)
  local w = aw.budgeted(aw.inspect(near, function()
    other:try_write(text(10))
    most = math.max(most, budget:used())
  end), budget)
  lu.assertEquals(w:write(text(6)), 6)
  lu.assertTrue(most <= 10 and budget:used() == 10, most)
  far:close()
end)

T.test_what_is_read_while_a_write_is_under_way_is_no_room_for_others_before_it_ends = in_task(function()
  local budget = aw.budget(25)
  local near, far = aw.duplex(1000)
  local other = pipe(budget)
  local w = aw.budgeted(aw.buf_writer(aw.inspect(near, function()
    far:try_read(1)
    other:try_write(text(10))
  end), 20), budget)
  w:write(text(10))
  lu.assertEquals(w:write(text(15)), 15) -- the buffer goes out first
  lu.assertEquals(budget:used(), 24)
  w:close()
end)

function T.test_a_run_in_which_all_wait_for_room_that_nobody_can_give_is_stuck_and_names_the_budget()
  local held, near, far
  local message = raises(function()
    aw.run(function()
      local budget = aw.budget(10)
      held = aw.budgeted(aw.buf_writer(aw.sink(), 100), budget)
      held:write(text(10))
      near, far = pipe(budget, 64)
      aw.spawn("writer", function() near:write_all("x") end)
    end)
  end, "run: 1 task(s) wait and nothing can wake them:")
  lu.assertStrContains(message, "task 'writer' waits in write_all on budgeted(10) > duplex(64) at spec/unit/budget_spec.lua:")
  for _, s in ipairs { held, near, far } do s:close() end
end

-- ---- Any order of things ----

-- Writers of two groups below one, whose readers are slow, against the sum of what is in their pipes and buffers.
local function explore(random)
  local top = aw.budget(20 + random(60))
  local groups = { aw.budget(10 + random(40), top), aw.budget(10 + random(40), top) }
  local all, ends = {}, {}
  local function check_sums()
    local sum = { 0, 0 }
    for _, p in ipairs(all) do
      sum[p.group] = sum[p.group] + p.accepted - p.arrived
    end
    for i, group in ipairs(groups) do
      lu.assertEquals(group:used(), sum[i])
      lu.assertTrue(group:used() <= group:limit(), "over the limit of a group")
    end
    lu.assertEquals(top:used(), sum[1] + sum[2])
    lu.assertTrue(top:used() <= top:limit(), "over the limit of all")
  end
  for i = 1, 6 do
    local near, far = aw.duplex(random(60))
    local p = { group = i % 2 + 1, accepted = 0, arrived = 0, parts = {} }
    if random(2) == 1 then near = aw.buf_writer(near, random(30)) end
    p.w, p.r = aw.budgeted(near, groups[p.group]), far
    all[i] = p
    ends[#ends + 1] = aw.spawn("writer", function()
      local total = 100 + random(300)
      while p.accepted < total do
        local n = assert(p.w:write(D.text(math.min(random(50), total - p.accepted), p.accepted + 1)))
        p.accepted = p.accepted + n
        check_sums()
        if random(4) == 1 then assert(p.w:flush()) end
        for _ = 1, random(3) - 1 do aw.yield() end
      end
      assert(p.w:shutdown())
      p.w:close()
    end)
    ends[#ends + 1] = aw.spawn("reader", function()
      while true do
        local s = p.r:read(random(40))
        if not s then break end
        p.arrived = p.arrived + #s
        p.parts[#p.parts + 1] = s
        check_sums()
        for _ = 1, random(3) - 1 do aw.yield() end
      end
    end)
  end
  for _, task in ipairs(ends) do task:join() end
  for _, p in ipairs(all) do lu.assertEquals(table.concat(p.parts), D.text(p.accepted)) end
  lu.assertEquals({ top:used(), top:waiting() }, { 0, 0 })
end

T.test_the_charges_are_what_is_held_and_never_more_than_the_limit_and_all_bytes_arrive = in_task(function()
  for i = 1, 30 do
    local ok, err = pcall(explore, D.random(seed + i))
    if not ok then error(("seed %d: %s"):format(seed + i, tostring(err)), 0) end
  end
end)

-- ---- C, and misuse ----

local function program(before)
  local result = child.sh((before or "") .. child.build .. "/spec/budget", 60)
  lu.assertEquals({ result.err, result.out, result.code }, { "", "ok\n", 0 })
end

function T.test_a_waker_in_c_may_free_what_waits_what_is_read_and_the_budget() program() end

function T.test_valgrind_finds_no_error_and_no_leak_in_that()
  child.need("valgrind")
  child.not_sanitized("valgrind")
  program("valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible ")
end

T.test_misuse_is_named = check.misuses {
  function() aw.budget() end, "bad argument #1 'bytes' to 'budget' (number expected, got no value)",
  function() aw.budget(0) end, "bad argument #1 'bytes' to 'budget' (integer from 1 to 9007199254740991 expected, got 0)",
  function() aw.budget(1, aw.sink()) end, "bad argument #2 'parent' to 'budget' (budget expected, got userdata)",
  function() aw.budgeted(1) end, "bad argument #1 'w' to 'budgeted' (writer or reader expected, got number)",
  function() aw.budgeted(aw.sink(), 5) end, "bad argument #2 'budget' to 'budgeted' (budget expected, got number)",
  function() aw.budget(1):set_limit("x") end, "bad argument #1 'n' to 'set_limit' (number expected, got string)",
  function() aw.budget(1):set_limit(-1) end,
    "bad argument #1 'n' to 'set_limit' (integer from 0 to 9007199254740991 expected, got -1)",
  function() aw.budget(1).used() end, "bad self to 'used' (budget expected, got no value)",
}

return T
