-- SPDX-License-Identifier: MIT
-- A forked child cannot use the loop of its parent and cannot harm it; and two Lua states share nothing.

local lu = require "luaunit"
local child = require "support.child"

local T = {}

-- Runs a script in a process of its own, with posix.fork.
local function run(script)
  local result = child.run(child.posix_text() .. [[
    local aw = require "asyncwrite"
    local function in_fork(f)
      local pid = posix.fork()
      if pid == 0 then
        local ok, err = pcall(f)
        if not ok then io.stderr:write("in the fork: ", tostring(err), "\n") end
        posix.exit(ok and 0 or 1)
      end
      return posix.wait(pid)
    end
  ]] .. script)
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.code, 0)
  return result.out
end

function T.test_the_child_is_told_that_the_loop_is_not_its_own()
  run [[
    aw.run(function() aw.sleep(0.001) end) -- now there is a loop
    assert(in_fork(function()
      for _, f in ipairs {
        function() aw.run(function() aw.sleep(0.001) end) end,
        function() aw.tcp.listen("127.0.0.1", 0) end,
        function() aw.unix.pair() end,
        function() aw.pipe.open(0) end,
        function() aw.sink():set_deadline(1) end,
      } do
        local ok, err = pcall(f)
        assert(not ok and err:find("the event loop belongs to process", 1, true), err)
      end
    end) == 0)
  ]]
end

function T.test_the_child_can_use_what_needs_no_loop()
  run [[
    aw.run(function() aw.sleep(0.001) end)
    assert(in_fork(function()
      local w = aw.memory()
      aw.run(function()
        local near, far = aw.duplex(3)
        aw.spawn(function() near:write_all("in memory") near:shutdown() end)
        w:write_all(far:read_to_end())
      end)
      assert(w:contents() == "in memory")
    end) == 0)
  ]]
end

function T.test_a_child_of_a_parent_without_a_loop_gets_its_own()
  run [[
    local function use()
      aw.run(function()
        local near, far = assert(aw.unix.pair())
        aw.spawn(function() aw.sleep(0.001) far:write_all("woken") end)
        assert(near:read() == "woken")
      end)
    end
    assert(in_fork(use) == 0)
    use()
    assert(in_fork(function() assert(not pcall(use)) end) == 0)
    use()
  ]]
end

-- The child shares the parent's epoll set: what it closes, polls or collects must not reach into it.
local USES = {
  nothing = "",
  close = "near:close() far:close() listener:close()",
  collect = "near, far, listener = nil, nil, nil collectgarbage() collectgarbage()",
  polls = [[
    local ok, s, message, code = pcall(far.poll_read, far) -- would have to be watched
    assert((ok and s == nil and code == "EPERM") or (not ok and s:find("belongs to process")), tostring(message or s))
    assert(near:try_write("from the child") == 14)
    assert(far:try_read() == "from the child")
  ]],
  lua_close = "os.exit(0, true)",
}

for name, use in pairs(USES) do
  T["test_the_parents_loop_is_unharmed_by_a_child_that_does_" .. name] = function()
    lu.assertEquals(run([[
      aw.run(function()
        local near, far = assert(aw.unix.pair())
        local listener = assert(aw.tcp.listen("127.0.0.1", 0))
        local _, port = listener:local_addr()
        local reader = aw.spawn(function() return near:read() end)
        local acceptor = aw.spawn(function() return listener:accept() end)
        local sleeper = aw.spawn(function() aw.sleep(0.01) return "slept" end)
        aw.sleep(0.001) -- all are parked
        local pid = posix.fork()
        if pid == 0 then
          ]] .. use .. [[

          posix.exit(0)
        end
        assert(posix.wait(pid) == 0)
        assert(far:write_all("still there"))
        print(reader:join())
        local client = assert(aw.tcp.connect("127.0.0.1", port))
        print(aw.is_stream(acceptor:join()), sleeper:join())
      end)
    ]]), "still there\ntrue\tslept\n")
  end
end

function T.test_a_child_does_not_unlink_the_parents_socket()
  run [[
    local path = os.tmpname()
    os.remove(path)
    aw.run(function()
      local listener = assert(aw.unix.listen(path))
      assert(in_fork(function() listener:close() end) == 0)
      local near = assert(aw.unix.connect(path))
      near:close()
      listener:close()
      assert(not io.open(path))
    end)
  ]]
end

function T.test_two_lua_states_in_one_process_share_nothing()
  lu.assertEquals(run [[
    local script = [=[
      local aw = require "asyncwrite"
      aw.run(function()
        local near, far = assert(aw.unix.pair())
        aw.spawn(function() aw.sleep(0.001) far:write_all("other") end)
        print(near:read())
        left_parked = aw.duplex(1)
      end)
      aw.spawn(function() end) -- left at lua_close
    ]=]
    aw.run(function()
      local near, far = assert(aw.unix.pair())
      local reader = aw.spawn(function() return near:read() end)
      aw.sleep(0.001)
      for _ = 1, 3 do assert(not posix.other_state(script)) end -- inside a task of this state
      far:write_all("own")
      print(reader:join())
    end)
  ]], "other\nother\nother\nown\n")
end

return T
