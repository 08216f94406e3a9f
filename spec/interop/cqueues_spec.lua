-- SPDX-License-Identifier: MIT
-- A host of somebody else's, written from the documented host table alone: our tasks in a cqueues program.

local child = require "support.child"

local T = {}

-- The whole host: alive starts a coroutine of cqueues that pumps while there are tasks.
local HOST = [[
  local cqueues = require "cqueues"
  local core = require "asyncwrite.core"
  local executor = require "asyncwrite.executor"
  local guest = require "asyncwrite.host.guest"
  local controller = cqueues.new()
  local host, living, pumping = { name = "cqueues" }, false, false

  local function pump()
    local ready = { pollfd = core.backend_fd(), events = "r" }
    while living do
      local timeout = guest.pump()
      if not living then break end
      if timeout < 0 then cqueues.poll(ready) else cqueues.poll(ready, timeout / 1000) end
    end
    pumping = false
  end

  function host.alive(on)
    living = on
    if not on or pumping then return end
    pumping = true
    controller:wrap(pump)
  end

  function host.run(main, group, f, ...)
    executor.start_later(main, f, ...)
    while group.left > 0 and not main.failed do assert(controller:step()) end
  end

  executor.set_host(host)
  local aw = require "asyncwrite"
]]

local function check(script)
  if not child.check("print((pcall(require, 'cqueues')))"):find("true") then
    child.skip("cqueues is not installed for this Lua (Debian: lua-cqueues)")
  end
  return child.check(HOST .. script, { seconds = 30 })
end

function T.test_a_third_party_host_runs_tasks_timers_and_sockets()
  check [[
    local start = aw.now()
    local got = aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      local data = ("0123456789"):rep(300000)
      aw.spawn(function()
        local conn = assert(listener:accept())
        assert(conn:write_all(data))
        assert(conn:shutdown())
        conn:close()
        listener:close()
      end)
      local conn = assert(aw.tcp.connect("127.0.0.1", port))
      aw.sleep(0.02)
      local got = conn:read_to_end()
      conn:close()
      return got == data
    end)
    assert(got)
    assert(aw.now() - start >= 0.02)
  ]]
end

function T.test_coroutines_of_the_host_and_our_tasks_interleave_and_wake_each_other()
  check [[
    local log, channel = {}, aw.channel(1)
    local function note(what) log[#log + 1] = what end
    controller:wrap(function()
      for i = 1, 2 do
        cqueues.sleep(0.02)
        note("host " .. i)
        assert(channel:try_send(i))
      end
      channel:close()
    end)
    aw.spawn(function()
      for i in channel:values() do note("task " .. i) end
      note "end"
    end)
    assert(controller:loop())
    assert(table.concat(log, ", ") == "host 1, task 1, host 2, task 2, end", table.concat(log, ", "))
    assert(not living and not pumping, "the pump goes with the last task")
  ]]
end

function T.test_waiting_takes_no_processor_time()
  check [[
    local before = os.clock()
    aw.run(function() aw.sleep(0.3) end)
    assert(os.clock() - before < 0.1, os.clock() - before)
  ]]
end

return T
