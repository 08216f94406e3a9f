-- SPDX-License-Identifier: MIT
-- Runs a clause over every kind it applies to, and keeps the table of clause and kind.

local aw = require "asyncwrite"
local D = require "support.doubles"
local kinds = require "conformance.kinds"
local seed = require "support.seed"

local H = { kinds = kinds, cases = {}, files = {} } -- files: the specs that defined the cases

local ONLY = os.getenv("SPEC_KIND") -- for debugging: part of a kind's name

-- Why a clause does not apply, by the trait that is missing or, with "!", in the way.
local REASONS = {
  full = "it never is NotReady for lack of room",
  ["!full"] = "it has only so much room",
  peer = "nobody reads it who could go away",
  eof = "its destination knows no end of file",
  half = "it has no read half",
  ["!half"] = "it is a reader too",
  fd = "no descriptor, no event loop",
  ["!fd"] = "the kernel decides when a wake comes",
  ["!late"] = "the kernel's window may open by itself",
  random = "the double below it must pend",
  ["!random"] = "the double below pends and fails by dice",
  vectored = "it is not vectored",
  ["!vectored"] = "it is vectored",
  buffer = "it holds nothing back",
  ["!buffer"] = "a buffer is in the way of the leaf",
  zero = "it never gives 0 for bytes",
  ["!zero"] = "it gives 0 where there is no room",
  ["!blind"] = "nobody can see what a sink got",
  double = "no double below that could count calls",
  leaf = "the clause is about the leaf",
  ["!leaf"] = "the clause is about wrappers",
}

local function holds(kind, need)
  if need:sub(1, 1) == "!" then return not kind[need:sub(2)] end
  return kind[need] and true or false
end

--- nil when a case applies to a kind, else why not. needs: a list of traits ("full", "!late") and functions of the kind
--- that return a reason; or a table {kinds = {names}, reason = text}.
function H.reason(case, kind)
  local needs = case.needs
  if needs.kinds then
    for _, name in ipairs(needs.kinds) do
      if name == kind.name then return nil end
    end
    return needs.reason
  end
  for _, need in ipairs(needs) do
    local reason
    if type(need) == "function" then
      reason = need(kind)
    elseif not holds(kind, need) then
      reason = assert(REASONS[need], need)
    end
    if reason then return reason end
  end
end

local function hash(s)
  local h = 0
  for i = 1, #s do h = (h * 31 + s:byte(i)) % 1000003 end
  return h
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
    if not finished then error(("it hangs: %s after %g s"):format(code, guard), 0) end
  else
    build_and_run()
  end
  if not t.after_run then t:close() end
end

--- Runs body(fixture, kind) with a new fixture of the kind. true, or false and the error.
function H.run(kind, body, salt)
  local t = kind.fixture(D.random(seed + hash(kind.name .. (salt or ""))))
  local ok, err = pcall(aw.run, run_body, t, kind, body)
  if ok and t.after_run then -- what a body has to say outside of every task
    ok, err = pcall(t.after_run)
  end
  t:close()
  return ok, err
end

local function new_case(id, name, needs)
  local case = { id = id, name = name, needs = needs, results = {} }
  H.cases[#H.cases + 1] = case
  H.files[debug.getinfo(3, "S").source:sub(2)] = true
  return case
end

-- The message, and where in a spec it came up. SPEC_TRACE=1: the whole traceback.
local function tidy(err)
  err = tostring(err)
  if os.getenv("SPEC_TRACE") then return err end
  local message, trace = err:match("^(.-)\nstack traceback:(.*)$")
  local at = trace and trace:match("([%w_]+_spec%.lua:%d+)")
  return message and message .. (at and " (at " .. at .. ")" or "") or err
end

-- Faults by their text: a defect below all kinds is told once.
local function add_fault(faults, kind, text)
  if not faults[text] then
    faults[#faults + 1] = text
    faults[text] = {}
  end
  table.insert(faults[text], kind.name)
end

local function report(id, faults)
  local lines = {}
  for i, text in ipairs(faults) do lines[i] = ("%s over %s: %s"):format(id, table.concat(faults[text], ", "), text) end
  error(("%s (seed %d)"):format(table.concat(lines, "\n"), seed), 0)
end

--- Defines a test of the spec table M: body(fixture, kind) over every kind that `needs` admits.
function H.clause(M, id, name, needs, body)
  local case = new_case(id, name, needs)
  M["test_" .. id .. "_" .. name] = function()
    local faults = {}
    for _, kind in ipairs(kinds) do
      if not H.reason(case, kind) and (not ONLY or kind.name:find(ONLY, 1, true)) then
        local ok, err = H.run(kind, body, id .. name)
        case.results[kind.name] = ok and "pass" or "fail"
        if not ok then add_fault(faults, kind, tidy(err)) end
      end
    end
    if #faults > 0 then report(id, faults) end
  end
end

--- Defines a test that makes its own writers, such as an exact trace, and stands for the kinds that `needs` admits.
function H.exact(M, id, name, needs, body)
  local case = new_case(id, name, needs)
  case.exact = true
  M["test_" .. id .. "_" .. name] = function()
    local ok, err = pcall(aw.run, body, D.random(seed + hash(id .. name)))
    for _, kind in ipairs(kinds) do
      if not H.reason(case, kind) then case.results[kind.name] = ok and "pass" or "fail" end
    end
    if not ok then error(("%s: %s (seed %d)"):format(id, tidy(err), seed), 0) end
  end
end

return H
