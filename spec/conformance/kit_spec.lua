-- SPDX-License-Identifier: MIT
-- The kit itself: each broken writer and reader of spec/broken is caught by exactly the clause it breaks, and what they
-- are made of, unbroken, by none. Then reports, adapters and misuse.

local lu = require "luaunit"
local aw = require "asyncwrite"
local conformance = require "asyncwrite.testing.conformance"
local runner = require "asyncwrite.testing.conformance.runner"
local texts = require "asyncwrite.testing.conformance.texts"
local c_module = require "support.c_module"
local child = require "support.child"
local base = require "broken.base"

local M = {}

local function names()
  local list, pipe = {}, assert(io.popen("ls spec/broken/*.lua"))
  for file in pipe:lines() do
    local name = file:match("([%w_]+)%.lua$")
    if name ~= "base" then list[#list + 1] = name end
  end
  pipe:close()
  return list
end

for _, name in ipairs(names()) do
  local broken = require("broken." .. name)
  M["test_" .. name .. "_is_caught_by_" .. broken.breaks .. "_alone"] = function()
    local report = conformance(broken.factory, broken.options)
    lu.assertEquals(report:failing(), { broken.breaks }, broken.what .. "\n" .. report:tostring())
    lu.assertErrorMsgContains(broken.breaks, report.assert, report)
  end
end

for _, id in ipairs { "W1", "P1", "P6" } do
  M["test_a_broken_writer_in_c_is_caught_by_" .. id .. "_alone"] = function()
    package.cpath = c_module.build("broken_module") .. "/?.so;" .. package.cpath
    local break_it = require "broken_module"
    local function wrap(inner) return break_it(inner, id) end
    local report = conformance(function()
      local near, far = aw.duplex(64)
      return wrap(near), far
    end, { full = true })
    lu.assertEquals(report:failing(), { id }, report:tostring())
  end
end

function M.test_there_are_broken_ones_enough()
  local clauses, count = {}, 0
  for _, name in ipairs(names()) do clauses[require("broken." .. name).breaks] = true end
  for _ in pairs(clauses) do count = count + 1 end
  lu.assertTrue(#names() >= 40 and count >= 25, #names() .. " broken ones for " .. count .. " clauses")
end

local function passes(factory, options)
  local report = conformance(factory, options)
  lu.assertEquals(report:failing(), {}, report:tostring())
  lu.assertEquals(report:assert(), report)
  return report
end

function M.test_what_the_broken_ones_are_made_of_breaks_nothing()
  local function pipe()
    local p = base.pipe()
    return p.writer, p.reader
  end
  passes(pipe, base.PIPE)
  passes(function()
    local w, r = pipe()
    return r, w
  end)
  passes(function()
    local p = base.vectored(base.pipe())
    return p.writer, p.reader
  end, base.PIPE)
  passes(function()
    local there, back = base.pipe(), base.pipe()
    return base.both(there.writer, back.reader), base.both(back.writer, there.reader)
  end, base.PIPE)
  passes(base.wrapper(function(inner) return base.buffer(inner).writer end))
  local factory, options = base.wrapper(function(inner)
    local b = base.buffer(inner)
    function b.writer.buffered() return #b.buf end
    return b.writer
  end)
  lu.assertStrContains(passes(factory, options):tostring(true), "passed     S9  after a fatal error a buffer keeps its bytes")
end

function M.test_writers_and_readers_in_c_break_nothing()
  passes(aw.sink, { name = "sink" })
  passes(function()
    local w = aw.memory()
    return { writer = w, contents = function() return w:contents() end }
  end)
  passes(function() return aw.duplex(64) end, { full = true })
  passes(function() return { reader = aw.cursor("some input"), input = "some input" } end)
  passes(function() return aw.unix.pair() end, { fd = true, full = true })
  passes(function()
    local near, far = aw.duplex(64)
    return aw.buf_writer(near, 10), far
  end, { full = true, buffer = 10, wrap = function(inner) return aw.buf_writer(inner, 10) end })
end

function M.test_every_clause_of_a_case_has_a_text()
  for _, case in ipairs(runner.load()) do lu.assertNotNil(texts[case.id], case.id) end
end

function M.test_a_report_names_clause_expectation_and_what_happened()
  local broken = require "broken.p2_never_wakes"
  local report = conformance(broken.factory, { full = true, name = "mine", seed = 7 })
  local text = report:tostring()
  lu.assertStrContains(text, "conformance of mine: ")
  lu.assertStrContains(text, "(seed 7)")
  lu.assertStrContains(text, "FAILED     P2  pending takes nothing and wakes when there is room: it hangs: nobody wakes ")
  lu.assertStrContains(text, "the clause: " .. texts.P2)
  lu.assertStrContains(text, "not judged")
  lu.assertStrContains(text, "n/a        F2")
  lu.assertNotStrContains(text, "passed     ")
  lu.assertStrContains(report:tostring(true), "passed     P1")
  for _, entry in ipairs(report.entries) do lu.assertTrue(#entry.what > 4, entry.id .. " " .. entry.expectation) end
  lu.assertEquals({ report:verdict("P2") }, { "fail", (select(2, report:verdict("P2"))) })
  lu.assertEquals((report:verdict("F2")), "n/a")
end

function M.test_the_adapter_for_luaunit_has_a_test_per_clause()
  local tests = conformance.tests(require("broken.p6_would_block").factory, { full = true })
  local failed, count = {}, 0
  for name, test in pairs(tests) do
    count = count + 1
    local ok, err = pcall(test)
    local skipped = tostring(type(err) == "table" and err.msg or err):find("SKIP", 1, true)
    if not ok and not skipped then failed[#failed + 1] = name:match("^test_(%w+)_") end
  end
  lu.assertTrue(count > 50)
  lu.assertEquals(failed, { "P6" })
end

function M.test_the_adapter_for_busted_has_a_test_per_clause()
  local busted = child.sh("command -v busted").out:match("%S+")
  local runs = busted and child.sh(("%s %s --version"):format(child.lua, busted)).code == 0
  if not runs then child.skip("busted is not installed for this Lua") end
  local unused = os.tmpname()
  local path = unused .. "_spec.lua"
  local file = assert(io.open(path, "w"))
  file:write([[
    local conformance = require("asyncwrite.testing").conformance
    conformance.describe(require("asyncwrite").sink, { name = "a sink" })
    conformance.describe(require("broken.p6_would_block").factory, { name = "broken", full = true })
  ]])
  file:close()
  local result = child.sh(("%s %s -o plainTerminal %s"):format(child.lua, busted, path))
  os.remove(path)
  os.remove(unused)
  local passed, failed = result.out:match("(%d+) successes / 0 failures / (%d+) error")
  lu.assertTrue(tonumber(passed) and tonumber(passed) > 100, result.out .. result.err)
  lu.assertEquals(failed, "1", result.out)
  lu.assertStrContains(result.out, "conformance of broken P6: ")
end

function M.test_misuse_raises()
  local function raises(text, ...) lu.assertErrorMsgContains(text, conformance, ...) end
  raises("bad argument #1 'factory'", 1)
  raises("there is no option 'fulll'", aw.sink, { fulll = true })
  raises("option 'full': boolean expected", aw.sink, { full = 1 })
  raises("'full' needs a peer", aw.sink, { full = true })
  raises("the factory failed: conformance: the factory's result: a stream or a table of poll functions expected, got nil",
    function() end)
  raises("neither a writer nor a reader", function() return {} end)
  raises("oops", function() error("oops") end)
end

return M
