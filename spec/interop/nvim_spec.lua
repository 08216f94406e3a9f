-- SPDX-License-Identifier: MIT
-- The library inside Neovim, as a guest of its loop. Neovim brings its own LuaJIT: the module is that of build/luajit.

local lu = require "luaunit"
local child = require "support.child"

local T = { tearDown = child.reap }

local BUILD = "build/luajit"
local MODULE = BUILD .. "/asyncwrite/core.so"

-- Why there is nothing to test, or nil.
local function obstacle()
  if not child.has("nvim") then return "nvim is not installed (Debian: neovim)" end
  if child.sh("test -e " .. MODULE).code ~= 0 then return MODULE .. " is not built: make LUA=luajit" end
  if child.sh("find csrc -newer " .. MODULE .. " -name '*.[ch]'").out ~= "" then
    return MODULE .. " is older than csrc: make LUA=luajit"
  end
  if child.sh("ldd $(command -v nvim)").out:find("libluajit", 1, true) == nil then
    return "this nvim has no shared LuaJIT"
  end
end

local reason
local function need_nvim()
  if reason == nil then reason = obstacle() or false end
  if reason then child.skip(reason) end
end

-- Runs a script in a headless Neovim. Returns what sh returns.
local function nvim(script, seconds)
  need_nvim()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local result = child.sh(("env SPEC_BUILD=%s SPEC_LUA=luajit LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' " ..
    "LUA_CPATH='%s/?.so;;' nvim --headless -u NONE -i NONE -c 'luafile %s' -c 'qa!'"):format(BUILD, BUILD, path),
    seconds or 30)
  os.remove(path)
  return result
end

-- What the scripts start with. Neovim prints to stderr; results go to stdout.
local PRELUDE = [[
  local uv = vim.uv or vim.loop
  local luv = require "asyncwrite.host.luv"
  local aw = require "asyncwrite"
  local function raises(text, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok and tostring(err):find(text, 1, true), tostring(err))
  end
]]

-- A script that must come to its end.
local function nvim_check(script)
  local result = nvim(PRELUDE .. script .. "\nio.stdout:write('finished')")
  if result.code ~= 0 or result.out ~= "finished" then
    lu.fail(("nvim ended with %s\n%s%s"):format(tostring(result.code), result.out, result.err))
  end
  return result
end

