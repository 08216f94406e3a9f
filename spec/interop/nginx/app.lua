-- SPDX-License-Identifier: MIT
-- What the nginx of nginx_spec.lua answers; /NAME calls M.NAME(arguments).

local aw = require "asyncwrite"
local ngx = ngx -- luacheck: ignore

local M = {}

local written = 0

--- How many streams this worker and its siblings serve.
function M.streams() ngx.say(ngx.shared.count:get("streams") or 0) end

--- Bytes of the response that /body has handed over until now.
function M.written() ngx.say(written) end

--- Streams size bytes through libuv writers to the peer at a path, and says what the peer says at the end.
function M.stream(args)
  local streams = ngx.shared.count
  streams:incr("streams", 1, 0)
  ngx.say((aw.run(function()
    local conn = assert(aw.unix.connect(args.peer))
    local w = aw.buf_writer(conn, 16384)
    local line = ("x"):rep(1000)
    for _ = 1, tonumber(args.size) / 1000 do assert(w:write_all(line)) end
    assert(w:shutdown())
    local answer = assert(w:read_to_end())
    w:close()
    streams:incr("streams", -1)
    return answer
  end)))
end

--- A file, written and read; and what a worker refuses.
function M.file(args)
  aw.run(function()
    local f = assert(aw.file.open(args.path, "w+"))
    assert(f:write_all(("x"):rep(100000)) and f:seek("set"))
    ngx.say(#assert(f:read_to_end()))
    f:close()
    ngx.say((select(2, pcall(aw.process.spawn, { "true" }))))
    ngx.say((select(2, pcall(aw.signal, "SIGINT"))))
  end)
end

--- The response body through a buffer: lines of 20 bytes.
function M.body(args)
  local resty = require "asyncwrite.resty"
  aw.run(function()
    local w = aw.buf_writer(resty.response { limit = 8192 }, 4096)
    written = 0
    for i = 1, tonumber(args.lines) do
      assert(w:writef("%018d\r\n", i))
      written = i * 20
    end
    assert(w:shutdown())
    w:close()
  end)
end

--- Echoes the request's body over the raw connection.
function M.upgrade()
  local resty = require "asyncwrite.resty"
  local size = tonumber(ngx.var.content_length)
  local sock = assert(ngx.req.socket(true))
  aw.run(function()
    local c = resty.cosocket(sock, { close_on_shutdown = true })
    assert(c:write_all("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
    local body = assert(c:read_exact(size))
    assert(c:write_all(body) and c:flush())
    c:close()
  end)
  ngx.exit(444)
end

--- Tasks in a timer.
function M.timer()
  local said
  ngx.timer.at(0, function()
    said = aw.run(function()
      aw.sleep(0.001)
      return "in " .. (ngx.get_phase() == "timer" and "a timer" or "?")
    end)
  end)
  while not said do ngx.sleep(0.001) end
  ngx.say(said)
end

--- A task of no request that sleeps.
function M.background(args)
  ngx.timer.at(0, function()
    aw.spawn("background", function()
      aw.sleep(tonumber(args.seconds))
      ngx.log(ngx.NOTICE, "the background task ended")
    end)
  end)
  ngx.sleep(0.01)
  ngx.say("started")
end

local requests

--- A task that only another request can wake; with send that request, with report what aw.stuck says.
function M.stuck(args)
  if args.report then return ngx.say(tostring(aw.stuck())) end
  if args.send then
    local results
    requests:try_send(function(got) results = got end)
    while not results do ngx.sleep(0.001) end
    return ngx.say(results)
  end
  requests = aw.channel(1)
  ngx.timer.at(0, function()
    aw.spawn("waits for a request", function() requests:recv()("got it") end)
  end)
  ngx.say(tostring(aw.stuck()))
end

--- Uses libuv's thread pool.
function M.resolve()
  aw.run(function()
    local c = aw.tcp.connect("localhost", 1)
    if c then c:close() end
  end)
  ngx.say("done")
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

-- Failed, skipped or passed.
local function verdict(ok, err)
  local text = type(err) == "table" and (err.msg or err.status or err.class) or err
  if ok then return "passed" end
  return tostring(text):find("SKIP") and "skipped" or "failed", tostring(text)
end

--- Runs the tests of one spec file and tells of each that fails. except: names that are left out, with commas around.
function M.spec(args)
  rawset(_G, "arg", _G.arg or { [-1] = "luajit" })
  local spec = dofile(args.root .. "/" .. args.file)
  local names, counts = {}, { passed = 0, failed = 0, skipped = 0 }
  for name in pairs(spec) do
    if name:find("^test_") and not (args.except or ""):find("," .. name .. ",", 1, true) then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local outcome, text = verdict(within(20, spec[name]))
    if spec.tearDown then spec.tearDown() end
    counts[outcome] = counts[outcome] + 1
    if outcome == "failed" then ngx.say(name, ": ", text:sub(1, 2000)) end
  end
  ngx.say(("%d passed, %d failed, %d skipped"):format(counts.passed, counts.failed, counts.skipped))
end

return setmetatable(M, { __call = function()
  local f = M[ngx.var.uri:sub(2)]
  if not f then return ngx.exit(404) end
  f(ngx.req.get_uri_args())
end })
