-- SPDX-License-Identifier: MIT
-- make soak: connects and closes over and over (linger 0) and looks whether anything stays behind.
-- lua spec/soak/run.lua [CYCLES [SECONDS]]: 100,000 cycles, at most 600 seconds.

local aw = require "asyncwrite"
local check = require "support.check"

local cycles, seconds = tonumber(arg[1]) or 100000, tonumber(arg[2]) or 600
local WARM_UP = math.min(5000, cycles)
local MAX_LUA, MAX_RESIDENT = 256, 4096 -- KiB that may come on top

local function measure()
  collectgarbage()
  collectgarbage()
  return { fds = check.fd_count(), lua = collectgarbage("count"), resident = check.resident() }
end

local function line(text, m)
  print(("%-22s %4d descriptors  %8.0f KiB of Lua  %8d KiB resident"):format(text, m.fds, m.lua, m.resident))
end

-- The server answers half of the connections, reads half-way from others, and leaves the rest alone.
local function handle(stream)
  local first = stream:read(1)
  if first == "e" then stream:write_all("echo") end
  if first then stream:read() end
end

local function cycle(port, i)
  local stream = assert(aw.tcp.connect("127.0.0.1", port))
  if i % 2 == 0 then
    local w = aw.buf_writer(stream, 64)
    assert(w:write_all(i % 4 == 0 and "e" or "x", "yz"))
    assert(w:flush())
    if i % 4 == 0 then assert(w:read_exact(4) == "echo") end
    w:set_linger(0)
    w:close()
  else
    stream:set_linger(0)
    stream:close()
  end
end

local function run(port, from, to, limit)
  for i = from, to do
    cycle(port, i)
    if i % 1000 == 0 and aw.now() > limit then return i end
  end
  return to
end

local faults = aw.run(function()
  local listener = assert(aw.tcp.listen("127.0.0.1", 0))
  local _, port = listener:local_addr()
  local server = aw.spawn(function() return listener:serve(handle) end)
  local start = aw.now()
  run(port, 1, WARM_UP, start + seconds)
  aw.sleep(0.05)
  local before = measure()
  line(("after %d cycles"):format(WARM_UP), before)
  local done = run(port, WARM_UP + 1, cycles, start + seconds)
  local limit = aw.now() + 30
  local after
  repeat -- the server's ends go as soon as it has seen the resets
    aw.sleep(0.05)
    after = measure()
  until after.fds <= before.fds or aw.now() > limit
  line(("after %d cycles"):format(done), after)
  print(("%.0f cycles a second"):format(done / (aw.now() - start)))
  listener:close()
  server:join()
  local list = {}
  if done < cycles then list[#list + 1] = ("only %d of %d cycles in %d s"):format(done, cycles, seconds) end
  if after.fds > before.fds then list[#list + 1] = "descriptors leak" end
  if after.lua > before.lua + MAX_LUA then list[#list + 1] = "the Lua heap grows" end
  if after.resident > before.resident + MAX_RESIDENT then list[#list + 1] = "the process grows" end
  return list
end)

for _, fault in ipairs(faults) do print("FAILED: " .. fault) end
print(#faults == 0 and "soak: nothing stays behind" or "soak: failed")
os.exit(#faults == 0 and 0 or 1, true)
