-- SPDX-License-Identifier: MIT
-- The example that `make run` starts, as a process: its report, its exit status, and that it leaves nobody behind.

local lu = require "luaunit"
local check = require "support.check"
local child = require "support.child"

local T = {}

local POUR = child.lua .. " spec/examples/pour.lua "

local function with_file(bytes, f)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local ok, err = pcall(f, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

-- A zombie that init has not buried yet is dead.
local function alive(pid)
  local stat = io.open("/proc/" .. pid .. "/stat")
  if not stat then return false end
  local state = (stat:read("*a") or ""):match("%) (%a)")
  stat:close()
  return state ~= nil and state ~= "Z"
end

local function eventually_dead(pid)
  check.run(function()
    check.eventually(function() return not alive(pid) end)
  end)
end

local function pours(bytes, size)
  with_file(bytes, function(path)
    local result = child.sh(POUR .. child.quote(path), 60)
    lu.assertEquals(result.err, "")
    lu.assertEquals(result.code, 0)
    local hex = child.sh("sha256sum <" .. path).out:match("%x+")
    lu.assertStrContains(result.out, "buf_writer(262144) > tcp 127.0.0.1:")
    lu.assertStrMatches(result.out, ".*" .. size .. " in [%d.]+ s: %d+ MiB/s.*")
    for _, side in ipairs { "sender", "receiver" } do
      lu.assertStrMatches(result.out, ".*" .. side .. " +peak memory +[1-9][%d.]* MiB +sha256 " .. hex .. ".*")
    end
    lu.assertStrContains(result.out, "The digests agree")
    eventually_dead(result.out:match("in process (%d+)"))
  end)
end

function T.test_it_reports_rate_memory_and_digests_of_a_file()
  pours(check.pattern(3 * 1024 * 1024 + 1), "3%.0 MiB")
end

function T.test_an_empty_file_is_poured_too() pours("", "0 B") end

function T.test_without_a_file_it_pours_one_of_at_least_100_mib()
  local result = child.sh(POUR .. "''", 120)
  lu.assertEquals(result.code, 0, result.err)
  lu.assertStrMatches(result.out, ".*128%.0 MiB in [%d.]+ s: .*The digests agree.*")
end

function T.test_a_file_that_cannot_be_read_is_a_plain_error()
  for path, text in pairs { ["/nosuch/file"] = "No such file", ["/tmp"] = "Is a directory" } do
    local result = child.sh(POUR .. path)
    lu.assertEquals(result.code, 1)
    lu.assertStrMatches(result.err, "pour: [^\n]*" .. text .. "[^\n]*\n")
  end
end

-- f(pipe, pid, receiver) with an endless pour: its output, its process id and that of its receiver.
local function with_endless(f)
  local pipe = assert(io.popen("echo $$; exec 2>&1; exec " .. POUR .. "/dev/zero"))
  local pid = pipe:read("*l")
  local ok, err = pcall(function()
    local receiver
    while not receiver do receiver = assert(pipe:read("*l"), "it ended early"):match("in process (%d+)") end
    f(pipe, pid, receiver)
  end)
  os.execute("kill -KILL " .. pid .. " 2>/dev/null")
  pipe:close()
  if not ok then error(err, 0) end
end

function T.test_a_receiver_that_is_killed_is_a_failure()
  with_endless(function(pipe, pid, receiver)
    os.execute("kill -KILL " .. receiver)
    lu.assertStrMatches(pipe:read("*a"), "pour: sending: E%u+: .* after %d+ bytes\n")
    eventually_dead(pid)
  end)
end

function T.test_the_receiver_ends_with_its_sender_however_that_ends()
  for _, signal in ipairs { "KILL", "TERM", "INT" } do
    with_endless(function(pipe, pid, receiver)
      os.execute(("kill -%s %s"):format(signal, pid))
      pipe:read("*a")
      eventually_dead(receiver)
    end)
  end
end

return T
