-- SPDX-License-Identifier: MIT
-- testing.chaos: what a schedule says is what happens, and nothing else; explore, interrupt, shrink.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"

local T = {}

local function in_task(f)
  return function() testing.run(f) end
end

local function poll(w, method, ...) return aw.with_waker(aw.waker(function() end), w[method], w, ...) end

-- ---- What the words of a schedule do ----

T.test_short_writes_and_reads_take_so_many_bytes_at_most = in_task(function()
  local w = testing.chaos(aw.memory(), "1: short:2 ok short:1 short:9")
  lu.assertEquals(poll(w, "poll_write", "abcdef"), 2)
  lu.assertEquals(poll(w, "poll_write", "cdef"), 4)
  lu.assertEquals(poll(w, "poll_write_vectored", { "gh", "i" }), 1)
  lu.assertEquals(poll(w, "poll_write_vectored", { "hij", "k" }), 4)
  lu.assertEquals(w:contents(), "abcdefghijk")
  local r = testing.chaos(aw.cursor("abcdef"), "1: short:2")
  lu.assertEquals({ poll(r, "poll_read"), poll(r, "poll_read", 3), poll(r, "poll_read") }, { "ab", "cde", "f" })
end)

T.test_an_early_pending_has_woken_and_taken_nothing = in_task(function()
  local w = testing.chaos(aw.memory(), "1: early early")
  local c = testing.waker()
  lu.assertFalse(c:poll(w, "poll_write", "abc"))
  lu.assertEquals(c:count(), 1)
  lu.assertEquals(w:contents(), "")
  lu.assertFalse(c:poll(w, "poll_flush"))
  lu.assertEquals(c:count(), 2)
  lu.assertEquals(c:poll(w, "poll_write", "xy"), 2)
end)

T.test_a_late_pending_wakes_in_its_time_and_the_latest_waker = in_task(function()
  local w = testing.chaos(aw.memory(), "1: late:2")
  local first, second, start = testing.waker(), testing.waker(), aw.now()
  lu.assertFalse(first:poll(w, "poll_write", "abc"))
  lu.assertFalse(second:poll(w, "poll_shutdown"))
  lu.assertEquals({ first:count(), second:count() }, { 0, 0 })
  aw.sleep(0.01)
  lu.assertEquals({ first:count(), second:count() }, { 0, 1 })
  lu.assertAlmostEquals(aw.now() - start, 0.01, 1e-6)
  lu.assertTrue(second:poll(w, "poll_shutdown"))
end)

T.test_a_spurious_wake_comes_before_the_late_one = in_task(function()
  local w = testing.chaos(aw.memory(), "1: spurious:1")
  local c = testing.waker()
  lu.assertFalse(c:poll(w, "poll_write", "abc"))
  lu.assertEquals(c:reset(), 1)
  lu.assertFalse(c:poll(w, "poll_write", "abc"))
  aw.sleep(0.002)
  lu.assertEquals(c:count(), 1)
  lu.assertEquals(c:poll(w, "poll_write", "abc"), 3)
end)

T.test_zero_and_errors_take_nothing_and_it_goes_on = in_task(function()
  local w = testing.chaos(aw.memory(), "1: zero error:ENOSPC ok error:EIO")
  lu.assertEquals(poll(w, "poll_write", "abc"), 0)
  check.fails("ENOSPC", poll(w, "poll_write", "abc"))
  lu.assertEquals(poll(w, "poll_write", "abc"), 3)
  check.fails("EIO", poll(w, "poll_flush"))
  lu.assertTrue(poll(w, "poll_shutdown"))
  lu.assertEquals(w:contents(), "abc")
end)

T.test_a_fatal_error_stays = in_task(function()
  local w = testing.chaos(aw.memory(), "1: ok fatal:EPIPE")
  lu.assertEquals(poll(w, "poll_write", "abc"), 3)
  for _ = 1, 3 do
    check.fails("EPIPE", poll(w, "poll_write", "abc"))
    check.fails("EPIPE", poll(w, "poll_write", ""))
    check.fails("EPIPE", poll(w, "poll_flush"))
    check.fails("EPIPE", poll(w, "poll_shutdown"))
  end
end)

