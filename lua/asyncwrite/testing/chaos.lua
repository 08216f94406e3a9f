-- SPDX-License-Identifier: MIT
-- chaos: streams that make trouble by dice, within the contract; schedules to replay; explore and shrink. The stream itself
-- is C (csrc/writers/chaos.c), so a thousand seeds take seconds.

local core = require "asyncwrite.core"
core.library()
local aw = require "asyncwrite"
local executor = require "asyncwrite.executor"
local clock = require "asyncwrite.testing.clock"

local unpack = table.unpack or unpack

---How often which trouble comes, in per cent of the polls; what is left of 100 goes well.
---@class asyncwrite.testing.Profile
---@field short? integer no more than some bytes
---@field early? integer NotReady, woken at once
---@field late? integer NotReady, woken after 1 to max_late milliseconds
---@field spurious? integer late, and woken for nothing before
---@field zero? integer a write takes 0 of some bytes; the next may take some
---@field error? integer a poll fails with `code` and has done nothing; the next goes on
---@field fatal? integer from then on everything fails with `fatal_code`
---@field cancel? integer NotReady, and what runs in `interrupt` is cancelled there
---@field max_late? integer milliseconds, default 3
---@field code? string default "EIO"
---@field fatal_code? string default "ECONNRESET"

local M = {}

--- Profiles by name: "slow", the default, loses nothing that write_all and flush do not bring back; "faulty" fails as well,
--- and goes on; "hostile" breaks, too, and cancels.
---@type table<string, asyncwrite.testing.Profile>
M.PROFILES = {
  slow = { short = 30, early = 8, late = 8, spurious = 4 },
  faulty = { short = 25, early = 8, late = 6, spurious = 4, zero = 2, error = 6 },
  hostile = { short = 25, early = 7, late = 6, spurious = 4, zero = 2, error = 5, fatal = 1, cancel = 4 },
}

local VERBS = { [0] = "ok", "short", "early", "late", "spurious", "zero", "error", "fatal", "cancel" }
local NUMBERS = {}
for number, verb in pairs(VERBS) do NUMBERS[verb] = number end
local OK, TAKES = NUMBERS.ok, { short = "number", late = "number", spurious = "number", error = "code", fatal = "code" }

-- ---- Schedules as text: "17: ok*3 short:2 late:1 error:EIO" ----

local function word(verb, arg)
  local name = VERBS[verb]
  if TAKES[name] == "number" then return name .. ":" .. arg end
  if TAKES[name] == "code" then return name .. ":" .. core.chaos_code_name(arg) end
  return name
end

