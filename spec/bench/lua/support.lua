-- What the Lua side of the benchmarks shares. CPU time is os.clock(): user and system seconds of this process.
-- SPDX-License-Identifier: MIT
local M = {}

--- A value in kB of /proc/self/status, such as "VmRSS"; 0 where there is none.
function M.status_kb(key)
  local f = io.open("/proc/self/status")
  local text = f and f:read("*a") or ""
  if f then
    f:close()
  end
  return tonumber(text:match(key .. ":%s*(%d+)")) or 0
end

--- Forgets the peak of the resident set, so that VmHWM speaks of what follows.
function M.reset_peak()
  local f = io.open("/proc/self/clear_refs", "w")
  if f then
    f:write("5")
    f:close()
  end
end

--- The last line, which the driver reads: pairs of key and value.
function M.result(...)
  local list, line = { ... }, { "RESULT" }
  for i = 1, #list, 2 do
    line[#line + 1] = ("%s=%.9g"):format(list[i], list[i + 1])
  end
  io.stdout:write(table.concat(line, " "), "\n")
  io.stdout:flush()
end

--- A function of probe.so ("heap", "noop" or "bare"), whose path the driver passes in the environment; nil without it.
function M.probe(name)
  local path = os.getenv("BENCH_PROBE")
  local open = path and path ~= "" and package.loadlib(path, "luaopen_" .. name)
  return open and open()
end

--- Waits until the peer has read everything, so that nothing of one run is still being read in the next.
function M.finish(conn)
  assert(conn:shutdown())
  conn:read(1)
  conn:close()
end

return M
