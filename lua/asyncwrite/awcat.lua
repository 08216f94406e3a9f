-- SPDX-License-Identifier: MIT
-- awcat SOURCE DEST: a copying tool for files, pipes and sockets. `awcat --help` tells what it takes and returns.

local aw = require "asyncwrite"
local command_line = require "asyncwrite.awcat.options"
local digest = require "asyncwrite.awcat.digest"
local ends = require "asyncwrite.awcat.ends"
local progress = require "asyncwrite.awcat.progress"

local M = {}

local OK, FAILED, USAGE, NOT_STARTED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
local STEP = 64 * 1024 -- bytes per read
local TICK = 0.2       -- seconds between two looks at the terminal
local BURST = 0.1      -- seconds of a rate that may be caught up after a wait
local GRACE = 1        -- seconds for what is buffered to go out after a signal

local unpack = table.unpack or unpack

local function say(...) io.stderr:write("awcat: ", table.concat { ... }, "\n") end

local GONE = { EPIPE = true, ECONNRESET = true, ECONNABORTED = true, ENOTCONN = true }

--- A failure at an end, in the words of the message to come.
local function failure(at, message, code)
  if GONE[code] then message = ("the other side went away (%s)"):format(message) end
  return { at.address.text .. ": " .. tostring(message) }
end

-- ---- One direction ----

-- A function that waits after n bytes, for as long as the rate asks.
local function new_throttle(rate)
  local due = aw.now()
  return function(n)
    local now = aw.now()
    due = math.max(due, now - BURST) + n / rate
    if due > now then aw.sleep(due - now) end
  end
end

-- All of s, counted as it is accepted. nil, or the failure.
local function write(flow, s)
  local to, i = flow.to, 1
  while i <= #s do
    local n, message, code, part = to:write(s, i)
    if not n then
      flow.accepted = flow.accepted + (part or 0)
      return failure(to, message, code)
    end
    if n == 0 then return failure(to, "it takes no more bytes") end
    flow.accepted = flow.accepted + n
    i = i + n
  end
  if flow.digest then flow.digest:update(s) end
end

local function flush(flow)
  local ok, message, code = flow.to:flush()
  if not ok then return failure(flow.to, message, code) end
end

-- The next bytes, or nothing at the end. What is buffered does not wait for a source that is silent.
local function read(flow, step)
  local s, message, code = flow.from:poll_read(step)
  if s == false then
    local failed = flush(flow)
    if failed then return nil, failed end
    s, message, code = flow.from:read(step)
  end
  if not s and code then return nil, failure(flow.from, message, code) end
  return s
end

