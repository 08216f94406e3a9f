-- SPDX-License-Identifier: MIT
-- What became of each case: pass, fail, n/a with its reason, or not judged, as it may fail for the sake of another clause.

local texts = require "asyncwrite.testing.conformance.texts"

local M = {}

---@class asyncwrite.testing.Report
---@field name string of the kind
---@field seed integer
---@field entries asyncwrite.testing.Entry[]
local Report = {}
Report.__index = Report

---@class asyncwrite.testing.Entry
---@field id string of the clause
---@field expectation string
---@field status "pass"|"fail"|"n/a"|"not judged"
---@field what string what happened, or why it does not apply

-- What all else stands on, the most basic first: where one of these fails, what fails after it says nothing of its own.
-- With "!" it is told by name, wherever it shows; without, by a case of its own, which may need what comes before.
local BASIC = { "P6!", "P4!", "P1!", "W1!", "P7!", "F1!", "S8!", "M1!", "P10", "P2", "P9", "F5", "P3", "P4", "P1", "P6",
  "P5", "P7", "F1", "S2", "S10!", "S8", "S1", "S10", "V1", "F2", "S3", "W5", "W1", "W2", "B3", "S7", "M1", "F4", "S9", "W8" }

local order = {}

do -- P1 ... U4 as people sort them
  for id in pairs(texts) do order[#order + 1] = id end
  local letters = "PFSVABMWU"
  local function key(id) return letters:find(id:sub(1, 1), 1, true) * 100 + tonumber(id:sub(2)) end
  table.sort(order, function(a, b) return key(a) < key(b) end)
end

function M.ids() return order end
function M.text(id) return texts[id] end

-- Errors of the library and of fixtures name the clause that is broken: "... (W1)".
local function named(err)
  local id = err:match("^[^\n]*%((%u%d+)%)")
  if id and texts[id] then return id end
  if err:find("custom: poll_[%w_]+ returned ") and err:find(" expected", 1, true) then return "P1" end
end

local function message_of(err) return (tostring(err):gsub("\nstack traceback:.*", "")) end

-- The most basic clause that is broken by each entry's own word.
local function own_failures(failed)
  local direct, own = {}, {}
  for _, entry in ipairs(failed) do
    local id = named(entry.what)
    if not id then
      own[entry.id] = true
    elseif id == entry.id then
      entry.told = true
      direct[id] = entry
      own[id] = true
    else
      direct[id] = direct[id] or entry
      entry.follows = id
    end
  end
  return direct, own
end

local function first_basic(entry, direct, own)
  for _, token in ipairs(BASIC) do
    local id, named_so = token:match("^(%w+)(!?)")
    local told = named_so == "!"
    if id == entry.id and told == (entry.told or false) then return nil end
    if told and direct[id] or not told and own[id] then return id end
  end
end

local function judge(entries)
  local failed = {}
  for _, entry in ipairs(entries) do
    if entry.status == "fail" then failed[#failed + 1] = entry end
  end
  local direct, own = own_failures(failed)
  local added = {}
  for id, entry in pairs(direct) do
    local what = entry.what
    if not own[id] then
      added[#added + 1] = { id = id, expectation = texts[id], status = "fail", what = what, told = true }
    end
  end
  table.sort(added, function(a, b) return a.id < b.id end)
  for _, entry in ipairs(added) do
    entries[#entries + 1] = entry
    failed[#failed + 1] = entry
  end
  for _, entry in ipairs(failed) do
    local cause = entry.follows or first_basic(entry, direct, own)
    if cause and cause ~= entry.id then
      entry.status, entry.follows = "not judged", cause
      entry.what = ("as %s is broken; it says: %s"):format(cause, entry.what)
    end
  end
end

function M.new(name, seed, results)
  local entries = {}
  for i, result in ipairs(results) do
    local case = result.case
    entries[i] = {
      id = case.id, expectation = case.name:gsub("_", " "),
      status = result.why and "n/a" or result.ok and "pass" or "fail",
      what = result.why or result.ok and "so it is" or message_of(result.err),
    }
  end
  judge(entries)
  return setmetatable({ name = name, seed = seed, entries = entries }, Report)
end

local function collect(self, status)
  local ids, seen = {}, {}
  for _, entry in ipairs(self.entries) do
    if entry.status == status then seen[entry.id] = true end
  end
  for _, id in ipairs(order) do
    if seen[id] then ids[#ids + 1] = id end
  end
  return ids
end

--- The ids of the clauses that are broken, sorted.
---@return string[] ids
function Report:failing() return collect(self, "fail") end

--- True when no clause is broken.
---@return boolean
function Report:ok() return #self:failing() == 0 end

local WORST = { fail = 4, ["not judged"] = 3, pass = 2, ["n/a"] = 1 }

--- What became of a clause: its worst case, and the words of that.
---@param id string
---@return "pass"|"fail"|"n/a"|"not judged" verdict
---@return string text
function Report:verdict(id)
  local worst
  for _, entry in ipairs(self.entries) do
    if entry.id == id and (not worst or WORST[entry.status] > WORST[worst.status]) then worst = entry end
  end
  if not worst then return "n/a", "no case of the kit is about it" end
  if worst.status ~= "fail" then return worst.status, worst.what end
  return "fail", ("%s: %s\n  expected: %s\n  happened: %s\n  (seed %d)"):format(id, texts[id], worst.expectation, worst.what,
    self.seed)
end

local function count(self, status)
  local n = 0
  for _, entry in ipairs(self.entries) do
    if entry.status == status then n = n + 1 end
  end
  return n
end

--- The report as text: what is broken, what was not judged, and what does not apply. With `all`, what passed as well.
---@param all? boolean
---@return string text
function Report:tostring(all)
  local lines = { ("conformance of %s: %d passed, %d failed, %d not judged, %d do not apply (seed %d)"):format(self.name,
    count(self, "pass"), count(self, "fail"), count(self, "not judged"), count(self, "n/a"), self.seed) }
  local shown = { fail = "FAILED    ", ["not judged"] = "not judged", pass = all and "passed    ", ["n/a"] = "n/a       " }
  for _, status in ipairs { "fail", "not judged", "pass", "n/a" } do
    for _, entry in ipairs(shown[status] and self.entries or {}) do
      if entry.status == status then
        lines[#lines + 1] = ("%s %-3s %s%s"):format(shown[status], entry.id, entry.expectation,
          status == "pass" and "" or ": " .. entry.what:gsub("\n", "\n    "))
        if status == "fail" then lines[#lines + 1] = "    the clause: " .. texts[entry.id] end
      end
    end
  end
  return table.concat(lines, "\n")
end

--- Raises the report when a clause is broken; else returns it.
---@return asyncwrite.testing.Report report
function Report:assert()
  if not self:ok() then error(self:tostring(), 2) end
  return self
end

Report.__tostring = Report.tostring

return M
