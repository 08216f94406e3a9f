-- SPDX-License-Identifier: MIT
-- Runs the cases of the kit, and those of this project alone, over every kind they apply to, and keeps the table of
-- clause and kind.

local aw = require "asyncwrite"
local D = require "support.doubles"
local kinds = require "conformance.kinds"
local runner = require "asyncwrite.testing.conformance.runner"
local seed = require "support.seed"

local H = { kinds = kinds, cases = {}, files = {}, reason = runner.reason } -- files: the specs that defined the cases

local ONLY = os.getenv("SPEC_KIND") -- for debugging: part of a kind's name

local function hash(s)
  local h = 0
  for i = 1, #s do h = (h * 31 + s:byte(i)) % 1000003 end
  return h
end

--- Runs body(fixture, kind) with a new fixture of the kind. true, or false and the error.
function H.run(kind, body, salt) return runner.run(kind, body, seed + hash(kind.name .. (salt or ""))) end

local function new_case(case, level)
  case.results = {}
  H.cases[#H.cases + 1] = case
  H.files[debug.getinfo(level + 1, "S").source:sub(2)] = true
  return case
end

-- The message, and where in a case it came up. SPEC_TRACE=1: the whole traceback.
local function tidy(err)
  err = tostring(err)
  if os.getenv("SPEC_TRACE") then return err end
  local message, trace = err:match("^(.-)\nstack traceback:(.*)$")
  local at = trace and (trace:match("(conformance/%l_[%w_]+%.lua:%d+)") or trace:match("(conformance/wrappers%.lua:%d+)"))
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

local function over_all_kinds(case)
  return function()
    local faults = {}
    for _, kind in ipairs(kinds) do
      if not H.reason(case, kind) and (not ONLY or kind.name:find(ONLY, 1, true)) then
        local ok, err = H.run(kind, case.body, case.id .. case.name)
        case.results[kind.name] = ok and "pass" or "fail"
        if not ok then add_fault(faults, kind, tidy(err)) end
      end
    end
    if #faults > 0 then report(case.id, faults) end
  end
end

--- Defines a test of the spec table M: body(fixture, kind) over every kind that `needs` admits.
function H.clause(M, id, name, needs, body)
  M["test_" .. id .. "_" .. name] = over_all_kinds(new_case(runner.case(id, name, needs, body), 2))
end

--- Defines a test for every case of a module of the kit.
function H.kit(M, module)
  for _, case in ipairs(runner.load(module)) do
    M["test_" .. case.id .. "_" .. case.name] = over_all_kinds(new_case(case, 2))
  end
end

--- Defines a test that makes its own writers, such as an exact trace, and stands for the kinds that `needs` admits.
function H.exact(M, id, name, needs, body)
  local case = new_case(runner.case(id, name, needs, body), 2)
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
