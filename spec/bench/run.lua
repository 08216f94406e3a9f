-- Runs the benchmarks: lua spec/bench/run.lua [NAME...], as `make bench` does with LUA_PATH and LUA_CPATH set.
--
-- Each benchmark runs a C program (the floor) and Lua programs that do the same by the library, in turn, against the
-- same peer; the ratio is the median over the rounds of ours / floor within one round. The first round is a warm-up,
-- and every other round goes backwards (A B, B A), so that neither has the better place.
-- Peers are kept on CPU 0 and the measured program on CPU 1, where there are two.
--
-- Environment: FLAVOUR (lua5.4), SPEC_BUILD (build/FLAVOUR), BENCH_ROUNDS (each benchmark's own), BENCH_SCALE (1; of
-- the amount of work), CC (cc). Exits with 1 when a program failed; a missed target is only reported.
-- SPDX-License-Identifier: MIT
local here = arg[0]:match("^.*/") or "./"
local flavour = os.getenv("FLAVOUR") or "lua5.4"
local build = (os.getenv("SPEC_BUILD") or "build/" .. flavour) .. "/bench"
local rounds_override = tonumber(os.getenv("BENCH_ROUNDS") or "")
local scale = tonumber(os.getenv("BENCH_SCALE") or "") or 1
local RUN_SECONDS = 120
local PING_WARM_UP = 2000 -- As in echo_peer.c.

local MiB = 1024 * 1024
local failures, missed, peers = 0, 0, {}
local probe -- The path of probe.so, for lua/support.lua.

-- Processes ---------------------------------------------------------------------------------------------------------

local function succeeds(command)
  local result = os.execute(command .. " >/dev/null 2>&1")
  return result == true or result == 0
end

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

local can_time_out = succeeds("timeout --foreground 5 true")
local can_pin = succeeds("taskset -c 1 true")

local function interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

