-- SPDX-License-Identifier: MIT
-- Random graphs of tasks: pipelines of channels, duplexes and sockets with cancels, timeouts and errors thrown in. What
-- must hold in each: run ends, every byte that counts as accepted arrives once and in order, nothing is left behind.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local seed = require "support.seed"

local T = {}
local ROUNDS = 150

-- A generator of its own for each round, so that one round can be replayed alone.
local function generator(n)
  local state = n % 2147483646 + 1
  return function(low, high)
    state = state * 16807 % 2147483647
    return low + state % (high - low + 1)
  end
end

local function rounds(f)
  return function()
    for i = 1, ROUNDS do
      local number = seed + i
      local ok, err = pcall(f, generator(number))
      if not ok then
        if type(err) == "table" then err = err.msg or err end
        lu.fail(("round %d (SPEC_SEED=%d): %s"):format(i, seed, tostring(err)))
      end
    end
  end
end

local function stream_pair(random)
  local kind = random(1, 4)
  if kind == 1 then return assert(aw.unix.pair()) end
  if kind == 2 then
    local r, w = assert(aw.pipe.pair())
    return w, r
  end
  if kind == 3 then
    local r, w = aw.simplex(random(1, 50))
    return w, r
  end
  return aw.duplex(random(1, 50))
end

local function wrap(random, w)
  for _ = 1, random(0, 2) do w = aw.buf_writer(w, random(0, 60)) end
  return w
end

-- Writes random slices of data by random operations, with a flush now and then.
local function produce(random, w, data)
  local at = 1
  while at <= #data do
    local s = data:sub(at, at + random(0, 99))
    local how = random(1, 5)
    if how == 1 then
      local n = assert(w:write(s))
      s = s:sub(1, n)
    elseif how == 2 then
      assert(w:write_all_vectored { s:sub(1, 3), "", s:sub(4) })
    elseif how == 3 then
      assert(w:write_all_buf(aw.cursor(s)))
    else
      assert(w:write_all(s:sub(1, 5), s:sub(6)))
    end
    at = at + #s
    if random(1, 10) == 1 then assert(w:flush()) end
    if random(1, 10) == 1 then aw.yield() end
  end
  assert(w:shutdown())
end

local function consume(random, r)
  local parts = {}
  while true do
    local s, message = r:read(random(1, 80))
    if not s then
      assert(not message, message)
      return table.concat(parts)
    end
    parts[#parts + 1] = s
    if random(1, 10) == 1 then aw.yield() end
  end
end

T.test_every_byte_of_a_random_pipeline_arrives_once_and_in_order = rounds(function(random)
  local data = check.pattern(random(0, 3000))
  local got = check.run(function()
    local w, r = stream_pair(random)
    aw.spawn(produce, random, wrap(random, w), data)
    for _ = 1, random(0, 3) do
      local from, next_w, next_r = r, stream_pair(random)
      aw.spawn(function()
        assert(aw.copy(from, next_w, random(1, 100)))
        assert(next_w:shutdown())
      end)
      r = next_r
    end
    return consume(random, r)
  end)
  check.same_bytes(got, data)
end)

-- A producer that is cut at random, by cancel or by timeouts: what it was told was accepted is exactly what arrived.
T.test_the_accepted_count_of_a_cut_write_all_is_what_arrives = rounds(function(random)
  local data = check.pattern(400)
  check.run(function()
    local near, far = aw.duplex(random(1, 30))
    local sent = 0
    local reader = aw.spawn(function()
      local parts = {}
      for _ = 1, random(0, 10) do
        parts[#parts + 1] = far:read(random(1, 30))
        for _ = 1, random(0, 3) do aw.yield() end
      end
      return table.concat(parts)
    end)
    for _ = 1, random(1, 5) do
      local s = data:sub(sent + 1, sent + random(1, 80))
      local cut = aw.notify()
      aw.spawn(function()
        for _ = 1, random(0, 12) do aw.yield() end
        cut:notify_one()
      end)
      -- The count of an operation that is cut is what timeout tells; a deadline makes it the operation's own.
      aw.first(function()
        local ok, _, _, accepted = near:write_all(s)
        sent = sent + (ok and #s or accepted)
      end, function()
        cut:notified()
        near:set_deadline(0)
        aw.sleep(30)
      end)
      near:set_deadline(nil)
    end
    near:close()
    reader:join()
    local got = far:try_read() or ""
    lu.assertTrue(sent >= #got)
    lu.assertEquals(got, data:sub(sent - #got + 1, sent))
  end)
end)

-- Trees of tasks that spawn, join, fail, cancel and time out at random. Each ends exactly once, in one way.
local function grow(random, counts, depth)
  counts.started = counts.started + 1
  local kids = {}
  for i = 1, depth > 0 and random(0, 3) or 0 do
    kids[i] = aw.spawn(grow, random, counts, depth - 1)
  end
  for _ = 1, random(0, 3) do aw.yield() end
  if random(1, 4) == 1 then aw.sleep(random(0, 2) / 1000) end
  if random(1, 6) == 1 then
    aw.timeout(random(0, 1) / 1000, function()
      aw.all(aw.yield, function() aw.sleep(0.001) end, aw.yield)
    end)
  end
  for _, kid in ipairs(kids) do
    if random(1, 4) == 1 then kid:cancel() end
  end
  for _, kid in ipairs(kids) do
    local ok, result, _, code = pcall(kid.join, kid)
    lu.assertTrue(kid:is_done())
    if not ok then
      lu.assertStrContains(tostring(result), "a random failure")
    elseif result == nil then
      lu.assertEquals(code, "ECANCELED")
    else
      lu.assertEquals(result, "result")
    end
  end
  counts.ended = counts.ended + 1
  if random(1, 8) == 1 then error("a random failure") end
  return "result"
end

T.test_random_trees_of_tasks_end = rounds(function(random)
  local counts = { started = 0, ended = 0 }
  local ok, err = check.quiet(pcall, check.run, function() pcall(grow, random, counts, 3) end)
  -- The kids of a cancelled task go on, and nobody joins them.
  if not ok then lu.assertStrContains(tostring(err), "failed that nobody joined") end
  lu.assertTrue(counts.started >= counts.ended)
end)

T.test_random_users_of_one_mutex_notify_and_channel_end = rounds(function(random)
  check.run(function()
    local mutex, channel, holder = aw.mutex(), aw.channel(random(1, 3)), nil
    local sent, received, tasks = 0, 0, {}
    for i = 1, random(2, 8) do
      tasks[i] = aw.spawn(function()
        for _ = 1, random(1, 6) do
          if random(1, 2) == 1 then
            mutex:with(function()
              lu.assertNil(holder)
              holder = i
              for _ = 1, random(0, 2) do aw.yield() end
              holder = nil
            end)
          elseif channel:send(i) then
            sent = sent + 1
          end
        end
      end)
    end
    local receiver = aw.spawn(function()
      for _ in channel:values() do received = received + 1 end
    end)
    for i, task in ipairs(tasks) do
      if i > 1 and random(1, 4) == 1 then
        if holder == i then holder = nil end
        task:cancel()
      end
      task:join()
    end
    channel:close()
    receiver:join()
    lu.assertFalse(mutex:is_locked())
    lu.assertEquals(received, sent)
  end)
end)

return T
