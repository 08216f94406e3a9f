-- SPDX-License-Identifier: MIT
-- The table of clause and kind: no clause and no kind is left out without a reason. Runs last, and prints the table when
-- every conformance spec ran (SPEC_TABLE=1: always).

local H = require "conformance.harness"
local clauses = require "conformance.clauses"
local check = require "conformance.check"

local M = {}

local LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEGHIJKLMNOPQRSTUVWXYZ0123456789"

local function defines_cases(file)
  for line in io.lines(file) do
    if line:find("^H%.kit%(") or line:find("^clause%(") or line:find("^exact%(") or line:find("^H%.clause") then return true end
  end
end

-- The specs that were not selected are read for what they define, and not run.
local function define_all()
  local complete = true
  local list = assert(io.popen("ls spec/conformance/*_spec.lua"))
  for file in list:lines() do
    if not H.files[file] and defines_cases(file) then
      complete = false
      assert(loadfile(file))()
    end
  end
  list:close()
  return complete
end

local function cases_of(id)
  local cases = {}
  for _, case in ipairs(H.cases) do
    if case.id == id then cases[#cases + 1] = case end
  end
  return cases
end

-- "F" failed, "+" passed over this kind, "=" passed by an exact trace of its type, " " not run; or nil and the reason.
local function cell(cases, kind)
  local best, reason
  local rank = { [" "] = 1, ["="] = 2, ["+"] = 3, F = 4 }
  for _, case in ipairs(cases) do
    local why = H.reason(case, kind)
    reason = reason or why
    if not why then
      local result = case.results[kind.name]
      local mark = not result and " " or result == "fail" and "F" or case.exact and "=" or "+"
      if not best or rank[mark] > rank[best] then best = mark end
    end
  end
  return best, reason
end

function M.test_every_clause_has_a_test_or_a_reason()
  define_all()
  local known = {}
  for _, clause in ipairs(clauses) do
    local id, reason = clause[1], clause[2]
    known[id] = true
    local tests = #cases_of(id)
    if reason then check.equal(tests, 0, "tests of " .. id .. ", which is not to have any") end
    check.ok(reason or tests > 0, id .. " has no test and no reason")
  end
  for _, case in ipairs(H.cases) do check.ok(known[case.id], case.id .. " is no clause") end
end

function M.test_every_clause_applies_to_every_kind_or_says_why_not()
  define_all()
  for _, clause in ipairs(clauses) do
    local cases, applies = cases_of(clause[1]), 0
    for _, kind in ipairs(H.kinds) do
      local mark, reason = cell(cases, kind)
      if #cases > 0 then check.ok(mark or reason and #reason > 5, clause[1] .. " over " .. kind.name) end
      if mark then applies = applies + 1 end
    end
    check.ok(clause[2] or applies > 0, clause[1] .. " applies to no kind")
  end
end

local function heading()
  local tens, ones = {}, {}
  for i in ipairs(H.kinds) do
    tens[i] = i % 10 == 0 and tostring(i / 10):sub(1, 1) or " "
    ones[i] = tostring(i % 10)
  end
  print("\nClause x kind: + passed, = passed as an exact trace of its type, F failed, a letter: why it does not apply\n")
  print("      " .. table.concat(tens) .. "\n      " .. table.concat(ones))
end

local function legend(letters)
  print("\nKinds:")
  for i, kind in ipairs(H.kinds) do print(("  %2d %s"):format(i, kind.name)) end
  print("\nWhy a clause does not apply:")
  for i, reason in ipairs(letters) do print("   " .. LETTERS:sub(i, i) .. " " .. reason) end
  print("\nClauses without a test:")
  for _, clause in ipairs(clauses) do
    if clause[2] then print(("  %-3s %s"):format(clause[1], clause[2])) end
  end
end

local function print_table()
  local letters, letter_of = {}, {}
  heading()
  for _, clause in ipairs(clauses) do
    local cases, row = cases_of(clause[1]), {}
    for i, kind in ipairs(#cases > 0 and H.kinds or {}) do
      local mark, reason = cell(cases, kind)
      if not mark and not letter_of[reason] then
        letters[#letters + 1] = reason
        letter_of[reason] = LETTERS:sub(#letters, #letters)
      end
      row[i] = mark or letter_of[reason]
    end
    if #cases > 0 then print(("  %-3s %s"):format(clause[1], table.concat(row))) end
  end
  check.ok(#letters <= #LETTERS, "more reasons than letters")
  legend(letters)
end

function M.test_the_table_is_printed()
  local complete = define_all()
  if complete or os.getenv("SPEC_TABLE") then print_table() end
end

return M
