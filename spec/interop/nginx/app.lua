-- SPDX-License-Identifier: MIT
-- What the nginx of nginx_spec.lua answers; /NAME calls M.NAME(arguments).

local aw = require "asyncwrite"
local ngx = ngx -- luacheck: ignore

local M = {}

--- Streams size bytes through libuv writers to the peer at a path, and says what the peer says at the end.
function M.stream(args)
  ngx.say((aw.run(function()
    local conn = assert(aw.unix.connect(args.peer))
    local w = aw.buf_writer(conn, 16384)
    local line = ("x"):rep(1000)
    for _ = 1, tonumber(args.size) / 1000 do assert(w:write_all(line)) end
    assert(w:shutdown())
    local answer = assert(w:read_to_end())
    w:close()
    return answer
  end)))
end

--- The response body through a buffer: lines of 20 bytes.
function M.body(args)
  local resty = require "asyncwrite.resty"
  aw.run(function()
    local w = aw.buf_writer(resty.response { limit = 8192 }, 4096)
    for i = 1, tonumber(args.lines) do assert(w:writef("%018d\r\n", i)) end
    assert(w:shutdown())
    w:close()
  end)
end

--- A cosocket to ourselves: asks for /body there and tells its length; then a read that times out.
function M.cosocket(args)
  local resty = require "asyncwrite.resty"
  local function connect()
    local sock = ngx.socket.tcp()
    assert(sock:connect("unix:" .. args.http))
    return resty.cosocket(sock)
  end
  ngx.say(table.concat(aw.run(function()
    local c, said = connect(), {}
    assert(c:writef("GET /body?lines=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", tonumber(args.lines)))
    said[1] = select(3, c:shutdown())
    said[2] = #assert(c:read_to_end()) > tonumber(args.lines) * 20 and "all" or "short"
    said[3] = tostring(select(3, c:write("x")))
    c:close()
    local quiet = connect()
    said[4] = select(3, aw.timeout(0.02, quiet.read, quiet))
    return said
  end), " "))
end

--- What tasks do: join, cancel, channels, deadlines, errors; threads that are killed leave nothing.
function M.tasks()
  local said = {}
  local function say(...) said[#said + 1] = table.concat({ ... }, " ") end
  aw.run(function()
    say(select(3, aw.timeout(0.02, aw.sleep, 9)))
    local channel, sum = aw.channel(2), 0
    aw.spawn(function()
      for i = 1, 1000 do channel:send(i) end
    end)
    for _ = 1, 1000 do sum = sum + channel:recv() end
    say(sum)
    local sleeper = aw.spawn(function()
      local _, err = pcall(aw.sleep, 9)
      say(tostring(err == aw.CANCELLED))
      error(err, 0)
    end)
    aw.yield()
    sleeper:cancel()
    say(select(3, sleeper:join()))
    for _ = 1, 300 do aw.spawn(function() end):join() end
    local ok, err = pcall(table.sort, { 3, 2, 1 }, function() aw.sleep(0.001) end)
    say(tostring(ok), err:match("cannot wait here"))
    -- A task that spins on yield lets nginx have its turns.
    local turns = 0
    local ticking = true
    ngx.thread.spawn(function()
      while ticking do
        ngx.sleep(0.001)
        turns = turns + 1
      end
    end)
    for _ = 1, 5000 do aw.yield() end
    ticking = false
    say(turns > 0 and "turns" or "starved")
  end)
  local ok, err = pcall(aw.run, function() aw.spawn(function() error("lost it") end) end)
  say(tostring(ok), err:match("lost it"))
  ngx.say(table.concat(said, ","))
end

function M.exit()
  aw.run(function()
    aw.spawn(aw.sleep, 1000)
    ngx.say("bye")
    ngx.exit(200)
  end)
end

function M.count()
  collectgarbage()
  collectgarbage()
  ngx.say(require("asyncwrite.executor").count())
end

function M.pid() ngx.say(ngx.worker.pid()) end

--- In a phase that cannot wait.
function M.phase(name)
  local ok, err = pcall(aw.run, function() end)
  ngx.log(ngx.NOTICE, "phase ", name, ": ", tostring(ok), " ", (tostring(err):match("nginx's phase.*")))
end

--- In one that can.
function M.waits(name)
  aw.run(aw.sleep, 0.001)
  ngx.log(ngx.NOTICE, "phase ", name, ": waits")
end

local function within(seconds, f)
  local ok, err
  local test = ngx.thread.spawn(function() ok, err = pcall(f) end)
  local clock = ngx.thread.spawn(function()
    ngx.sleep(seconds)
    ok, err = false, "it hangs"
  end)
  ngx.thread.wait(test, clock)
  ngx.thread.kill(test)
  ngx.thread.kill(clock)
  return ok, err
end

--- Runs the tests of one spec file and tells of each that fails.
function M.spec(args)
  _G.arg = _G.arg or { [-1] = "luajit" } -- luacheck: ignore
  local spec = dofile(args.root .. "/" .. args.file)
  local names, passed, failed, skipped = {}, 0, 0, 0
  for name in pairs(spec) do
    if name:find("^test_") then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local ok, err = within(5, spec[name])
    if ok then
      passed = passed + 1
    elseif type(err) == "table" and tostring(err.status or err.class):upper():find("SKIP") then
      skipped = skipped + 1
    else
      failed = failed + 1
      if type(err) == "table" then err = err.msg end
      ngx.say(name, ": ", (tostring(err):sub(1, 2000)))
    end
  end
  ngx.say(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
end

return setmetatable(M, { __call = function()
  local f = M[ngx.var.uri:sub(2)]
  if not f then return ngx.exit(404) end
  f(ngx.req.get_uri_args())
end })
