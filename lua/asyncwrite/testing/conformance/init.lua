-- SPDX-License-Identifier: MIT
-- conformance(factory, options): the clauses of the contract against a writer or reader of yours, in C or Lua. Depends on
-- no test framework; tests() and describe() hand the clauses to LuaUnit and busted.

local aw = require "asyncwrite"
local runner = require "asyncwrite.testing.conformance.runner"
local report = require "asyncwrite.testing.conformance.report"

local M = {}

---What a factory returns when a stream alone does not say it all. Streams may be boxes or tables for `aw.custom`.
---@class asyncwrite.testing.Parts
---@field writer? asyncwrite.Writer|asyncwrite.Methods under test
---@field reader? asyncwrite.Reader|asyncwrite.Methods under test
---@field peer? asyncwrite.Reader|asyncwrite.Methods reads what the writer writes
---@field feeder? asyncwrite.Writer|asyncwrite.Methods what it writes the reader reads
---@field contents? fun(): string instead of a peer: all that the writer has delivered until now
---@field input? string instead of a feeder: all that the reader gives
---@field fail? fun() makes the next poll_write fail, once

---What the stream can do. Clauses that a declared or missing ability rules out are reported as not applicable.
---@class asyncwrite.testing.Abilities
---@field name? string for the report
---@field full? boolean it has room for so much and is NotReady then, until its peer reads
---@field late? boolean room may come by itself, so NotReady may end unasked
---@field eof? boolean the peer sees end of file after shutdown; default: true where there is a peer
---@field fd? boolean its wakes come from the event loop (descriptors, timers, threads)
---@field buffer? integer it holds back so many bytes at most, until a flush
---@field zero? integer it gives 0 from so many bytes on, for ever
---@field pends? boolean it is NotReady now and then for no reason of the test's
---@field wrap? fun(inner: asyncwrite.Writer): asyncwrite.Writer|asyncwrite.Methods makes such a wrapper around any writer
---@field seed? integer of the random choices; default 1

local OPTIONS = { name = "string", full = "boolean", late = "boolean", eof = "boolean", fd = "boolean", buffer = "number",
  zero = "number", pends = "boolean", wrap = "function", seed = "number" }

local PARTS = { writer = "w", reader = "r", peer = "peer", feeder = "back" }

local function is_methods(value)
  return type(value) == "table" and (value.poll_write or value.poll_write_vectored or value.poll_read) and true or false
end

local function stream(value, what)
  if is_methods(value) then return aw.custom(value) end
  if not aw.is_stream(value) then
    error(("conformance: %s: a stream or a table of poll functions expected, got %s"):format(what, type(value)), 0)
  end
  return value
end

-- A factory's results as parts.
local function parts_of(first, second)
  if type(first) == "table" and not is_methods(first) then return first end
  local main = stream(first, "the factory's result")
  local other = second ~= nil and stream(second, "the factory's second result") or nil
  if not main:is_writer() then return { reader = main, feeder = other } end
  local both = main:is_reader() and other and other:is_writer()
  return { writer = main, peer = other, reader = both and main or nil, feeder = both and other or nil }
end

local function fill(t, parts)
  for name, field in pairs(PARTS) do
    if parts[name] ~= nil then t[field] = stream(parts[name], name) end
  end
  t.contents, t.input, t.fail = parts.contents, parts.input, parts.fail
  if not t.w and not t.r then error("conformance: the factory gave neither a writer nor a reader", 0) end
end

-- What there is tells most; is_write_vectored must go on saying what it says of the first one.
local function probe(factory, kind)
  local t = {}
  local ok, err = pcall(aw.run, function()
    fill(t, parts_of(factory()))
    kind.writer, kind.reader = t.w ~= nil, t.r ~= nil
    kind.peer, kind.feed, kind.half = t.peer ~= nil, t.back ~= nil, t.w ~= nil and t.r ~= nil
    kind.input, kind.fail = t.input ~= nil, t.fail ~= nil
    kind.vectored = t.w and t.w:is_write_vectored() or false
    kind.blind = not t.peer and not t.contents
    kind.tells = t.w and pcall(t.w.try_write, t.w, "x") and t.w:buffered() > 0 or false
    for _, field in pairs(PARTS) do
      if t[field] and not t[field]:is_closed() then t[field]:close() end
    end
  end)
  if not ok then error("conformance: the factory failed: " .. tostring(err), 0) end