T.test_P5_an_empty_write_meets_no_trouble = in_task(function()
  local w = testing.chaos(aw.memory(), "1: late:1 late:1 late:1")
  lu.assertEquals(poll(w, "poll_write", ""), 0)
  lu.assertEquals(poll(w, "poll_write_vectored", { "", "" }), 0)
  lu.assertFalse(poll(w, "poll_write", "x"))
end)

T.test_a_try_registers_nothing = in_task(function()
  local w = testing.chaos(aw.memory(), "1: late:1 early")
  check.fails("EAGAIN", w:try_write("x"))
  check.fails("EAGAIN", w:try_write("x"))
  aw.sleep(0.002)
  check.fails("EAGAIN", w:try_write("x"))
  lu.assertEquals(w:try_write("x"), 1)
end)

T.test_both_halves_share_the_schedule_and_wait_each_for_itself = in_task(function()
  local near, far = aw.duplex(10)
  local s = testing.chaos(near, "1: late:5 late:1")
  far:try_write("in")
  lu.assertFalse(poll(s, "poll_write", "out"))
  lu.assertFalse(poll(s, "poll_read"))
  aw.sleep(0.002)
  lu.assertEquals(poll(s, "poll_read"), "in")
  lu.assertFalse(poll(s, "poll_write", "out"))
end)

-- ---- Seeds and schedules ----

local function story(source, profile)
  local schedule = testing.schedule(source, profile)
  testing.run(function()
    local w = testing.chaos(aw.memory(), schedule)
    for _ = 1, 60 do
      w:write("some bytes")
      w:flush()
    end
  end)
  return tostring(schedule)
end

function T.test_a_seed_gives_the_same_on_every_lua_and_another_seed_another()
  lu.assertEquals(story(7), story(7))
  lu.assertNotEquals(story(7), story(8))
  lu.assertStrContains(story(7, "faulty"), "error:EIO")
  lu.assertEquals(story(1, { early = 50 }):sub(1, 40), "1: ok early ok*2 early ok*2 early ok ear")
end

function T.test_a_schedule_replays_by_its_text()
  for seed = 1, 20 do
    local text = story(seed, "faulty")
    lu.assertEquals(story(text), text)
  end
end

function T.test_the_stream_tells_seed_and_step()
  testing.run(function()
    local w = testing.chaos(aw.memory(), 42)
    w:write("x")
    lu.assertStrMatches(tostring(w), "chaos%(seed 42, step %d+%) > memory")
    lu.assertStrMatches(tostring(testing.chaos(aw.sink(), "3: ok*5")), "chaos%(step 0 of 5%) > sink")
    local inner = testing.chaos(aw.sink(), 1):into_parts()
    lu.assertEquals(tostring(inner), "sink")
  end)
end

function T.test_random_hangs_on_the_seed_alone()
  local a, b = testing.schedule(5), testing.schedule("5: late:1")
  for _ = 1, 10 do lu.assertEquals(a:random(1000), b:random(1000)) end
end

-- ---- interrupt ----

T.test_interrupt_cancels_at_the_await_and_tells_what_was_accepted = in_task(function()
  for at = 1, 10 do
    local w, schedule = testing.chaos(aw.memory(), ("short:1 "):rep(at) .. "cancel")
    local ok, message, code, accepted = testing.interrupt(schedule, w.write_all, w, "hello, world")
    lu.assertEquals({ ok, message, code, accepted }, { nil, "ECANCELED: cancelled by chaos", "ECANCELED", at })
    lu.assertEquals(w:contents(), ("hello, world"):sub(1, at))
    lu.assertTrue(w:write_all(("hello, world"):sub(at + 1))) -- the slot is free
    lu.assertEquals(w:contents(), "hello, world")
  end
end)

