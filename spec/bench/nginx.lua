-- Benchmarks inside nginx: lua spec/bench/nginx.lua, as `make bench BENCH=nginx` does.
--
-- Each figure stands beside one of the same kind without the library, taken in turn, every other round backwards; the
-- ratio is the median over the rounds. Round 0 is the warm-up. Where nginx is missing it says so.
--
-- Environment: BENCH_ROUNDS (5), BENCH_SCALE (1). Exits with 1 when something failed; a missed target is reported.
-- SPDX-License-Identifier: MIT
local aw = require("asyncwrite")
local support = require("support.nginx")

local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS") or "") or 5
local SCALE = tonumber(os.getenv("BENCH_SCALE") or "") or 1
local BENCH = (os.getenv("SPEC_BUILD") or "build/lua5.4") .. "/bench/"
local STAMPS, BULK = math.max(math.floor(1000 * SCALE), 100), math.max(math.floor(1024 * SCALE), 64) * 1024 * 1024

local missed, peers = 0, {}

local function start_peer(program, ...)
  local out = assert(io.popen(("echo $$; exec %s%s %s"):format(BENCH, program, table.concat({ ... }, " ")), "r"))
  local peer = { out = out, pid = out:read("*l") }
  peers[#peers + 1] = peer
  return assert(out:read("*l"):match("^PORT (%d+)$"))
end

local function stop_peers()
  for _, peer in ipairs(peers) do
    os.execute("kill " .. peer.pid)
    peer.out:close()
  end
end

local function parse(text)
  local result = {}
  for key, value in assert(text and text:match("RESULT(.*)"), text):gmatch("([%w_]+)=(%S+)") do
    result[key] = tonumber(value)
  end
  return result
end

local function run_program(program, ...)
  local out = assert(io.popen(("%s%s %s"):format(BENCH, program, table.concat({ ... }, " ")), "r"))
  local text = out:read("*a")
  out:close()
  return parse(text)
end

local function median(list)
  table.sort(list)
  local half = math.floor(#list / 2)
  return #list % 2 == 1 and list[half + 1] or (list[half] + list[half + 1]) / 2
end

local FORMAT = "%-12s %-14s %-10s %9s %9s %-6s %7s %7s..%-7s %8s  %s\n"

local function show(name, label, figure, unit, floor, ours, of, target)
  local a, b, ratios = {}, {}, {}
  for i = 1, ROUNDS do
    a[i], b[i] = of(floor[i]), of(ours[i])
    ratios[i] = b[i] / a[i]
  end
  local ratio = median(ratios)
  local verdict = target and (ratio <= target and "ok" or "MISSED") or ""
  missed = missed + (verdict == "MISSED" and 1 or 0)
  io.write(FORMAT:format(name, label, figure, ("%.1f"):format(median(a)), ("%.1f"):format(median(b)), unit,
    ("%.3f"):format(ratio), ("%.2f"):format(ratios[1]), ("%.2f"):format(ratios[ROUNDS]),
    target and "<=" .. target or "-", verdict))
end

--- Runs the functions in turn; a list of results for each.
local function rounds(...)
  local fs, results = { ... }, {}
  for i = 1, #fs do
    results[i] = {}
  end
  for round = 0, ROUNDS do
    for i = 1, #fs do
      local which = round % 2 == 0 and i or #fs + 1 - i
      results[which][round] = fs[which]()
    end
  end
  return results
end

local function wake(nginx)
  local port = start_peer("stamp_peer", STAMPS)
  local floor, ours = (table.unpack or unpack)(rounds(function()
    return run_program("stamp_uv", port)
  end, function()
    return parse(assert(nginx:get("/wake?port=" .. port)))
  end))
  local function p50(r)
    return r.p50_us
  end
  show("wake", "task in nginx", "p50", "us", floor, ours, p50, 2.5)
  show("wake", "task in nginx", "p99", "us", floor, ours, function(r)
    return r.p99_us
  end)
  show("wake", "task in nginx", "CPU", "us", floor, ours, function(r)
    return r.cpu_us
  end)
end

local function bulk(nginx)
  local port = start_peer("sink_peer")
  local function way(how)
    return function()
      return parse(assert(nginx:get(("/bulk?how=%s&size=%d&port=%s"):format(how, BULK, port))))
    end
  end
  local floor, ours, wrapped = (table.unpack or unpack)(rounds(way("cosocket"), way("writer"), way("wrapped")))
  local function wall(r)
    return r.wall / r.bytes * 2 ^ 20 * 1e6
  end
  local function cpu(r)
    return r.cpu / r.bytes * 2 ^ 20 * 1e6
  end
  show("bulk", "tcp write_all", "wall", "us/MiB", floor, ours, wall, 1.3)
  show("bulk", "tcp write_all", "CPU", "us/MiB", floor, ours, cpu)
  show("bulk", "resty.cosocket", "wall", "us/MiB", floor, wrapped, wall, 1.3)
  show("bulk", "resty.cosocket", "CPU", "us/MiB", floor, wrapped, cpu)
end

local function idle(nginx)
  local port = start_peer("sink_peer", 1)
  local pid = nginx:get("/pid")
  local request = aw.spawn(nginx.get, nginx, "/idle?seconds=5&port=" .. port)
  aw.sleep(0.5)
  local cpu, wall = support.cpu(pid), aw.now()
  aw.sleep(4)
  cpu, wall = support.cpu(pid) - cpu, aw.now() - wall
  assert(request:join())
  local ok = cpu / wall < 0.0005
  missed = missed + (ok and 0 or 1)
  io.write(("%-12s %-14s %.4f %% of a processor, over %.1f s  %s\n"):format("idle", "1 connection", cpu / wall * 100, wall,
    ok and "ok" or "MISSED"))
end

--- /ping while 64 requests stream to a slow peer.
local function crowd(nginx)
  local peer, close = support.slow_peer(0.02)
  local p99, p50 = {}, {}
  for round = 1, ROUNDS do
    local times
    nginx:streams(peer, 64, 600000)(function(going)
      times = nginx:pings(going)
    end)
    table.sort(times)
    p50[round], p99[round] = times[math.ceil(#times * 0.5)] * 1e3, times[math.ceil(#times * 0.99)] * 1e3
  end
  close()
  local ok = median(p99) < 5
  missed = missed + (ok and 0 or 1)
  io.write(("%-12s %-14s p50 %.2f ms, p99 %.2f ms  <5  %s\n"):format("ping", "64 streams", median(p50), median(p99),
    ok and "ok" or "MISSED"))
end

local function main()
  local why = support.missing()
  if why then
    print("bench: nginx: skipped: " .. why)
    return 0
  end
  io.stdout:setvbuf("line")
  io.write(FORMAT:format("nginx", "ours", "figure", "floor", "ours", "", "ratio", "min", "max", "target", ""))
  local nginx = support.start({ app = "nginx_bench" })
  local ok, problem = pcall(aw.run, function()
    wake(nginx)
    bulk(nginx)
    idle(nginx)
    crowd(nginx)
  end)
  support.stop()
  stop_peers()
  if not ok then
    print("bench: nginx FAILED: " .. tostring(problem))
  end
  io.write(("%d targets missed\n"):format(missed))
  return ok and 0 or 1
end

os.exit(main())
