-- SPDX-License-Identifier: MIT
-- What w:trace() has recorded, as text to read or as JSON for a trace viewer.

local core = require "asyncwrite.core"
core.library()

local M = {}

local function events_of(op, i, stream)
  if not core.is_box(stream) then
    core.arg_error(op, i, "stream", "writer or reader expected, got " .. type(stream))
  end
  local events, dropped = stream:trace_events()
  if not events then core.arg_error(op, i, "stream", "it is not traced; call its trace()") end
  return events, dropped
end

local function result_text(result)
  if result == false then return "pending" end
  return type(result) == "number" and ("%.0f"):format(result) or result
end

--- A line for each event of a stream: seconds since the first, how long the poll took, the poll and its result.
function M.text(stream)
  local events, dropped = events_of("text", 1, stream)
  local lines = { tostring(stream) }
  if dropped > 0 then lines[2] = ("(%.0f older events are gone)"):format(dropped) end
  local first = events[1] and events[1].time
  for _, e in ipairs(events) do
    local took = e.seconds and ("%9.6f"):format(e.seconds) or (" "):rep(9)
    lines[#lines + 1] = ("%12.6f %s  %s%s"):format(e.time - first, took, e.op,
      e.seconds and " -> " .. result_text(e.result) or "")
  end
  return table.concat(lines, "\n") .. "\n"
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\" }
local function quote(s)
  return '"' .. s:gsub('[%c"\\\127-\255]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function chrome_event(e, tid)
  local at = ('"pid":1,"tid":%d,"ts":%.3f'):format(tid, e.time * 1e6)
  if not e.seconds then return ('{"name":"wake","ph":"i","s":"t",%s}'):format(at) end
  return ('{"name":%s,"ph":"X","dur":%.3f,%s,"args":{"result":%s}}'):format(quote(e.op), e.seconds * 1e6, at,
    quote(result_text(e.result)))
end

--- The events of all these streams in the Trace Event Format, which chrome://tracing and Perfetto show: a row a stream.
function M.chrome(...)
  local parts = {}
  for tid = 1, select("#", ...) do
    local stream = (select(tid, ...))
    local events = events_of("chrome", tid, stream)
    parts[#parts + 1] = ('{"name":"thread_name","ph":"M","pid":1,"tid":%d,"args":{"name":%s}}'):format(tid,
      quote(tostring(stream)))
    for _, e in ipairs(events) do parts[#parts + 1] = chrome_event(e, tid) end
  end
  return '{"traceEvents":[' .. table.concat(parts, ",\n") .. "]}\n"
end

return M
