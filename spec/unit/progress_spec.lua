-- SPDX-License-Identifier: MIT
-- progress and its bar, in virtual time.

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"
local check = require "support.check"
local D = require "support.doubles"

local T = {}

local function virtual(f)
  return function() testing.run(f) end
end

T.test_it_tells_at_most_once_per_interval_and_at_the_end = virtual(function()
  local told = {}
  local w = aw.progress(aw.memory(), function(p) told[#told + 1] = p end, { total = 1000, interval = 1 })
  for _ = 1, 10 do
    w:write_all(("x"):rep(50))
    aw.sleep(0.25)
  end
  w:flush()
  lu.assertEquals(#told, 2)
  lu.assertEquals(told[1], { bytes = 250, total = 1000, rate = 250, left = 3, seconds = 1, ended = false })
  lu.assertEquals({ told[2].bytes, told[2].rate, told[2].seconds }, { 450, 250 + 0.3 * (200 - 250), 2 })
  lu.assertAlmostEquals(told[2].left, 550 / told[2].rate, 1e-9)
  lu.assertTrue(w:shutdown())
  lu.assertTrue(w:shutdown())
  lu.assertEquals(#told, 3)
  lu.assertEquals(told[3], { bytes = 500, total = 1000, rate = 200, left = 2.5, seconds = 2.5, ended = true })
end)

T.test_without_a_total_nothing_is_said_of_the_time_left = virtual(function()
  local told = {}
  local w = aw.progress(aw.memory(), function(p) told[#told + 1] = p end, { interval = 0 })
  w:write("abc")
  aw.sleep(1)
  w:write("def")
  w:shutdown()
  lu.assertEquals(told, {
    { bytes = 3, rate = 0, seconds = 0, ended = false },
    { bytes = 6, rate = 0.3 * 3, seconds = 1, ended = false },
    { bytes = 6, rate = 6, seconds = 1, ended = true },
  })
end)

T.test_only_accepted_bytes_count_and_more_than_the_total_leaves_nothing = virtual(function()
  local last
  local d = D.writer { write = { 2, "pending", { "EIO" }, 0 }, shutdown = { "pending", { "EIO" } } }
  local w = aw.progress(d.w, function(p) last = p end, { interval = 0, total = 2 })
  aw.sleep(1)
  for _ = 1, 4 do w:poll_write("abc") end
  lu.assertEquals(last, { bytes = 2, total = 2, rate = 2, left = 0, seconds = 1, ended = false })
  w:write("def")
  lu.assertEquals({ last.bytes, last.left }, { 5, 0 })
  lu.assertFalse(w:poll_shutdown())
  w:poll_shutdown()
  lu.assertFalse(last.ended)
  lu.assertTrue(w:poll_shutdown())
  lu.assertTrue(last.ended)
end)

T.test_an_error_in_the_callback_is_raised_and_the_shutdown_is_done = virtual(function()
  local w = aw.progress(aw.memory(), function() error("no view") end)
  lu.assertTrue(w:write_all("abc"))
  check.raises(function() w:shutdown() end, "no view")
  lu.assertTrue(w:shutdown())
  lu.assertEquals(w:contents(), "abc")
end)

local function shown(columns, f)
  local stderr, text = io.stderr, {}
  io.stderr = { write = function(_, ...) text[#text + 1] = table.concat { ... } end } -- luacheck: ignore
  local ok, err = pcall(f, aw.progress_bar(columns))
  io.stderr = stderr -- luacheck: ignore
  if not ok then error(err, 0) end
  return text
end

T.test_the_bar_shows_what_it_is_told = function()
  local text = shown(60, function(f)
    f { bytes = 512, total = 1024, rate = 256, left = 2, seconds = 2, ended = false }
    f { bytes = 1024, total = 1024, rate = 256, left = 0, seconds = 75, ended = true }
    f { bytes = 2048, rate = 1024, seconds = 61, ended = false }
  end)
  lu.assertStrMatches(text[1], "\r%[=+> *%]  50%% +512 B +256 B/s  0:02 left\27%[K")
  lu.assertStrMatches(text[2], "\r%[=+%] 100%% +1%.0 KiB +256 B/s  1:15 +\27%[K\n")
  lu.assertStrMatches(text[3], "\r +2%.0 KiB +1%.0 KiB/s  1:01\27%[K")
end

T.test_misuse_names_the_argument = check.misuses {
  function() aw.progress(aw.sink(), 5) end, "bad argument #2 'f' to 'progress' (function expected, got number)",
  function() aw.progress(aw.sink(), print, { total = "x" }) end,
  "bad argument #3 'options.total' to 'progress' (number expected, got string)",
  function() aw.progress(aw.sink(), print, { interval = -1 }) end,
  "bad argument #3 'options.interval' to 'progress' (0 to 1e9 expected, got -1)",
  function() aw.progress_bar("wide") end,
  "bad argument #1 'columns' to 'progress_bar' (number of at least 1 expected, got wide)",
}

return T