end

local function check_options(factory, options)
  if type(factory) ~= "function" then
    error("bad argument #1 'factory' to 'conformance' (function expected, got " .. type(factory) .. ")", 3)
  end
  for name, value in pairs(options) do
    local expected = OPTIONS[name]
    if not expected then error(("conformance: there is no option '%s'"):format(tostring(name)), 3) end
    if type(value) ~= expected then
      error(("conformance: option '%s': %s expected, got %s"):format(name, expected, type(value)), 3)
    end
  end
end

local function kind_of(factory, options)
  local kind = runner.kind(options.name or "the stream", {}, function(t) fill(t, parts_of(factory())) end)
  probe(factory, kind)
  for _, trait in ipairs { "full", "late", "fd", "buffer", "zero" } do kind[trait] = options[trait] end
  kind.random = options.pends
  kind.eof = kind.peer and options.eof ~= false
  kind.leaf = not options.wrap
  kind.wrap = options.wrap and function(inner) return stream(options.wrap(inner), "wrap") end
  if kind.full and not kind.peer then error("conformance: 'full' needs a peer that makes room by reading", 3) end
  return kind
end

--- Checks every clause. Call it outside of tasks: each case is a run of its own.
---@param factory fun(): asyncwrite.Stream|asyncwrite.Methods|asyncwrite.testing.Parts, ... a new stream each time, in a task;
--- a writer may be followed by its peer, a reader by what feeds it, one end of a duplex by the other
---@param options? asyncwrite.testing.Abilities
---@return asyncwrite.testing.Report report
function M.check(factory, options)
  options = options or {}
  check_options(factory, options)
  local kind, seed = kind_of(factory, options), options.seed or 1
  local entries = {}
  for i, case in ipairs(runner.load()) do
    local entry = { case = case, why = runner.reason(case, kind) }
    if not entry.why then entry.ok, entry.err = runner.run(kind, case.body, seed + i) end
    entries[i] = entry
  end
  return report.new(kind.name, seed, entries)
end

-- The report of the first call, for tests that share it.
local function lazily(factory, options)
  local result
  return function()
    result = result or M.check(factory, options)
    return result
  end
end

--- A table of test functions, one per clause, as LuaUnit takes it. The clauses are checked when the first one runs.
---@param factory fun(): asyncwrite.Stream|asyncwrite.Methods|asyncwrite.testing.Parts, ...
---@param options? asyncwrite.testing.Abilities
---@return table<string, fun()> tests
function M.tests(factory, options)
  local get, tests = lazily(factory, options), {}
  for _, id in ipairs(report.ids()) do
    tests["test_" .. id .. "_" .. report.text(id):gsub("[^%w]+", "_")] = function()
      local verdict, text = get():verdict(id)
      local unit = package.loaded.luaunit
      if verdict == "fail" then error(text, 0) end
      if verdict ~= "pass" and unit then unit.skip(text) end
    end
  end
  return tests
end

-- Test files see them as globals, what they require does not.
local function of_busted()
  local loaded = package.loaded.busted
  local function find(name) return loaded and loaded[name] or rawget(_G, name) end
  local describe, it = find("describe"), find("it")
  if not describe or not it then error("conformance.describe: busted's describe and it are not there", 3) end
  return describe, it
end

--- Defines the clauses in busted: a `describe` with an `it` for each.
---@param factory fun(): asyncwrite.Stream|asyncwrite.Methods|asyncwrite.testing.Parts, ...
---@param options? asyncwrite.testing.Abilities
function M.describe(factory, options)
  local describe, it = of_busted()
  local get = lazily(factory, options)
  describe("conformance of " .. (options and options.name or "the stream"), function()
    for _, id in ipairs(report.ids()) do
      it(id .. ": " .. report.text(id), function()
        local verdict, text = get():verdict(id)
        if verdict == "fail" then error(text, 0) end
      end)
    end
  end)
end

return setmetatable(M, { __call = function(_, factory, options) return M.check(factory, options) end })
