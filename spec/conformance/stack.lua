-- SPDX-License-Identifier: MIT
-- Stacks of wrappers over chaos: what goes into them comes out once and in order, or an error says how much was accepted.
-- Every wrapper that hands bytes on unchanged belongs into the list.

local aw = require "asyncwrite"
local D = require "support.doubles"
local testing = require "asyncwrite.testing"
local check = require "conformance.check"

local M = {}

local OPERATIONS = 8
local ATTEMPTS = 60 -- of a shutdown that fails now and then

-- ---- Wrappers: each puts one around t.w ----

local function with_reader(w) return w:is_reader() and w or aw.join(aw.cursor("input"), w) end

M.wrappers = {
  { "buf_writer", function(t) t.w = aw.buf_writer(t.w, t.schedule:random(40) - 1) end },
  { "line_writer", function(t) t.w = aw.line_writer(t.w, t.schedule:random(40) - 1) end },
  { "inspect", function(t) t.w = aw.inspect(t.w, function(s) t.inspected = t.inspected + #s end) end },
  { "limit", function(t) t.w = aw.limit(t.w, t.schedule:random(4) == 1 and t.schedule:random(300) or 2 ^ 40) end },
  { "checksum", function(t) t.w = aw.checksum(t.w, "crc32") end },
  { "throttle", function(t) t.w = aw.throttle(t.w, 1e12) end },
  { "deadline", function(t) t.w = aw.deadline(t.w, 1e6) end },
  { "progress", function(t) t.w = aw.progress(t.w, function() end, { interval = 0 }) end },
  { "budgeted", function(t) t.w = aw.budgeted(t.w, t:budget(2 ^ 40)) end },
  { "budgeted(tight)", function(t)
    t:share()
    t.w = aw.budgeted(t.w, t:budget(t.schedule:random(50)))
  end },
  { "join", function(t) t.w = aw.join(aw.cursor("input"), t.w) end },
  { "buf_reader", function(t) t.w = aw.buf_reader(with_reader(t.w), 16) end },
  { "split", function(t) t.halves[#t.halves + 1], t.w = aw.split(with_reader(t.w)) end },
  { "tee", function(t)
    local seen = {}
    local branch = testing.chaos(aw.inspect(aw.memory(), function(s) seen[#seen + 1] = s end), t.schedule)
    t.w = aw.tee({ t.w, branch }, { capacity = t.schedule:random(100) })
    t.branches[#t.branches + 1] = function() return table.concat(seen) end
  end },
  { "chaos", function(t) t.w = testing.chaos(t.w, t.schedule) end },
}

-- ---- A budget that is shared with others ----

local Run = {}
Run.__index = Run

-- One of its own, below that of the whole stack and its neighbour.
function Run:budget(n)
  local budget = aw.budget(n, self.group)
  self.budgets[#self.budgets + 1] = budget
  return budget
end

-- Another pipe in the group: it takes its room, and gives it back as its reader goes on.
function Run:share()
  if self.neighbour then return end
  local schedule, near, far = self.schedule, aw.duplex(self.schedule:random(64))
  local w, total = aw.budgeted(near, self.group), schedule:random(200)
  self.group:set_limit(schedule:random(60))
  local reader = aw.spawn("neighbour's reader", function()
    local parts = {}
    while true do
      for _ = 1, schedule:random(3) - 1 do aw.yield() end
      local s = far:read(schedule:random(30))
      if not s then return table.concat(parts) end
      parts[#parts + 1] = s
    end
  end)
  self.neighbour = aw.spawn("neighbour", function()
    assert(w:write_all(D.text(total)))
    assert(w:shutdown())
    check.equal(reader:join(), D.text(total), "what arrived at the neighbour")
    w:close()
    far:close()
  end)
end

function Run:check_budgets()
  if self.neighbour then self.neighbour:join() end
  for _, budget in ipairs(self.budgets) do
    check.equal(budget:used(), 0, "bytes charged when all is closed")
    check.equal(budget:waiting(), 0, "writers that wait for room when all is closed")
  end
end

-- ---- What is below: memory, or a pipe with a reader that is slow ----

local function over_memory(t)
  t.w = aw.memory()
  function t.arrived(w) return w:contents() end
end

local function over_pipe(t)
  local near, far = aw.duplex(t.schedule:random(64))
  local parts, schedule = {}, t.schedule
  local reader = aw.spawn("reader", function()
    while true do
      for _ = 1, schedule:random(3) - 1 do aw.yield() end
      local s = far:read(schedule:random(30))
      if not s then return table.concat(parts) end
      parts[#parts + 1] = s
    end
  end)
  t.w = near
  function t.arrived(w)
    w:close()
    return (reader:join())
  end
end

-- ---- Operations: the bytes accepted, and the code of a failure ----

local function pieces(s, random)
  local list, at = {}, 1
  for i = 1, random(3) do
    local n = i == 3 and #s or random(20) - 1
    list[i] = s:sub(at, at + n - 1)
    at = math.min(at + n, #s + 1)
  end
  list[#list + 1] = s:sub(at)
  return list
end

local function one(n, _, code, accepted) return n or accepted, code end

local function all(s, ok, _, code, accepted) return ok and #s or accepted, code end

local operations = {
  function(t, s) return one(t:may_be_cut(t.w.write, t.w, s)) end,
  function(t, s, random) return one(t:may_be_cut(t.w.write_vectored, t.w, pieces(s, random))) end,
  function(t, s) return all(s, t:may_be_cut(t.w.write_all, t.w, s)) end,
  function(t, s, random) return all(s, t:may_be_cut(t.w.write_all_vectored, t.w, pieces(s, random))) end,
  function(t, s)
    local buf = aw.cursor(s) -- tells by itself how much was accepted
    local _, _, code = t:may_be_cut(t.w.write_all_buf, t.w, buf)
    return buf:position(), code
  end,
  function(t, s, random) return one(aw.copy(aw.cursor(s), t.w, random(50))) end,
  function(t)
    local _, _, code = t:may_be_cut(t.w.flush, t.w)
    return 0, code
  end,
}

function Run:may_be_cut(f, ...) return testing.interrupt(self.schedule, f, ...) end

local EXPECTED = { EIO = true, ECANCELED = true, ECONNRESET = true, EWRITEZERO = true }

local function expect_code(t, code, what)
  if not code then return end
  check.ok(EXPECTED[code], what .. " fails with " .. tostring(code))
  t.broken = t.broken or code == "ECONNRESET"
end

local function operate(t)
  local random = function(n) return t.schedule:random(n) end
  for _ = 1, OPERATIONS do
    local s = D.text(random(random(4) == 1 and 300 or 40), t.total + 1)
    if random(3) == 1 then s = s:sub(1, -2) .. "\n" end
    local n, code = operations[random(#operations)](t, s, random)
    check.ok(type(n) == "number" and n >= 0 and n <= #s, "it said that it accepted " .. tostring(n))
    t.parts[#t.parts + 1] = s:sub(1, n)
    t.total = t.total + n
    expect_code(t, code, "an operation")
  end
end

local function shut_down(t)
  for _ = 1, ATTEMPTS do
    local done, _, code = t:may_be_cut(t.w.shutdown, t.w)
    if done then return true end
    expect_code(t, code, "shutdown")
  end
end

local function verify(t)
  local done = shut_down(t)
  local accepted, held = table.concat(t.parts), t.w:buffered()
  local arrived = t.arrived(t.w)
  check.equal(arrived, accepted:sub(1, #arrived), "what arrived")
  if #t.branches == 0 then -- what a tee holds may have arrived elsewhere
    check.equal(#arrived + held, #accepted, "bytes that arrived, with those still held, of those accepted")
  end
  for _, branch in ipairs(t.branches) do
    local there = branch()
    check.equal(there, accepted:sub(1, #there), "what arrived in a branch")
    if done then check.equal(#there, #accepted, "bytes that arrived in a branch, of those accepted") end
  end
  if done then
    check.equal(held, 0, "bytes held after shutdown")
    check.equal(#arrived, #accepted, "bytes that arrived, of those accepted")
    check.ok(#accepted == 0 or t.inspected % #accepted == 0, "an inspect has not seen all")
  end
  if not t.w:is_closed() then t.w:close() end
  t:check_budgets()
end

--- A test for explore: operations over these wrappers, the first one outermost.
function M.test(...)
  local list = { ... }
  return function(schedule)
    local group = aw.budget(2 ^ 40)
    local t = setmetatable({ schedule = schedule, parts = {}, total = 0, inspected = 0, halves = {}, branches = {},
      group = group, budgets = { group } }, Run)
    local base = schedule:random(2) == 1 and over_memory or over_pipe
    base(t)
    t.w = testing.chaos(t.w, schedule)
    for i = #list, 1, -1 do list[i][2](t) end
    operate(t)
    verify(t)
  end
end

local PROFILES = { "slow", "faulty", "hostile" }

--- Every stack of depth 3 with so many seeds, in turn with each profile. report(done, stacks), if given, is called now and
--- then. Returns the number of runs; raises the first failure with its seed, schedule, and the smallest one.
function M.explore(first, seeds, report)
  local n, stack = #M.wrappers, 0
  for i = 1, n do
    for j = 1, n do
      for k = 1, n do
        local a, b, c = M.wrappers[i], M.wrappers[j], M.wrappers[k]
        stack = stack + 1
        local test = M.test(a, b, c)
        for p, profile in ipairs(PROFILES) do
          local count = math.floor((seeds + p - 1 + stack % 3) / 3)
          local from = first + (p - 1) * seeds
          local ok, err = pcall(testing.explore, test, { first = from, seeds = count, profile = profile })
          if not ok then error(("%s > %s > %s, profile %s: %s"):format(a[1], b[1], c[1], profile, tostring(err)), 0) end
        end
        if report then report(stack, n * n * n) end
      end
    end
  end
  return stack * seeds
end

return M
