-- SPDX-License-Identifier: MIT
-- Random operations over random stacks: every accepted byte arrives once and in order, and every failure says how many
-- were accepted. SPEC_STACKS: how many stacks; SPEC_STACK: only this one, of the seed that was printed.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local seed = require "support.seed"

local M = {}

local STACKS = tonumber(os.getenv("SPEC_STACKS")) or 400
local ONLY = tonumber(os.getenv("SPEC_STACK"))
local OPERATIONS = 40

-- ---- Stacks ----

local function flaky(name, vectored)
  return {
    name = name, random = true, flaky = true, vectored = vectored,
    make = function(t) t:use(D.writer(D.chaos(t.random, { errors = 10, vectored = vectored }))) end,
  }
end

local bases = { flaky("flaky", false), flaky("flaky(vectored)", true) }
for _, kind in ipairs(H.kinds) do
  if kind.writer ~= false and not kind.blind and not kind.zero then bases[#bases + 1] = kind end
end

local wrappers = {
  function(t, random)
    local capacity = random(80) - 1
    t.w = aw.buf_writer(t.w, capacity)
    return ("buf_writer(%d)"):format(capacity)
  end,
  function(t, random)
    local capacity = random(80) - 1
    t.w = aw.line_writer(t.w, capacity)
    return ("line_writer(%d)"):format(capacity)
  end,
  function(t)
    local seen = {}
    t.w = aw.inspect(t.w, function(part) seen[#seen + 1] = part end)
    t.inspected = t.inspected or {}
    table.insert(t.inspected, function() return table.concat(seen) end)
    return "inspect"
  end,
  function(t)
    t.w = aw.deadline(aw.progress(t.w, function() end, { interval = 0 }), 1e6)
    return "deadline > progress"
  end,
  function(t, random)
    t.w = aw.throttle(t.w, 10 ^ (5 + random(4)), { burst = 1000 * random(100) })
    return "throttle"
  end,
  function(t, random)
    local copy = D.writer(D.chaos(random, { vectored = random(2) == 1 }))
    local last = (t.peer or t.double) and random(2) == 1 -- contents() reaches the first branch
    t.w = aw.tee(last and { copy.w, t.w } or { t.w, copy.w }, { capacity = random(100) })
    t.inspected = t.inspected or {}
    table.insert(t.inspected, function() return copy:bytes() end)
    return "tee"
  end,
  function(t)
    t.w = aw.checksum(aw.limit(t.w, 2 ^ 50), "adler32")
    return "checksum > limit"
  end,
  function(t)
    local r, back = aw.simplex(10)
    t.keep_back = back
    t.w = aw.join(r, t.w)
    return "join"
  end,
  function(t)
    if not t.w:is_reader() then return nil end
    t.w = aw.buf_reader(t.w)
    return "buf_reader"
  end,
  function(t)
    if not t.w:is_reader() then return nil end
    t.r, t.w = aw.split(t.w)
    return "split"
  end,
}

local function random_stack(random)
  local base, depth, names = bases[random(#bases)], random(4) - 1, {}
  local kind = {}
  for trait, value in pairs(base) do kind[trait] = value end
  kind.names = names
  kind.half = false -- reading is not what this is about
  function kind.make(t)
    base.make(t)
    names[1] = base.name
    for _ = 1, depth do
      local name = wrappers[random(#wrappers)](t, random)
      if name then table.insert(names, 1, name) end
    end
  end
  function kind.fixture() return require("conformance.fixture").new(kind, random) end
  return kind
end

-- ---- Operations: each returns how many of its bytes were accepted ----

local function cut(s, random) -- s in up to four strings
  local list, at = {}, 1
  for _ = 1, random(4) - 1 do
    local n = random(#s + 1) - 1
    list[#list + 1] = s:sub(at, at + n - 1)
    at = math.min(at + n, #s + 1)
  end
  list[#list + 1] = s:sub(at)
  return list
end

local unpack = table.unpack or unpack

local function all_or(s, ok, _, code, accepted)
  if ok then return #s end
  return accepted, code
end

local operations = {
  write = function(w, s)
    local n, _, code, accepted = w:write(s)
    return n or accepted, code
  end,
  write_vectored = function(w, s, random)
    local n, _, code, accepted = w:write_vectored(cut(s, random))
    return n or accepted, code
  end,
  write_all = function(w, s, random) return all_or(s, w:write_all(unpack(cut(s, random)))) end,
  write_all_vectored = function(w, s, random) return all_or(s, w:write_all_vectored(cut(s, random))) end,
  write_all_buf = function(w, s) return all_or(s, w:write_all_buf(aw.cursor(s))) end,
  copy = function(w, s, random)
    local n, _, code, accepted = aw.copy(aw.cursor(s), w, random(50))
    return n or accepted, code
  end,
  poll_write = function(w, s)
    local n, _, code = select(2, D.poll(w, "poll_write", s))
    return n or 0, code
  end,
  flush = function(w)
    local _, _, code = w:flush()
    return 0, code
  end,
}
local NAMES = { "write", "write_vectored", "write_all", "write_all_vectored", "write_all_buf", "copy", "poll_write",
  "flush" }

local modes = {
  plain = function(operation, t, s) return operation(t.w, s, t.random) end,
  timeout = function(operation, t, s)
    local n, _, code, accepted = aw.timeout(t.random(3) / 2000 - 0.0005, operation, t.w, s, t.random)
    if code == "ETIMEDOUT" then return accepted end
    return n, _ -- the operation's own results: count, code
  end,
  cancel = function(operation, t, s)
    local n, code = 0, nil
    local buf = aw.cursor(s)
    local task = t:spawn(function()
      if operation == operations.write_all_buf then t.w:write_all_buf(buf) else n, code = operation(t.w, s, t.random) end
    end)
    for _ = 1, t.random(5) do aw.yield() end
    task:cancel()
    if operation == operations.write_all_buf then n = buf:position() end
    return n, code
  end,
}
local cancel_safe = { write = true, write_vectored = true, write_all_buf = true, flush = true }

local function step(t)
  local random = t.random
  local name = NAMES[random(#NAMES)]
  local roll = random(10)
  local mode = roll <= 2 and "timeout" or roll <= 4 and cancel_safe[name] and "cancel" or "plain"
  local s = t:text(name == "flush" and 0 or random(random(3) == 1 and 5000 or 60)):gsub("%.", "\n")
  t.story[#t.story + 1] = ("%s %d bytes, %s"):format(name, #s, mode)
  local n, code = modes[mode](operations[name], t, s)
  t.story[#t.story] = t.story[#t.story] .. (" = %s %s"):format(tostring(n), code or "")
  check.ok(type(n) == "number" and n >= 0 and n <= #s, "it said that it accepted " .. tostring(n))
  if code then check.ok(code == "EIO" and t.kind.flaky, code) end
  t:book(s, n)
end

local function slow_reader(t)
  if not t.peer then return end
  local pace = 4 ^ t.random(3)
  t.reading = aw.spawn("reader", function()
    while true do
      for _ = 1, t.random(pace) - 1 do aw.yield() end
      local s, _, code = t.peer:read(t.random(3) == 1 and 65536 or t.random(100))
      if not s then
        t.read_code = code
        return
      end
      t:keep(s)
    end
  end)
end

local function body(t)
  slow_reader(t)
  for _ = 1, OPERATIONS do step(t) end
  for _ = 1, t.random(3) - 1 do -- shutdown begins, and is cut
    aw.timeout(0, function() return t.w:shutdown() end)
    t.story[#t.story + 1] = "shutdown, timeout"
  end
  D.run_until(function()
    local done, _, code = t.w:shutdown()
    t.story[#t.story + 1] = "shutdown = " .. tostring(done or code)
    check.ok(done or t.kind.flaky and code == "EIO", code)
    return done
  end, "a shutdown without an error")
  t:await_eof()
  check.equal(t:arrived(), t:booked(), "what arrived")
  for _, seen in ipairs(t.inspected or {}) do check.equal(seen(), t:booked(), "what inspect has seen") end
end

local function run_stack(number)
  local kind = random_stack(D.random(seed + 7919 * number))
  local story
  local ok, err = H.run(kind, function(t)
    t.story = {}
    story = t.story
    body(t)
  end)
  if ok then return end
  story = table.concat(story or {}, "\n    ")
  error(("stack %d, %s: %s\n    %s"):format(number, table.concat(kind.names, " > "), tostring(err), story), 0)
end

function M.test_every_accepted_byte_arrives_once_and_in_order()
  local faults = {}
  for number = ONLY or 1, ONLY or STACKS do
    local ok, err = pcall(run_stack, number)
    if not ok then faults[#faults + 1] = err end
    if #faults > 2 then break end
  end
  if #faults > 0 then
    error(("%s\nto replay: SPEC_SEED=%d SPEC_STACK=number"):format(table.concat(faults, "\n"), seed), 0)
  end
end

return M