--- Everything from flow.from to flow.to, then its end. nil, or the failure.
local function pump(flow, options)
  local step, throttle = math.min(options.buffer, STEP), nil
  if options.rate then
    step = math.max(math.min(step, math.floor(options.rate / 8)), 1)
    throttle = new_throttle(options.rate)
  end
  while true do
    local s, failed = read(flow, step)
    if failed then return failed end
    if not s then break end
    failed = write(flow, s) or throttle and flush(flow)
    if failed then return failed end
    if throttle then throttle(#s) end
  end
  local ok, message, code = flow.to:finish()
  if not ok then return failure(flow.to, message, code) end
  ok, message, code = flow.from:ended()
  if not ok then return failure(flow.from, message, code) end
end

-- Nobody wants what the peer says, but unread it would block the peer, and make our close a reset.
local function discard(from)
  while true do
    local s, message, code = from:read(STEP)
    if code then return failure(from, message, code) end
    if not s then return end
  end
end

-- ---- The transfer ----

-- Bytes that have left this process.
local function passed_on(flow) return flow.accepted - flow.to:held() end

local function count(flows)
  local sum = 0
  for _, flow in ipairs(flows) do sum = sum + flow.accepted end
  return sum
end

-- Runs the jobs until all have ended or one returns a failure, which is returned.
local function together(jobs)
  local failed, signal = nil, aw.notify()
  for i, job in ipairs(jobs) do
    jobs[i] = function()
      local problem = job()
      if problem then
        failed = failed or problem
        signal:notify_one()
      end
    end
  end
  aw.first(function() aw.all(unpack(jobs)) end, function() signal:notified() end)
  return failed
end

local function is_both_ways(options) return options.source.socket and options.dest.socket end

-- The one or two directions.
local function new_flows(session, options)
  local source, dest = session.source, session.dest
  local flows = { { from = source, to = dest, accepted = 0 } }
  if is_both_ways(options) then flows[2] = { from = dest, to = source, accepted = 0 } end
  for _, flow in ipairs(flows) do flow.to:buffer(options.buffer) end
  return flows
end

local function transfer(session, options)
  local flows, jobs, both = session.flows, {}, is_both_ways(options)
  for i, flow in ipairs(flows) do jobs[i] = function() return pump(flow, options) end end
  if options.dest.socket and not both then jobs[2] = function() return discard(session.dest) end end
  if session.columns then session.bar = progress.new(session.columns, not both and session.source:size() or nil) end
  local failed = together(jobs)
  if session.bar then session.bar:finish(count(flows)) end
  session.bar = nil
  return failed
end

-- How the transfer ended early, and how far it came.
local function report(flows, what)
  local text = ("after %.0f bytes"):format(passed_on(flows[1]))
  if flows[2] then text = ("%s there and %.0f back"):format(text, passed_on(flows[2])) end
  say(what, ", ", text)
end

local function print_stats(session)
  local seconds = aw.now() - session.started
  for _, flow in ipairs(session.flows) do
    local bytes, waits, stalled = passed_on(flow), flow.to:waits()
    local text = ("%.0f bytes in %.3f s, %s/s"):format(bytes, seconds, progress.bytes(bytes / math.max(seconds, 0.001)))
    if waits then text = ("%s, waited %d times, for %.3f s"):format(text, waits, stalled) end
    say(("%s -> %s: %s"):format(flow.from.address.text, flow.to.address.text, text))
  end
end

local function print_digests(flows)
  for _, flow in ipairs(flows) do
    local hex, message = flow.digest:finish()
    if not hex then
      say(message)
      return FAILED
    end
    say(("sha256 %s  %s -> %s"):format(hex, flow.from.address.text, flow.to.address.text))
  end
  return OK
end

-- ---- From the start to the exit status ----

local function not_started(at, message, code)
  say(failure({ address = at }, message, code)[1])
  return NOT_STARTED
end

-- nil, or the exit status.
local function start_digests(session)
  for _, flow in ipairs(session.flows) do
    local message
    flow.digest, message = digest.new(session.tool)
    if not flow.digest then
      say(message)
      return NOT_STARTED
    end
  end
end

-- Both ends open, or the exit status.
local function open_ends(session, options)
  for _, role in ipairs { "source", "dest" } do
    local made, message, code = ends.new(options[role], role == "dest")
    session[role] = made
    local ok = made
    if made then
      ok, message, code = made:prepare()
    end
    if not ok then return not_started(options[role], message, code) end
  end
  if ends.same_file(session.source, session.dest) then
    return not_started(options.dest, "it is the same file as " .. options.source.text)
  end
  for _, role in ipairs { "source", "dest" } do
    local ok, message, code = session[role]:open()
    if not ok then return not_started(options[role], message, code) end
  end
end

local function run(session, options)
  local status = open_ends(session, options)
  if status then return status end
  session.flows = new_flows(session, options)
  status = session.tool and start_digests(session)
  if status then return status end
  session.started = aw.now()
  local failed = transfer(session, options)
  if options.stats then print_stats(session) end
  if failed then
    report(session.flows, failed[1])
    return FAILED
  end
  return options.sha256 and print_digests(session.flows) or OK
end

local function tick(session)
  while true do
    aw.sleep(TICK)
    if session.bar then session.bar:draw(count(session.flows)) end
  end
end

-- A signal has ended the transfer: what was accepted still goes out, if the other side takes it in time.
local function stop(session, options, what)
  if session.bar then io.stderr:write("\n") end
  session.bar = nil
  if not session.started then return say(what) end
  for _, flow in ipairs(session.flows) do
    aw.timeout(GRACE, function() return flow.to:flush() end)
  end
  if options.stats then print_stats(session) end
  report(session.flows, what)
end

local function run_until_signal(session, options)
  local int, term = assert(aw.signal("SIGINT")), assert(aw.signal("SIGTERM"))
  local ended, status = aw.first(
    function() return run(session, options) end,
    function() int:recv() end,
    function() term:recv() end,
    function() tick(session) end)
  int:close()
  term:close()
  if ended == 1 then return status end
  stop(session, options, ended == 2 and "interrupted" or "terminated")
  return ended == 2 and INTERRUPTED or TERMINATED
end

local function clean_up(session)
  if session.bar then io.stderr:write("\n") end
  for _, flow in ipairs(session.flows or {}) do
    if flow.digest then flow.digest:discard() end
  end
  for _, role in ipairs { "source", "dest" } do
    if session[role] then session[role]:close() end
  end
end

local function start(options)
  local session = {}
  if options.sha256 then
    local message
    session.tool, message = digest.tool()
    if not session.tool then
      say(message)
      return NOT_STARTED
    end
  end
  session.columns = options.progress and progress.terminal()
  local ok, status = pcall(aw.run, run_until_signal, session, options)
  clean_up(session)
  if ok then return status end
  if tostring(status):find("interrupted!", 1, true) then
    say("interrupted")
    return INTERRUPTED
  end
  error(status, 0)
end

--- Runs the tool with the arguments argv; its exit status.
function M.main(argv)
  local options, message = command_line.parse(argv)
  if not options then
    say(message, " (see awcat --help)")
    return USAGE
  end
  if options.help then
    io.stdout:write(command_line.HELP)
    return OK
  end
  if options.version then
    io.stdout:write("awcat ", aw._VERSION, "\n")
    return OK
  end
  return start(options)
end

return M