--- The shell command of a program: a name of a C program, or of a script when it ends in .lua.
local function command(program, args, cpu)
  local words = { "exec" }
  local function add(...)
    for _, word in ipairs({ ... }) do
      words[#words + 1] = quote(word)
    end
  end
  if can_time_out then
    add("timeout", "--foreground", RUN_SECONDS)
  end
  if can_pin and cpu then
    add("taskset", "-c", cpu)
  end
  if program:match("%.lua$") then
    add(interpreter(), here .. "lua/" .. program)
  else
    add(build .. "/" .. program)
  end
  for _, word in ipairs(args or {}) do
    add(type(word) == "number" and ("%.0f"):format(word) or word)
  end
  return table.concat(words, " ")
end

local function start(program, args, cpu)
  local setup = "echo $$; BENCH_PROBE=" .. quote(probe) .. "; export BENCH_PROBE; "
  local out = assert(io.popen(setup .. command(program, args, cpu), "r"))
  local process = { name = program, out = out, pid = out:read("*l") }
  peers[process] = true
  return process
end

local function stop(process)
  if peers[process] then
    peers[process] = nil
    os.execute("kill " .. process.pid .. " 2>/dev/null")
    process.out:close()
  end
end

local function read_port(process)
  local port = (process.out:read("*l") or ""):match("^PORT (%d+)$")
  if not port then
    error(process.name .. " printed no port", 0)
  end
  return port
end

--- Reads until the RESULT line and returns its pairs, or raises when the program ended without one.
local function read_result(process)
  for line in process.out:lines() do
    local pairs_text = line:match("^RESULT(.*)$")
    if pairs_text then
      local result = {}
      for key, value in pairs_text:gmatch("([%w_]+)=(%S+)") do
        result[key] = tonumber(value)
      end
      return result
    end
    io.stderr:write(line, "\n")
  end
  error(process.name .. " ended without a result", 0)
end

local function finish(process)
  local result = read_result(process)
  peers[process] = nil
  process.out:close()
  return result
end

-- How one run goes ---------------------------------------------------------------------------------------------------

local function amount(n)
  return math.max(math.floor(n * scale), 1)
end

--- A client against the bench's peer. Its arguments follow the port.
local function client(bench, subject)
  local args = { bench.port }
  for _, word in ipairs(subject.args) do
    args[#args + 1] = type(word) == "function" and word() or word
  end
  local result = finish(start(subject.program, args, bench.cpu or 1))
  if bench.peer_reports then
    for key, value in pairs(read_result(bench.process)) do
      result[key] = value
    end
  end
  return result
end

--- A server, with a load that runs once against it.
local function server(bench, subject)
  local process = start(subject.program, subject.args, 1)
  local load_args = { read_port(process) }
  for _, word in ipairs(bench.load_args) do
    load_args[#load_args + 1] = word
  end
  local load = finish(start(bench.load, load_args))
  local result = finish(process)
  result.wall, result.ops = load.wall, load.ops
  return result
end

--- A program without a peer.
local function alone(_, subject)
  return finish(start(subject.program, subject.args, 1))
end

-- What is shown of a run: { label, unit, value, target = ratio | limit = of ours, in the unit }.
local function per_op(r)
  return r.cpu / r.ops * 1e9
end
local cpu_per_op = { "CPU", "ns/op", per_op }
local cpu_per_mib = {
  "CPU",
  "us/MiB",
  function(r)
    return r.cpu / (r.bytes / MiB) * 1e6
  end,
}
local round_trip = {
  "p50",
  "us",
  function(r)
    return r.p50_us
  end,
}
local growth = {
  "RSS growth",
  "KiB",
  function(r)
    return r.grown_kb
  end,
  limit = 1024,
}
local echo_rows = {
  { "CPU", "ns/op", per_op, target = 1.4 },
  {
    "wall",
    "ns/op",
    function(r)
      return r.wall / r.ops * 1e9
    end,
  },
  {
    "idle heap",
    "B/conn",
    function(r)
      return r.idle_bytes
    end,
    limit = 4096,
  },
}

local function writer(mode, chunk, total, nodelay)
  return { program = "writer", args = { mode, chunk, amount(total), nodelay or 0 } }
end

local function lua_writer(label, target, mode, chunk, total, nodelay)
  return { label = label, target = target, program = "writer.lua", args = { mode, chunk, amount(total), nodelay or 0 } }
end

--- The floor measured against itself, which shows the noise.
local function floor_again(total)
  local subject = writer("plain", 65536, total)
  subject.label = "(floor again)"
  return subject
end

local function ping(program, label)
  return { label = label, target = 1.15, program = program, args = { PING_WARM_UP + amount(20000) } }
end

local function poller(program, kind, label)
  return { label = label, program = program, args = { kind, amount(1e7) } }
end

local benchmarks = {
  { -- Many rounds, because here the traffic between the CPUs makes the floor itself vary; its second row says how much.
    name = "bulk",
    rounds = 41,
    run = client,
    peer = { "sink_peer" },
    rows = { cpu_per_mib },
    floor = writer("plain", 65536, 512 * MiB),
    ours = { lua_writer("write_all", 1.05, "write_all", 65536, 512 * MiB), floor_again(512 * MiB) },
  },
  { -- Reader and writer share a CPU, and what is on its way fits its cache: five times cheaper, so five times stricter.
    name = "bulk_1cpu",
    rounds = 31,
    run = client,
    cpu = 0,
    peer = { "sink_peer", 0, 256 * 1024 },
    rows = { cpu_per_mib },
    floor = writer("plain", 65536, 2048 * MiB),
    ours = { lua_writer("write_all", 1.05, "write_all", 65536, 2048 * MiB), floor_again(2048 * MiB) },
  },
  {
    name = "naive64",
    rounds = 7,
    run = client,
    peer = { "sink_peer" },
    rows = { cpu_per_op },
    floor = writer("plain", 64, 48e6, 1),
    ours = { lua_writer("write_all", 1.2, "write_all", 64, 48e6, 1) },
  },
  {
    name = "buf64",
    rounds = 21,
    run = client,
    peer = { "sink_peer" },
    rows = { cpu_per_op },
    floor = writer("buffered", 64, 640e6),
    ours = {
      lua_writer("poll_write", 2.2, "buf_poll_write", 64, 640e6),
      lua_writer("(bare method)", nil, "bare_poll_write", 64, 640e6),
      lua_writer("local poll_write", 2.2, "buf_poll_write_local", 64, 640e6),
      lua_writer("write_all", 4, "buf_write_all", 64, 640e6),
      lua_writer("write_all x16", 2.5, "buf_write_many", 64, 640e6),
    },
  },
  {
    name = "vec",
    rounds = 7,
    run = client,
    peer = { "sink_peer" },
    rows = { cpu_per_op },
    floor = writer("vectored", 1024, 400e6),
    ours = {
      lua_writer("write_all(h, p)", 1.3, "vec_write_all", 1024, 400e6),
      lua_writer("write_vectored", 1.3, "vec_write_vectored", 1024, 400e6),
    },
  },
  {
    name = "pingpong",
    rounds = 7,
    run = client,
    peer = { "echo_peer" },
    peer_reports = true,
    rows = { round_trip },
    floor = ping("pingpong"),
    ours = { ping("pingpong.lua", "two CPUs") },
  },
  { -- Without the wake-up of another CPU in it, which hides what the client does.
    name = "pingpong_1cpu",
    rounds = 7,
    run = client,
    cpu = 0,
    peer = { "echo_peer" },
    peer_reports = true,
    rows = { round_trip },
    floor = ping("pingpong"),
    ours = { ping("pingpong.lua", "one CPU") },
  },
  {
    name = "echo2000",
    rounds = 9,
    run = server,
    load = "echo_load",
    load_args = { 2000, math.max(amount(400000), 2000) },
    rows = echo_rows,
    floor = { program = "echo_server", args = { 2000 } },
    ours = {
      { label = "read, write_all", program = "echo_server.lua", args = { 2000 } },
      { label = "copy", program = "echo_server.lua", args = { 2000, "copy" } },
    },
  },
  {
    name = "slow_reader",
    rounds = 2,
    run = client,
    peer = { "sink_peer", 8 * MiB, 128 * 1024 },
    rows = { growth },
    floor = writer("plain", 65536, 32 * MiB),
    ours = {
      lua_writer("write_all 64K", nil, "write_all", 65536, 32 * MiB),
      lua_writer("buf write_all 1K", nil, "buf_write_all", 1024, 32 * MiB),
    },
  },
  {
    name = "poll_sink",
    rounds = 7,
    run = alone,
    rows = { cpu_per_op },
    floor = poller("poll_cost", "sink"),
    ours = { poller("poll_cost.lua", "sink", "poll_write"), poller("poll_cost.lua", "empty", "empty C call") },
  },
  {
    name = "poll_memory",
    rounds = 7,
    run = alone,
    rows = { cpu_per_op },
    floor = poller("poll_cost", "memory"),
    ours = { poller("poll_cost.lua", "memory", "poll_write"), poller("poll_cost.lua", "empty", "empty C call") },
  },
}

-- Figures ------------------------------------------------------------------------------------------------------------

local function median(list)
  local sorted = {}
  for i, value in ipairs(list) do
    sorted[i] = value
  end
  table.sort(sorted)
  local n = #sorted
  local half = math.floor(n / 2)
  return n % 2 == 1 and sorted[half + 1] or (sorted[half] + sorted[half + 1]) / 2, sorted[1], sorted[n]
end

local function number(x)
  return (math.abs(x) < 100 and "%.2f" or "%.0f"):format(x)
end

local FORMAT = "%-13s %-16s %-10s %9s %9s %-6s %7s %7s..%-7s %8s  %s\n"

local function show(bench, row, floor, ours, subject)
  local a, b, ratios = {}, {}, {}
  for i = 1, #floor do
    a[i], b[i] = row[3](floor[i]), row[3](ours[i])
    ratios[i] = b[i] / a[i]
  end
  local target, verdict = row.target or subject.target
  local ratio, low, high = median(ratios)
  local middle, _, most = median(b)
  if row.limit then
    verdict = most < row.limit and "ok" or "MISSED"
    ratio, low, high = "-", number(select(2, median(b))), number(most)
    target = "<" .. row.limit
  else
    verdict = target and (ratio <= target and "ok" or "MISSED") or ""
    ratio, low, high = ("%.3f"):format(ratio), ("%.3f"):format(low), ("%.3f"):format(high)
    target = target and "<=" .. target or "-"
  end
  if verdict == "MISSED" then
    missed = missed + 1
  end
  io.stdout:write(FORMAT:format(bench.name, subject.label, row[1], number(median(a)), number(middle), row[2], ratio,
    low, high, target, verdict))
end

--- Runs the floor and each of ours in turn, every other round backwards, and shows them. Round 0 is the warm-up.
local function measure(bench)
  if bench.peer then
    bench.process = start(bench.peer[1], { bench.peer[2], bench.peer[3] })
    bench.port = read_port(bench.process)
  end
  local subjects, results = { bench.floor }, {}
  for i, subject in ipairs(bench.ours) do
    subjects[i + 1] = subject
  end
  local n = #subjects
  for i = 1, n do
    results[i] = {}
  end
  for round = 0, rounds_override or bench.rounds do
    for i = 1, n do
      local which = round % 2 == 0 and i or n + 1 - i
      results[which][round] = bench.run(bench, subjects[which])
    end
  end
  for i, subject in ipairs(bench.ours) do
    for _, row in ipairs(bench.rows) do
      show(bench, row, results[1], results[i + 1], subject)
    end
  end
end

local function stop_all()
  for process in pairs(peers) do
    stop(process)
  end
end

local function selected(name)
  for _, wanted in ipairs(arg) do
    if wanted == name then
      return true
    end
  end
  return #arg == 0
end

local function compile_probe()
  local path = build .. "/probe.so"
  local cc = os.getenv("CC") or "cc"
  local source = here .. "lua/probe.c"
  if not succeeds(("%s -shared -fPIC -O2 -D_GNU_SOURCE %s -o %s"):format(cc, quote(source), quote(path))) then
    error("cannot compile " .. source, 0)
  end
  return path
end

local function absolute(path)
  local pwd = os.getenv("PWD") or "."
  return path:sub(1, 1) == "/" and path or pwd .. "/" .. path
end

local function main()
  local known = {}
  for _, bench in ipairs(benchmarks) do
    known[bench.name] = true
  end
  for _, wanted in ipairs(arg) do
    if not known[wanted] then
      io.stderr:write("bench: no benchmark is called ", wanted, "\n")
      return 1
    end
  end
  probe = absolute(compile_probe())
  io.stdout:setvbuf("line")
  local heading = FORMAT:format("benchmark", "ours", "figure", "floor", "ours", "", "ratio", "min", "max", "target", "")
  io.stdout:write(heading)
  for _, bench in ipairs(benchmarks) do
    if selected(bench.name) then
      local ok, problem = pcall(measure, bench)
      stop_all()
      if not ok then
        failures = failures + 1
        io.stdout:write(("%-13s FAILED: %s\n"):format(bench.name, tostring(problem)))
      end
    end
  end
  io.stdout:write(("%d failed, %d targets missed\n"):format(failures, missed))
  return failures > 0 and 1 or 0
end

os.exit(main())