function T.test_the_conformance_and_task_specs_pass()
  need_nvim()
  if not child.has("luajit") then child.skip("luajit is not installed: the specs start it for their children") end
  local list = assert(io.popen("ls spec/conformance"))
  local names = {}
  for name in list:lines() do
    local of_a_host = not name:find("^kit_") and not name:find("^stacks_")
    if name:find("_spec%.lua$") and of_a_host then names[#names + 1] = ("%q"):format(name) end
  end
  list:close()
  local result = nvim(([[
    arg = { [-1] = "luajit", [0] = "spec/run.lua", %s, "task_wait", "sync_spec", "context_spec" }
    package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?.lua"
    require "asyncwrite.host.luv"
    dofile "spec/run.lua"
  ]]):format(table.concat(names, ", ")), 240)
  local all = (result.out .. result.err):gsub("\r", "")
  local passed = tonumber(all:match("(%d+) passed, 0 failed"))
  if result.code ~= 0 or not passed then lu.fail(all:sub(-3000)) end
  lu.assertTrue(passed > 200, "only " .. passed .. " tests")
end

function T.test_run_waits_while_the_editor_goes_on()
  nvim_check [[
    local scheduled, start = 0, aw.now()
    local function tick()
      scheduled = scheduled + 1
      vim.defer_fn(tick, 5)
    end
    vim.schedule(tick)
    assert(aw.run(function()
      aw.sleep(0.1)
      return "result"
    end) == "result")
    local took = aw.now() - start
    assert(took >= 0.1 and took < 0.3, took)
    assert(scheduled > 2, scheduled)
    raises("boom", aw.run, function() error "boom" end)
  ]]
end

function T.test_tasks_that_are_spawned_run_beside_the_editor_and_cost_nothing_while_they_wait()
  nvim_check [[
    local log = {}
    aw.spawn(function()
      for i = 1, 3 do
        aw.sleep(0.01)
        log[i] = i
      end
    end)
    assert(#log == 0)
    assert(vim.wait(5000, function() return #log == 3 end, 1000))
    local before = os.clock()
    aw.spawn(function() aw.sleep(0.3) end)
    vim.wait(300)
    assert(os.clock() - before < 0.15, os.clock() - before)
  ]]
end

function T.test_run_in_a_callback_raises_and_in_a_scheduled_function_works()
  nvim_check [[
    local callback, scheduled
    local timer = uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      raises("run: already running, inside a callback of luv; use spawn", aw.run, print)
      callback = true
      vim.schedule(function()
        scheduled = aw.run(function()
          aw.sleep(0.005)
          return "fine"
        end)
      end)
    end)
    assert(vim.wait(5000, function() return scheduled end, 10))
    assert(callback and scheduled == "fine")
  ]]
end

function T.test_tasks_that_nothing_can_wake_are_told_of_on_demand_and_by_ctrl_c()
  nvim_check [[
    local channel = aw.channel(1)
    aw.spawn("idler", function() channel:recv() end)
    assert(vim.wait(5000, aw.stuck, 10))
    local text = aw.stuck()
    assert(text:find("^1 task%(s%) wait and nothing can wake them:\n  task 'idler' waits in recv on channel%(1%)"), text)
    local wait = vim.wait
    function vim.wait(_, ended) -- Ctrl-C cannot be typed here
      wait(50, ended)
      return false, -2
    end
    raises("interrupted; 2 task(s) wait and nothing can wake them", aw.run, function() aw.channel(1):recv() end)
  ]]
end

function T.test_main_calls_the_api_for_a_task()
  nvim_check [[
    raises("nvim_get_current_buf must not be called", aw.run, function() vim.api.nvim_get_current_buf() end)
    assert(aw.run(function() return luv.main(vim.api.nvim_get_current_buf) end) == vim.api.nvim_get_current_buf())
    local a, none, b = aw.run(function() return luv.main(function(...) return ... end, 1, nil, 3) end)
    assert(a == 1 and none == nil and b == 3)
    raises("oops", aw.run, function() luv.main(error, "oops") end)
    raises("main: not in the context of a task", luv.main, print)
    aw.run(function()
      assert(select(3, aw.timeout(0.005, luv.main, function() vim.wait(20) end)) == "ETIMEDOUT")
    end)
  ]]
end

function T.test_errors_of_tasks_that_nobody_joins_are_notifications()
  local result = nvim_check [[
    local seen
    vim.notify = function(text, level) seen = { text, level } end
    aw.spawn("culprit", function() error "lost" end)
    assert(vim.wait(5000, function() return seen end, 10))
    assert(seen[1]:find("asyncwrite: task 'culprit' failed: ", 1, true) and seen[2] == vim.log.levels.ERROR, seen[1])
  ]]
  lu.assertEquals(result.err, "")
end

-- No uv.walk here: with luv 1.44 it aborts on handles of Neovim's own.
function T.test_from_luv_works_as_in_luv()
  nvim_check [[
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(1, function()
      local handle = uv.new_tcp()
      server:accept(handle)
      server:close()
      aw.spawn(function()
        local conn = assert(aw.from_luv(handle))
        assert(aw.copy(conn, conn))
        conn:close()
      end)
    end)
    local port, data = server:getsockname().port, ("data"):rep(500000)
    local back = aw.run(function()
      local conn = assert(aw.tcp.connect("127.0.0.1", port))
      local _, back = aw.all(function() return conn:write_all(data) and conn:shutdown() end,
        function() return conn:read_to_end() end)
      return back
    end)
    assert(back == data)
  ]]
end

function T.test_neovim_quits_while_tasks_wait()
  nvim_check [[
    aw.spawn(function() aw.sleep(1000) end)
    vim.wait(10)
  ]]
end

-- ---- The example ----

function T.test_the_client_example_appends_what_the_server_answers()
  need_nvim()
  if child.sh(child.lua .. " -e 'require [[luv]]'").code ~= 0 then
    child.skip("luv is not installed for this Lua (Debian: lua-luv): the example's server needs it")
  end
  local server = child.start("dofile 'spec/examples/luv_echo.lua'")
  local port = server:line():match(":(%d+)$")
  nvim_check(([[
    vim.cmd "luafile spec/examples/nvim_client.lua"
    vim.api.nvim_buf_set_lines(0, 0, -1, true, { "one", "two" })
    vim.cmd "SendBuffer 127.0.0.1 %s"
    local function text() return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), " ") end
    assert(vim.wait(5000, function() return text() == "one two one two" end, 10), text())
  ]]):format(port))
  server:kill("INT")
  server:wait()
end

function T.test_the_client_example_tells_of_a_server_that_resets_the_connection()
  nvim_check [[
    vim.cmd "luafile spec/examples/nvim_client.lua"
    local told
    vim.notify = function(message) told = message end -- luacheck: ignore
    local port
    aw.spawn(function()
      local server = assert(aw.tcp.listen("127.0.0.1", 0))
      port = select(2, server:local_addr())
      local conn = assert(server:accept())
      server:close()
      conn:read()
      conn:set_linger(0)
      conn:close()
    end)
    assert(vim.wait(5000, function() return port end, 10))
    vim.cmd("SendBuffer 127.0.0.1 " .. port)
    assert(vim.wait(5000, function() return told end, 10), "nothing was told")
    assert(tostring(told):find("ECONNRESET", 1, true), tostring(told))
  ]]
end

return T
