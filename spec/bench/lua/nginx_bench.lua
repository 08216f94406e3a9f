-- What the nginx of spec/bench/nginx.lua answers: /NAME?arguments calls M.NAME. The last line is a RESULT.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local ngx = ngx -- luacheck: ignore

local M = {}

local function result(...)
  local list, line = { ... }, { "RESULT" }
  for i = 1, #list, 2 do
    line[#line + 1] = ("%s=%.9g"):format(list[i], list[i + 1])
  end
  ngx.say(table.concat(line, " "))
end

--- Reads stamps until the end and tells how late the task was.
function M.wake(args)
  local late, cpu = {}, os.clock()
  aw.run(function()
    local conn = assert(aw.tcp.connect("127.0.0.1", tonumber(args.port)))
    while true do
      local sent = conn:read_u64_le()
      if not sent then
        break
      end
      late[#late + 1] = aw.now() * 1e6 - sent / 1e3
    end
    conn:close()
  end)
  cpu = os.clock() - cpu
  table.sort(late)
  local n = #late
  result("n", n, "p50_us", late[math.ceil(n * 0.5)], "p99_us", late[math.ceil(n * 0.99)], "cpu_us", cpu * 1e6 / n)
end

local function by_writer(args, chunk, n)
  aw.run(function()
    local conn = assert(aw.tcp.connect("127.0.0.1", tonumber(args.port)))
    for _ = 1, n do
      assert(conn:write_all(chunk))
    end
    assert(conn:shutdown())
    conn:read(1)
    conn:close()
  end)
end

local function by_cosocket(args, chunk, n)
  local sock = ngx.socket.tcp()
  assert(sock:connect("127.0.0.1", tonumber(args.port)))
  for _ = 1, n do
    assert(sock:send(chunk))
  end
  sock:close()
end

--- A cosocket again, behind resty.cosocket.
local function by_wrapped(args, chunk, n)
  local sock = ngx.socket.tcp()
  assert(sock:connect("127.0.0.1", tonumber(args.port)))
  aw.run(function()
    local conn = require("asyncwrite.resty").cosocket(sock, { close_on_shutdown = true, limit = 256 * 1024 })
    for _ = 1, n do
      assert(conn:write_all(chunk))
    end
    assert(conn:shutdown())
    conn:close()
  end)
end

local WAYS = { writer = by_writer, cosocket = by_cosocket, wrapped = by_wrapped }

--- Writes size bytes in pieces of 64 KiB.
function M.bulk(args)
  local chunk, n = ("x"):rep(65536), math.floor(tonumber(args.size) / 65536)
  local cpu, wall = os.clock(), aw.now()
  WAYS[args.how](args, chunk, n)
  result("cpu", os.clock() - cpu, "wall", aw.now() - wall, "bytes", n * 65536)
end

--- Keeps a connection open, idle.
function M.idle(args)
  aw.run(function()
    local conn = assert(aw.tcp.connect("127.0.0.1", tonumber(args.port)))
    aw.timeout(tonumber(args.seconds), conn.read, conn)
    conn:close()
  end)
  result("pid", ngx.worker.pid())
end

function M.pid()
  ngx.say(ngx.worker.pid())
end

function M.stream(args)
  require("app").stream(args)
end

return setmetatable(M, {
  __call = function()
    M[ngx.var.uri:sub(2)](ngx.req.get_uri_args())
  end,
})