-- Steps are verb and argument in turn. What goes well at the end needs no words.
local function to_text(seed, steps)
  local words, n = {}, #steps
  while n > 0 and steps[n - 1] == OK do n = n - 2 end
  local i = 1
  while i < n do
    local text, run = word(steps[i], steps[i + 1]), 1
    while i + 2 * run < n and word(steps[i + 2 * run], steps[i + 2 * run + 1]) == text do run = run + 1 end
    words[#words + 1] = run > 1 and text .. "*" .. run or text
    i = i + 2 * run
  end
  return ("%d: %s"):format(seed, #words > 0 and table.concat(words, " ") or "ok")
end

local function bad(text, what) core.arg_error("schedule", 1, "source", ("%s in '%s'"):format(what, text)) end

local function parse_word(text, w)
  local name, arg, count = w:match("^(%l+):?([%w_]*)%*?(%d*)$")
  local verb = NUMBERS[name or ""]
  if not verb then bad(text, "no such step: " .. w) end
  local takes, value = TAKES[name], 0
  if takes == "number" then value = tonumber(arg) end
  if takes == "code" then value = core.chaos_code(arg) end
  if not value or (takes == nil) ~= (arg == "") then bad(text, "wrong argument: " .. w) end
  return verb, value, tonumber(count) or 1
end

local function parse(text)
  local seed, rest = text:match("^(%d+):%s*(.*)$")
  local steps = {}
  for w in (rest or text):gmatch("%S+") do
    local verb, value, count = parse_word(text, w)
    if count > 2 ^ 20 then bad(text, "too many: " .. w) end
    for _ = 1, count do steps[#steps + 1], steps[#steps + 2] = verb, value end
  end
  return tonumber(seed) or 0, steps
end

-- ---- Schedules ----

---What chaos streams draw from: of a seed, or of a text, which replays. Streams that share one take turns in the order in
---which they are polled.
---@class asyncwrite.testing.Schedule
local Schedule = {}
Schedule.__index = Schedule

local function profile_of(profile)
  if profile == nil then return M.PROFILES.slow end
  local found = type(profile) == "string" and M.PROFILES[profile] or profile
  if type(found) ~= "table" then
    core.arg_error("schedule", 2, "profile", "a table or the name of a profile expected, got " .. tostring(profile))
  end
  return found
end

local function code_number(profile, field)
  local name = profile[field]
  if name == nil then return nil end
  return core.chaos_code(tostring(name)) or
    core.arg_error("schedule", 2, "profile", ("field '%s': no error code: %s"):format(field, tostring(name)))
end

local function for_core(profile)
  local fields = { error_code = code_number(profile, "code"), fatal_code = code_number(profile, "fatal_code") }
  for name, value in pairs(profile) do
    if NUMBERS[name] and name ~= "ok" or name == "max_late" then
      fields[name] = value
    elseif name ~= "code" and name ~= "fatal_code" then
      core.arg_error("schedule", 2, "profile", "no such field: " .. tostring(name))
    end
  end
  return fields
end

local function new(seed, profile, steps)
  local self = setmetatable({ seed = seed, profile = profile, state = seed % 2147483646 + 1 }, Schedule)
  self.dice = core.dice(seed, for_core(profile))
  if steps then self.dice:replay(steps) end
  return self
end

--- A schedule of a seed, of the text of another one, or a new one with the same steps as far as they went.
---@param source integer|string|asyncwrite.testing.Schedule
---@param profile? string|asyncwrite.testing.Profile for seeds; default "slow"
---@return asyncwrite.testing.Schedule schedule
function M.schedule(source, profile)
  if type(source) == "number" and source % 1 == 0 and source >= 0 and source < 2 ^ 32 then
    return new(source, profile_of(profile))
  elseif type(source) == "string" then
    local seed, steps = parse(source)
    return new(seed, M.PROFILES.slow, steps)
  elseif getmetatable(source) == Schedule then
    return new(source.seed, source.profile, source:steps())
  end
  core.arg_error("schedule", 1, "source", "a seed, a text or a schedule expected, got " .. tostring(source))
end

--- What was drawn until now: verbs and arguments in turn.
---@return integer[] steps
function Schedule:steps() return self.dice:steps() end

--- What was drawn until now as text, which replays it.
function Schedule:__tostring() return to_text(self.seed, self:steps()) end

--- 1 to n: for the test's own choices, which hang on the seed alone.
---@param n integer
---@return integer
function Schedule:random(n)
  self.state = self.state * 16807 % 2147483647
  return self.state % n + 1
end

--- A stream that hands everything on, and makes trouble by the schedule. It moves in, as into any wrapper.
---@param stream asyncwrite.Stream
---@param source integer|string|asyncwrite.testing.Schedule a seed, a text that replays, or what several streams share
---@param profile? string|asyncwrite.testing.Profile for seeds; default "slow"
---@return asyncwrite.Duplex stream
---@return asyncwrite.testing.Schedule schedule
function M.chaos(stream, source, profile)
  local schedule = getmetatable(source) == Schedule and source or M.schedule(source, profile)
  return core.chaos(stream, schedule.dice), schedule
end

local function raise_or_return(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

--- f(...) as a task that is cancelled where the schedule says so. Its results; or nil, message, "ECANCELED", and how many
--- bytes the operation that was cut had accepted.
---@async
---@param schedule asyncwrite.testing.Schedule
---@param f async fun(...: any): ...
---@param ... any
---@return any ...
function M.interrupt(schedule, f, ...)
  if getmetatable(schedule) ~= Schedule then
    core.arg_error("interrupt", 1, "schedule", "a schedule expected, got " .. type(schedule))
  end
  local waker, args, ended = aw.current_waker(), { n = select("#", ...), ... }, false
  local child = aw.spawn("interrupted", function()
    local function finish(...)
      ended = true
      waker:wake()
      if ... == false and select(2, ...) == aw.CANCELLED then error(aw.CANCELLED, 0) end
      return ...
    end
    return finish(pcall(f, unpack(args, 1, args.n)))
  end)
  while not (ended or child:is_done()) do
    if schedule.dice:poll_cancel() then
      local accepted = executor.accepted(child)
      child:cancel()
      return nil, "ECANCELED: cancelled by chaos", "ECANCELED", accepted
    end
    aw.park("interrupt", child)
  end
  return raise_or_return(child:join())
end

-- ---- Shrinking ----

local function fails(run, steps, seed)
  local ok, err = pcall(run, new(seed, M.PROFILES.slow, steps))
  return not ok and (err == nil and "error" or err)
end

-- A copy without the steps from i to j: gone, or gone well.
local function without(steps, i, j, gone)
  local copy = {}
  for k = 1, #steps / 2 do
    local inside = k >= i and k <= j
    if not (inside and gone) then
      copy[#copy + 1] = inside and OK or steps[2 * k - 1]
      copy[#copy + 1] = inside and 0 or steps[2 * k]
    end
  end
  return copy
end

local function has_trouble(steps, i, j)
  for k = i, math.min(j, #steps / 2) do
    if steps[2 * k - 1] ~= OK then return true end
  end
end

-- Delta debugging: leaves out ever smaller parts, as long as it still fails.
local function reduce(try, steps, gone)
  local size = math.ceil(#steps / 2)
  while size >= 1 do
    local i = 1
    while i <= #steps / 2 do
      local smaller = (gone or has_trouble(steps, i, i + size - 1)) and without(steps, i, i + size - 1, gone)
      if smaller and try(smaller) then
        steps = smaller
        if not gone then i = i + size end
      else
        i = i + size
      end
    end
    size = size > 1 and math.ceil(size / 2) or 0
  end
  return steps
end

local function simplify(try, steps)
  for k = 1, #steps / 2 do
    local name = VERBS[steps[2 * k - 1]]
    for _, change in ipairs { { "early", 0 }, { "short", 1 }, { name, 1 } } do
      local copy = { unpack(steps) }
      copy[2 * k - 1], copy[2 * k] = NUMBERS[change[1]], change[2]
      local plain = TAKES[name] == "number" and (change[1] == name or change[1] == "early" and name ~= "short")
      if plain and (copy[2 * k] ~= steps[2 * k] or copy[2 * k - 1] ~= steps[2 * k - 1]) and try(copy) then
        steps = copy
        break
      end
    end
  end
  return steps
end

--- The smallest trouble with which run still fails.
---@param run fun(schedule: asyncwrite.testing.Schedule) raises when it fails; is called again and again, outside of tasks
---@param schedule asyncwrite.testing.Schedule|string one it fails with
---@param runs? integer at most so many calls; default 2000
---@return string schedule as text
---@return any err what run raised with it
---@return integer runs how many calls it took
function M.shrink(run, schedule, runs)
  if type(run) ~= "function" then core.arg_error("shrink", 1, "run", "function expected, got " .. type(run)) end
  local whole = type(schedule) == "string" and M.schedule(schedule) or schedule
  if getmetatable(whole) ~= Schedule then
    core.arg_error("shrink", 2, "schedule", "a schedule or its text expected, got " .. type(schedule))
  end
  local seed, used, left = whole.seed, 0, runs or 2000
  local steps = type(schedule) == "string" and select(2, parse(schedule)) or whole:steps()
  local last = fails(run, steps, seed)
  if not last then core.raise("shrink", "run does not fail with this schedule: " .. to_text(seed, steps)) end
  local function try(candidate)
    if used == left then return false end
    used = used + 1
    local err = fails(run, candidate, seed)
    last = err or last
    return err and true or false
  end
  local before
  repeat
    before = to_text(seed, steps)
    steps = reduce(try, steps, false)
    steps = reduce(try, steps, true)
    steps = simplify(try, steps)
  until to_text(seed, steps) == before or used == left
  return to_text(seed, steps), last, used
end

-- ---- Many seeds ----

local function message_of(err) return (tostring(err):gsub("\nstack traceback:.*", "")) end

---@class asyncwrite.testing.Explore
---@field seeds? integer how many; default 100
---@field first? integer the first one; default 1
---@field profile? string|asyncwrite.testing.Profile default "slow"
---@field shrink? boolean default true
---@field real? boolean in real time; default: in virtual time, where the host has it

--- f(schedule) in a run of its own for each seed. When it fails: an error with the seed, the schedule and the smallest one
--- that fails as well.
---@param f async fun(schedule: asyncwrite.testing.Schedule)
---@param options? asyncwrite.testing.Explore
function M.explore(f, options)
  if type(f) ~= "function" then core.arg_error("explore", 1, "f", "function expected, got " .. type(f)) end
  options = options or {}
  local start = (options.real or executor.host().name ~= "standalone") and aw.run or clock.run
  local first = options.first or 1
  local function run(schedule) start(f, schedule) end
  for seed = first, first + (options.seeds or 100) - 1 do
    local schedule = M.schedule(seed, options.profile)
    local ok, err = pcall(run, schedule)
    if not ok then
      local lines = { ("chaos: seed %d: %s"):format(seed, message_of(err)), "  schedule: " .. tostring(schedule) }
      if options.shrink ~= false then
        local text, why = tostring(schedule), err
        local fine, smaller, reason = pcall(M.shrink, run, schedule)
        if fine then text, why = smaller, reason end
        lines[#lines + 1] = ("  shrunk:   %s"):format(text)
        lines[#lines + 1] = ("  fails by: %s"):format(message_of(why))
      end
      lines[#lines + 1] = ("  to replay: testing.run(f, testing.schedule(%q))"):format(tostring(schedule))
      error(table.concat(lines, "\n"), 0)
    end
  end
end

return M