T.test_interrupt_gives_results_and_errors_of_what_is_not_cancelled = in_task(function()
  local w, schedule = testing.chaos(aw.memory(), "late:1 ok error:EIO")
  lu.assertTrue(testing.interrupt(schedule, w.write_all, w, "abc"))
  check.fails("EIO", testing.interrupt(schedule, w.write_all, w, "abc"))
  lu.assertEquals({ testing.interrupt(schedule, function(...) return ... end, 1, nil, 3) }, { 1, nil, 3 })
  check.raises(function() testing.interrupt(schedule, function() error("oops", 0) end) end, "oops")
end)

-- ---- explore and shrink ----

-- Fails when a write is short after an error.
local function picky(schedule)
  local w = testing.chaos(aw.memory(), schedule)
  local failed = false
  for _ = 1, 30 do
    local n, _, code = w:write("0123456789")
    failed = failed or code == "EIO"
    if failed and n and n < 10 then error(("a short write after an error, with %s"):format(tostring(w)), 0) end
  end
end

function T.test_explore_prints_seed_schedule_and_the_smallest_one()
  testing.explore(picky, { seeds = 20, profile = "slow" })
  local text = check.raises(function() testing.explore(picky, { seeds = 100, profile = "faulty" }) end, "chaos: seed ",
    "a short write after an error", "\n  schedule: ", "\n  shrunk:   ", "\n  to replay: ")
  local seed, whole = text:match("seed (%d+).-\n  schedule: ([^\n]*)")
  lu.assertEquals(text:match("shrunk:   ([^\n]*)"), seed .. ": error:EIO short:1")
  lu.assertEquals(whole:match("^%d+"), seed)
  check.raises(function() testing.run(picky, testing.schedule(whole)) end, "a short write after an error")
  local again = check.raises(function()
    testing.explore(picky, { first = tonumber(seed), seeds = 1, profile = "faulty" })
  end, "seed " .. seed)
  lu.assertEquals(again, text)
end

function T.test_shrink_leaves_out_what_is_not_needed_and_counts_its_runs()
  local calls = 0
  local function run(schedule)
    calls = calls + 1
    testing.run(picky, schedule)
  end
  local long = "9: ok*10 late:3 short:7 early error:EIO ok spurious:2 ok*3 short:5 zero ok*9 late:2"
  local text, err, runs = testing.shrink(run, long)
  lu.assertEquals(text, "9: error:EIO zero") -- a zero is short, too, and comes before the short one
  lu.assertStrContains(tostring(err), "a short write after an error")
  lu.assertEquals(runs, calls - 1)
  lu.assertTrue(runs < 200, runs .. " runs")
  local _, _, few = testing.shrink(run, long, 5)
  lu.assertEquals(few, 5)
end

-- ---- Misuse ----

function T.test_misuse_is_named()
  local function raises(f, ...) check.raises(f, ...) end
  raises(function() testing.schedule(-1) end, "bad argument #1 'source' to 'schedule'")
  raises(function() testing.schedule("1: fast") end, "no such step: fast")
  raises(function() testing.schedule("1: late") end, "wrong argument: late")
  raises(function() testing.schedule("1: early:2") end, "wrong argument: early:2")
  raises(function() testing.schedule("1: error:ENOSUCH") end, "wrong argument: error:ENOSUCH")
  raises(function() testing.schedule("1: ok*99999999") end, "too many")
  raises(function() testing.schedule(1, "rude") end, "bad argument #2 'profile' to 'schedule'")
  raises(function() testing.schedule(1, { shrt = 1 }) end, "no such field: shrt")
  raises(function() testing.schedule(1, { short = 60, late = 50 }) end, "more than 100 per cent")
  raises(function() testing.schedule(1, { short = "x" }) end, "field 'short'")
  raises(function() testing.schedule(1, { error = 1, code = "ENOSUCH" }) end, "no error code: ENOSUCH")
  raises(function() testing.chaos({}, 1) end, "bad argument #1 'stream' to 'chaos'")
  raises(function() testing.interrupt(1, function() end) end, "bad argument #1 'schedule' to 'interrupt'")
  raises(function() testing.explore(1) end, "bad argument #1 'f' to 'explore'")
  raises(function() testing.shrink(1) end, "bad argument #1 'run' to 'shrink'")
  raises(function() testing.shrink(function() end, "1: ok") end, "run does not fail with this schedule")
end

return T
