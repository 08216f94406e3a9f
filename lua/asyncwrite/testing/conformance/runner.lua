-- SPDX-License-Identifier: MIT
-- The cases of the kit, which of them apply to a kind, and how one is run. Needs no test framework.

local aw = require "asyncwrite"
local executor = require "asyncwrite.executor"
local D = require "asyncwrite.testing.conformance.doubles"
local Fixture = require "asyncwrite.testing.conformance.fixture"

local R = { cases = {} }

local MODULES = { "p_poll_write", "f_flush", "s_shutdown", "v_vectored", "b_buffer", "a_operations", "a_copy", "w_wakers",
  "w_tasks", "r_readers", "wrappers" }

-- Why a case does not apply, by the trait that is missing or, with "!", in the way.
R.reasons = {
  writer = "it is no writer",
  reader = "it is no reader",
  full = "it never is NotReady for lack of room",
  ["!full"] = "it has only so much room",
  peer = "nobody reads it who could go away",
  eof = "its destination knows no end of file",
  half = "it has no read half",
  ["!half"] = "it is a reader too",
  feed = "nobody feeds it: all that it gives is fixed",
  fd = "no descriptor, no event loop",
  ["!fd"] = "the kernel decides when a wake comes",
  ["!late"] = "the kernel's window may open by itself",
  random = "what is below it must pend by dice",
  ["!random"] = "what is below it pends and fails by dice",
  vectored = "it is not vectored",
  ["!vectored"] = "it is vectored",
  buffer = "it holds nothing back",
  ["!buffer"] = "a buffer is in the way of the leaf",
  zero = "it never gives 0 for bytes",
  ["!zero"] = "it gives 0 where there is no room",
  ["!behind"] = "it waits for what it is writing behind",
  ["!blind"] = "nobody can see what a sink got",
  tells = "what it holds back is not told by buffered()",
  double = "no double below that could count calls",
  leaf = "the clause is about the leaf",
  ["!leaf"] = "the clause is about wrappers",
  wrap = "it wraps nothing, or is not told how to",
  fail = "it cannot be made to fail and go on",
}

local function holds(kind, need)
  if need == "writer" then return kind.writer ~= false end
  if need:sub(1, 1) == "!" then return not kind[need:sub(2)] end
  return kind[need] and true or false
end

--- nil when a case applies to a kind, else why not. needs: a list of traits ("full", "!late") and functions of the kind
--- that return a reason; or a table {kinds = {names}, reason = text}. What does not name "reader" is about a writer.
function R.reason(case, kind)
  local needs = case.needs
  if needs.kinds then
    for _, name in ipairs(needs.kinds) do
      if name == kind.name then return nil end
    end
    return needs.reason
  end
  if not case.reader and not holds(kind, "writer") then return R.reasons.writer end
  for _, need in ipairs(needs) do
    local reason
    if type(need) == "function" then
      reason = need(kind)
    elseif not holds(kind, need) then
      reason = assert(R.reasons[need], need)
    end
    if reason then return reason end
  end
end

--- A case: the clause it checks, its expectation as a name, what it needs, and body(fixture, kind).
function R.case(id, name, needs, body)
  local case = { id = id, name = name, needs = needs, body = body }
  for _, need in ipairs(needs) do case.reader = case.reader or need == "reader" end
  return case
end

local module -- whose cases are being defined

--- Adds a case to the kit.
function R.define(id, name, needs, body)
  local case = R.case(id, name, needs, body)
  case.module = module
  R.cases[#R.cases + 1] = case
end

--- All cases; of one module of the kit with its name.
function R.load(name)
  for _, other in ipairs(MODULES) do
    module = other
    require("asyncwrite.testing.conformance." .. other)
  end
  if not name then return R.cases end
  local list = {}
  for _, case in ipairs(R.cases) do
    if case.module == name then list[#list + 1] = case end
  end
  assert(#list > 0, name)
  return list
end

--- What cases run over: a name, make(t), which sets t.w, t.peer and so on in a task, and traits.
function R.kind(name, traits, make)
  local kind = { name = name, make = make }
  for trait, value in pairs(traits) do kind[trait] = value end
  local reads = kind.half or kind.peer -- a peer is a reader as well, unless somebody knows better
  if kind.reader == nil then kind.reader = reads end
  if kind.feed == nil then kind.feed = reads end
  if kind.tells == nil then kind.tells = kind.buffer end
  function kind.fixture(random) return Fixture.new(kind, random) end
  return kind
end

-- The body inside a task; over descriptors under a guard, elsewhere a hang is found by run itself.
local function run_body(t, kind, body)
  local function build_and_run()
    t:build()
    body(t, kind)
    return true
  end
  if kind.fd then
    local guard = kind.hung and math.min(D.guard, 1) or D.guard -- a kind that hangs does not do so for an hour
    local finished, _, code = aw.timeout(guard, build_and_run)
    kind.hung = kind.hung or not finished
    if not finished then error(("it hangs: %s after %g s%s"):format(code, guard, t:waits()), 0) end
  else
    build_and_run()
  end
  if not t.after_run then t:close() end
end

-- Stuck: in the words of run, which names every task and where it waits; before them what the fixture waits for.
local function explain(t, err)
  if tostring(err):find("nothing can wake them", 1, true) then
    return "it hangs" .. t:waits() .. "; " .. tostring(err)
  end
  return err
end

-- What tasks of a case fail with is told by its result, not on stderr.
local function quietly(f, ...)
  local host = executor.host()
  local warn = host.warn
  host.warn = function() end
  local function done(...)
    host.warn = warn
    return ...
  end
  return done(pcall(f, ...))
end

--- Runs body(fixture, kind) with a new fixture of the kind. true, or false and the error.
function R.run(kind, body, seed)
  local t = kind.fixture(D.random(seed))
  local ok, err = quietly(aw.run, run_body, t, kind, body)
  if not ok then err = explain(t, err) end
  if ok and t.after_run then -- what a body has to say outside of every task
    ok, err = pcall(t.after_run)
  end
  local closed, fault = pcall(t.close, t)
  if ok and not closed then ok, err = false, fault end
  return ok, err
end

return R
