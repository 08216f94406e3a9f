-- SPDX-License-Identifier: MIT
-- Out of memory: each allocation of the library fails once. No crash, a clean error, no leak, and it works afterwards.

local lu = require "luaunit"
local child = require "support.child"

local T = {}

local function preload()
  child.not_sanitized("a malloc of our own")
  return { preload = child.compile("preload_malloc", "-ldl"), seconds = 120 }
end

-- Everything that allocates, in steps. Each step gets keep(stream, ...), which hands the streams on and closes them when
-- the step is over, however it ended.
local STEPS = [[
  local aw = require "asyncwrite"
  local testing = require "asyncwrite.testing"
  local path = os.tmpname()
  os.remove(path)

  local function check(value, message, ...)
    if not value then error(message or "no message", 0) end
    return value, message, ...
  end

  local steps = {
    memory = function(keep)
      local w = keep(aw.memory())
      for i = 1, 6 do check(w:write_all(("x"):rep(10 ^ i))) end
      assert(#w:take() == 1111110)
    end,
    empty = function(keep)
      local s = keep(aw.empty())
      check(s:write_all("x"))
      assert(s:read() == nil)
    end,
    cursor = function(keep)
      local w = keep(aw.cursor("start"))
      check(w:write_all(("x"):rep(100)))
      w:set_position(300)
      check(w:write_all("y"))
      assert(#w:contents() == 301)
    end,
    duplex = function(keep)
      local near, far = keep(aw.duplex(100))
      check(near:write_all("through"))
      assert(check(far:read_exact(7)) == "through")
    end,
    simplex = function(keep)
      local r, w = keep(aw.simplex(100))
      check(w:write_all("through"))
      assert(check(r:read()) == "through")
    end,
    wrappers = function(keep)
      local near, far = keep(aw.duplex(100))
      local w = keep(aw.buf_writer(near, 50))
      check(w:write_all("a line\n"))
      check(w:flush())
      assert(check(far:read_line()) == "a line")
      local r, half = keep(aw.split(w))
      local s = keep(aw.unsplit(r, half))
      keep((s:into_parts()))
    end,
    chaos = function(keep)
      local near, far = keep(aw.duplex(100))
      local s = keep((testing.chaos(near, "1: short:3 late:1 early error:EIO ok late:1")))
      assert(check(s:write("shaken")) == 3)
      local n, message, code = s:write("shaken")
      if code ~= "EIO" then error(message or "no error: " .. tostring(n), 0) end
      check(s:write_all("ken"))
      assert(check(far:read()) == "shaken")
      check(far:write_all("back"))
      assert(check(s:read()) == "back")
    end,
    line_writer = function(keep)
      local w = keep(aw.line_writer(keep(aw.memory()), 20))
      check(w:write_all("a line\nand"))
      local inner, held = w:into_parts()
      assert(keep(inner):contents() == "a line\n" and held == "and")
    end,
    inspect = function(keep)
      local seen = {}
      local w = keep(aw.inspect(keep(aw.memory()), function(s) seen[#seen + 1] = s end))
      check(w:write_all("seen"))
      local r = keep(aw.inspect_reader(keep(aw.cursor("twice")), function(s) seen[#seen + 1] = s end))
      check(r:read())
      assert(table.concat(seen, " ") == "seen twice")
      keep((w:into_parts()))
    end,
    tee = function(keep)
      local near, far = keep(aw.duplex(2))
      local w = keep(aw.tee({ near, keep(aw.memory()) }, { capacity = 20 }))
      check(w:write_all("ab"))
      check(w:flush())
      assert(#w:branches() == 2 and check(far:read()) == "ab")
      keep(w:into_parts())
      local gone, gone_end = keep(aw.duplex(2))
      gone_end:close()
      w = keep(aw.tee({ keep(aw.sink()), gone }, { on_error = "drop" }))
      check(w:write_all("ab"))
      assert(w:branches()[2].failed == "EPIPE")
    end,
    pace = function(keep)
      local near, far = keep(aw.duplex(100))
      local s = keep(aw.throttle_reader(keep(aw.throttle(near, 5000, { burst = 1 })), 5000, { burst = 1 }))
      check(s:write_all("throttled"))
      check(far:write_all("back"))
      check(s:read_exact(4))
      s = keep(aw.deadline(s, 0.002))
      local _, message, code = s:read()
      if code ~= "ETIMEDOUT" then error(message or "no timeout", 0) end
      s:set_deadline(nil)
      local told
      local w = keep(aw.progress(s, function(p) told = p.bytes end, { interval = 0, total = 5 }))
      check(w:write_all("x"))
      check(w:shutdown())
      assert(told == 1)
    end,
    budget = function(keep)
      local budget = aw.budget(6, aw.budget(10))
      local near, far = keep(aw.duplex(100))
      local w = keep(aw.budgeted(near, budget))
      assert(check(w:write("abcdefgh")) == 6 and budget:used() == 6)
      local writer = aw.spawn(function() return w:write_all("gh") end)
      aw.yield()
      assert(check(far:read()) == "abcdef")
      check(writer:join())
      check(w:close() == nil)
      assert(budget:used() == 2 and check(far:read()) == "gh" and budget:used() == 0)
    end,
    limit = function(keep)
      local w = keep(aw.checksum(keep(aw.limit(keep(aw.memory()), 5)), "sha256"))
      check(w:write("abcdefg"))
      assert(w:limit() == 0 and #w:digest() == 64)
      local r = keep(aw.checksum_reader(keep(aw.take(keep(aw.cursor("abcdefg")), 5)), "crc32"))
      assert(check(r:read_to_end()) == "abcde" and #r:digest() == 8)
    end,
    buf_reader = function(keep)
      local r = keep(aw.buf_reader(keep(aw.cursor("one\ntwo\n")), 2))
      assert(check(r:read_line()) == "one" and check(r:read_until("\n")) == "two\n")
    end,
    custom = function(keep)
      local w = keep(aw.custom { poll_write = function(_, s) return #s end, close = function() return true end })
      check(w:write_all("to Lua"))
    end,
    copy = function(keep)
      local w = keep(aw.memory())
      check(aw.copy(keep(aw.cursor(("x"):rep(20000))), w))
      assert(#w:contents() == 20000)
    end,
    copy_bidirectional = function(keep)
      local a_near, a_far = keep(aw.duplex(10))
      local b_near, b_far = keep(aw.duplex(10))
      check(a_near:write_all("there"))
      check(b_far:write_all("back"))
      check(a_near:shutdown())
      check(b_far:shutdown())
      check(aw.copy_bidirectional(a_far, b_near))
    end,
    unix_pair = function(keep)
      local near, far = keep(check(aw.unix.pair()))
      local reader = aw.spawn(function() return far:read_exact(4) end)
      aw.yield()
      check(near:write_all("wait"))
      assert(check(reader:join()) == "wait")
    end,
    unix = function(keep)
      local listener = keep(check(aw.unix.listen(path)))
      local near = keep(check(aw.unix.connect(path)))
      local far = keep(check(listener:accept()))
      check(near:write_all("x"))
      assert(check(far:read(1)) == "x")
    end,
    pipe = function(keep)
      local r, w = keep(check(aw.pipe.pair()))
      local again = keep(check(aw.pipe.open(w:fd())))
      local reader = aw.spawn(function() return r:read_exact(4) end)
      aw.yield()
      check(again:write_all("wait"))
      assert(check(reader:join()) == "wait")
    end,
    tcp = function(keep)
      local listener = keep(check(aw.tcp.listen("127.0.0.1", 0)))
      local _, port = listener:local_addr()
      local near = keep(check(aw.tcp.connect("127.0.0.1", port)))
      local far = keep(check(listener:accept()))
      check(near:write_all("x"))
      assert(check(far:read(1)) == "x")
    end,
    look_up = function(keep)
      local listener = keep(check(aw.tcp.listen("127.0.0.1", 0)))
      local _, port = listener:local_addr()
      keep(check(aw.tcp.connect("localhost", port)))
    end,
    file = function(keep)
      local f = keep(check(aw.file.open(path, "w+")))
      os.remove(path)
      check(f:write_all(("x"):rep(1000)))
      check(f:sync_data())
      check(f:seek("set"))
      assert(#check(f:read_to_end()) == 1000)
      keep(check(aw.file.from_fd(f:fd())))
      check(f:set_len(1))
    end,
    standard_streams = function(keep)
      keep(check(aw.stdin()))
      check(keep(check(aw.stderr())):write_all(""))
    end,
    process = function(keep)
      local c = check(aw.process.spawn { "cat", stdin = "pipe", stdout = "pipe", env = { A = "b" }, kill_on_drop = true })
      keep(c.stdin, c.stdout)
      check(c.stdin:write_all("x"))
      check(c.stdin:shutdown())
      assert(check(c.stdout:read_to_end()) == "x" and check(c:wait()) == 0)
    end,
    signal = function()
      local s = check(aw.signal("SIGUSR1"))
      local receiver = aw.spawn(function() return s:recv() end)
      aw.yield()
      s:close()
      check(select(3, receiver:join()) == "ECANCELED")
    end,
    timers = function(keep)
      local near = keep(aw.duplex(1))
      near:set_deadline(0.001)
      local _, message, code = near:read()
      if code ~= "ETIMEDOUT" then error(message or "no timeout", 0) end
      aw.sleep(0.001)
      local _, text, cut = aw.timeout(0.001, aw.sleep, 10)
      if cut ~= "ETIMEDOUT" then error(text or "no timeout", 0) end
      local sleepers = {}
      for i = 1, 20 do sleepers[i] = function() aw.sleep(0.001) end end
      aw.all((table.unpack or unpack)(sleepers))
    end,
    wakers = function(keep)
      local near = keep(aw.duplex(1))
      local waker = aw.waker(function() end)
      check(not aw.with_waker(waker, near.poll_read, near))
      check(aw.current_waker()):wake()
      check(near:try_write("x"))
    end,
  }

  local function run_step(step)
    return pcall(aw.run, function()
      local kept = {}
      local function keep(...)
        for i = 1, select("#", ...) do kept[#kept + 1] = (select(i, ...)) end
        return ...
      end
      local ok, err = pcall(step, keep)
      for i = #kept, 1, -1 do
        local s = kept[i]
        if aw.is_stream(s) and not s:is_closed() then s:close() end
      end
      if not ok then error(err, 0) end
    end)
  end

  -- Lets libuv's close callbacks run and the collector free what is left.
  local function clean_up()
    for _ = 1, 3 do
      aw.run(function() aw.sleep(0.001) end)
      collectgarbage()
    end
  end

  local function descriptors()
    local n = 0
    for fd = 0, 200 do
      local file = io.open("/proc/self/fdinfo/" .. fd)
      if file then
        n = n + 1
        file:close()
      end
    end
    return n
  end

  local function is_memory_error(err)
    err = tostring(err)
    return err:find("not enough memory", 1, true) or err:find("ENOMEM", 1, true)
  end
]]

-- FAIL is AT or FROM.
local LOOP = STEPS .. [[
  local failed = 0
  for name, step in pairs(steps) do
    for _ = 1, 2 do assert(run_step(step)) end
    clean_up()
    local live, fds, n = tonumber(os.getenv "ASYNCWRITE_LIVE"), descriptors(), 0
    repeat
      n = n + 1
      os.getenv("ASYNCWRITE_FAIL_FAIL_" .. n)
      local ok, err = run_step(step)
      local counted = tonumber(os.getenv "ASYNCWRITE_FAIL_STOP")
      local where = ("%s, allocation %d: "):format(name, n)
      if not ok then failed = failed + 1 end
      if not ok and not is_memory_error(err) then error(where .. tostring(err)) end
      clean_up()
      local now = tonumber(os.getenv "ASYNCWRITE_LIVE")
      if now > live then error(("%s%d allocations instead of %d"):format(where, now, live)) end
      if descriptors() > fds then error(where .. "a descriptor leaked") end
      local works, why = run_step(step)
      if not works then error(where .. "it does not work afterwards: " .. tostring(why)) end
      clean_up()
    until counted < n or n > 200
  end
  print(failed > FEWEST and "enough" or failed)
]]

local function loop(fail, fewest)
  local result = child.run((LOOP:gsub("FAIL_FAIL", "FAIL_" .. fail):gsub("FEWEST", fewest)), preload())
  lu.assertTrue(result.err == "", result.err:sub(1, 2000))
  lu.assertEquals(result.out, "enough\n")
  lu.assertEquals(result.code, 0)
end

function T.test_each_allocation_that_fails_alone_is_a_clean_error_without_a_leak() loop("AT", 60) end

function T.test_all_allocations_failing_from_one_on_is_a_clean_error_without_a_leak() loop("FROM", 60) end

-- The first use makes the loop: a process of its own for each allocation.
function T.test_the_first_use_of_the_loop_survives_each_failing_allocation()
  local script = STEPS .. [[
    os.getenv "ASYNCWRITE_FAIL_AT_%d"
    local ok, err = run_step(steps.unix_pair)
    local counted = tonumber(os.getenv "ASYNCWRITE_FAIL_STOP")
    assert(ok or is_memory_error(err), err)
    assert(run_step(steps.unix_pair))
    assert(run_step(steps.timers))
    print(counted)
    os.exit(0, true)
  ]]
  local n = 0
  repeat
    n = n + 1
    local result = child.run(script:gsub("%%d", tostring(n)), preload())
    lu.assertEquals(result.code, 0, ("allocation %d: %s"):format(n, result.err))
    lu.assertEquals(result.err, "")
  until tonumber(result.out) < n
  lu.assertTrue(n > 8)
end

return T
