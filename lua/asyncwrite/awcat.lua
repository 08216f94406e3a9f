-- SPDX-License-Identifier: MIT
-- awcat SOURCE DEST: a copying tool for files, pipes and sockets. `awcat --help` tells what it takes and returns.

local aw = require "asyncwrite"
local command_line = require "asyncwrite.awcat.options"
local digest = require "asyncwrite.awcat.digest"
local ends = require "asyncwrite.awcat.ends"
local flow = require "asyncwrite.awcat.flow"
local progress = require "asyncwrite.awcat.progress"

local M = {}

local OK, FAILED, USAGE, NOT_STARTED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
local TICK = 0.2 -- seconds between two looks at the terminal
local GRACE = 1  -- seconds for what is buffered to go out after a signal

local unpack = table.unpack or unpack

-- One line, also of a command or name that has several.
local function say(...) io.stderr:write("awcat: ", (table.concat({ ... }):gsub("%c+", " ")), "\n") end

-- ---- The transfer ----

-- Nobody wants what the peer says, but unread it would block the peer, and make our close a reset.
local function discard(from)
  while true do
    local s, message, code = from.stream:read()
    if code then return flow.failure(from.address, message, code) end
    if not s then return end
  end
end

local function count(flows)
  local sum = 0
  for _, each in ipairs(flows) do sum = sum + each:passed_on() end
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
  local source, dest, others, digests = session.source, session.dest, session.tee, session.digests
  others[#others + 1] = digests[1]
  local flows = { flow.new(source, dest, others, options) }
  if is_both_ways(options) then flows[2] = flow.new(dest, source, { digests[2] }, options) end
  return flows
end

local function transfer(session, options)
  local flows, jobs, both = session.flows, {}, is_both_ways(options)
  if session.columns then session.bar = progress.new(session.columns, not both and session.source:size() or nil) end
  for i, each in ipairs(flows) do jobs[i] = function() return each:run() end end
  if options.dest.socket and not both then jobs[2] = function() return discard(session.dest) end end
  local failed = together(jobs)
  for _, each in ipairs(flows) do failed = failed or each:ended() end
  if session.bar then session.bar:finish(count(flows)) end
  session.bar = nil
  return failed
end

-- How the transfer ended early, and how far it came.
local function report(flows, what)
  local text = ("after %.0f bytes"):format(flows[1]:passed_on())
  if flows[2] then text = ("%s there and %.0f back"):format(text, flows[2]:passed_on()) end
  say(what, ", ", text)
end

local function print_stats(session)
  local seconds = aw.now() - session.started
  for _, each in ipairs(session.flows) do
    local stats = each.w:stats()
    local bytes, rate = stats.written, progress.bytes(stats.written / math.max(seconds, 0.001))
    say(("%s -> %s: %.0f bytes in %.3f s, %s/s, waited %d times, for %.3f s"):format(each.from.address.text,
      each.to.address.text, bytes, seconds, rate, stats.waits, stats.stalled))
  end
end

local function print_digests(session)
  for i, each in ipairs(session.flows) do
    say(("sha256 %s  %s -> %s"):format(session.digests[i].hex, each.from.address.text, each.to.address.text))
  end
end

-- ---- From the start to the exit status ----

local function not_started(address, message, code)
  say(flow.failure(address, message, code))
  return NOT_STARTED
end

-- All ends, with the addresses of the command line.
local function new_ends(session, options)
  local function add(address, writes)
    local made, message, code = ends.new(address, writes)
    if not made then return nil, not_started(address, message, code) end
    session.ends[#session.ends + 1] = made
    local ok
    ok, message, code = made:prepare()
    if not ok then return nil, not_started(address, message, code) end
    return made
  end
  local status
  session.source, status = add(options.source, false)
  if status then return status end
  session.dest, status = add(options.dest, true)
  for i, address in ipairs(options.tee) do
    if status then return status end
    session.tee[i], status = add(address, true)
  end
  return status
end

-- nil when they are open, else the exit status.
local function open_ends(session, options)
  local status = new_ends(session, options)
  if status then return status end
  for i, made in ipairs(session.ends) do
    for k = 1, i - 1 do
      if ends.same_file(session.ends[k], made) then
        return not_started(made.address, "it is the same file as " .. session.ends[k].address.text)
      end
    end
  end
  for _, made in ipairs(session.ends) do
    local ok, message, code = made:open()
    if not ok then return not_started(made.address, message, code) end
  end
end

-- One for each direction; nil, or the exit status.
local function start_digests(session, options)
  for i = 1, is_both_ways(options) and 2 or 1 do
    local made, message = digest.new()
    if not made then
      say(message)
      return NOT_STARTED
    end
    session.digests[i] = made
  end
end

local function run(session, options)
  local status = options.sha256 and start_digests(session, options) or open_ends(session, options)
  if status then return status end
  session.flows = new_flows(session, options)
  session.started = aw.now()
  local failed = transfer(session, options)
  if options.stats then print_stats(session) end
  if failed then
    for _, each in ipairs(session.flows) do each:break_off() end
    report(session.flows, failed)
    return FAILED
  end
  if options.sha256 then print_digests(session) end
  return OK
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
  local flushes = {}
  for i, each in ipairs(session.flows) do
    flushes[i] = function() return not each.w:is_closed() and each.w:flush() end
  end
  aw.timeout(GRACE, function() aw.all(unpack(flushes)) end)
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
  for _, made in ipairs(session.ends) do made:close() end
  for _, made in ipairs(session.digests) do made:close() end
end

local function start(options)
  local session = { ends = {}, tee = {}, digests = {} }
  session.columns = options.progress and progress.terminal()
  local ok, status = pcall(aw.run, run_until_signal, session, options)
  clean_up(session)
  if ok then return status end
  local text = tostring(status)
  if text:find("interrupted!", 1, true) then
    say("interrupted")
    return INTERRUPTED
  end
  if not text:find("not enough memory", 1, true) then error(status, 0) end
  if session.started then report(session.flows, "not enough memory") else say("not enough memory: try a smaller --buffer") end
  return session.started and FAILED or NOT_STARTED
end

-- What was asked for goes to standard output.
local function print_text(text)
  local ok, message = io.stdout:write(text)
  if ok then ok, message = io.stdout:flush() end
  if ok then return OK end
  say("-: ", message)
  return FAILED
end

--- Runs the tool with the arguments argv; its exit status.
function M.main(argv)
  local options, message = command_line.parse(argv)
  if not options then
    say(message, " (see awcat --help)")
    return USAGE
  end
  if options.help then return print_text(command_line.HELP) end
  if options.version then return print_text(("awcat %s\n"):format(aw._VERSION)) end
  return start(options)
end

return M
