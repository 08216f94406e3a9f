-- SPDX-License-Identifier: MIT
-- System calls on a file that fail: strace makes them, in the one thread of a child's pool.

local lu = require "luaunit"
local child = require "support.child"

local T = {}

local PRELUDE = [[
  local aw = require "asyncwrite"
  local parts = {}
  for i = 1, 3000 do parts[i] = i .. ";" end
  local data = table.concat(parts)
  local seen, flush, write_all = {}, nil, nil

  local function note(message, code)
    if not code or not expected[code] then error(message or "no code", 0) end
    seen[code] = (seen[code] or 0) + 1
    if seen[code] > 10000 then error("it fails for ever", 0) end
  end
  local function again(f, op, ...)
    while true do
      local value, message, code = f[op](f, ...)
      if value ~= nil or not code then return value end
      note(message, code)
    end
  end
  -- Everything once, whatever fails on the way: what was accepted counts, and what failed is tried again.
  local function send(f)
    local at = 1
    while at <= #data do
      local n, message, code = f:write(data, at, math.min(#data, at + 99))
      if n then at = at + n else note(message, code) end
    end
    again(f, "flush")
  end
  local function contents()
    os.execute(("ln %s %s.look"):format(path, path)) -- by another name, of which strace does not know
    local look = assert(io.open(path .. ".look", "rb"))
    local s = look:read("*a")
    look:close()
    os.remove(path .. ".look")
    return s
  end
]]

local works -- strace may be installed and yet forbidden to trace

local function injected(inject, expected, script)
  child.need("strace")
  child.not_sanitized("strace")
  if works == nil then works = child.sh("strace -o /dev/null true").code == 0 end
  if not works then child.skip("strace cannot trace here") end
  local path, calls = os.tmpname(), {}
  for _, rule in ipairs(inject) do calls[#calls + 1] = rule:match("^[^:]+") end
  local wrap = ("env UV_THREADPOOL_SIZE=1 strace -f -qq -o /dev/null -P %s -e trace=%s -e signal=none"):format(path,
    table.concat(calls, ","))
  for _, rule in ipairs(inject) do wrap = wrap .. " -e inject=" .. rule end
  local result = child.run(("expected, path = { %s = true }, %q\n"):format(expected, path) .. PRELUDE .. script,
    { wrap = wrap, seconds = 120 })
  os.remove(path)
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, "")
  lu.assertEquals(result.code, 0)
end

local ROUND = [[aw.run(function()
  local f = assert(aw.file.open(path, "w+"))
  send(f)
  assert(contents() == data, "the bytes differ")
  again(f, "seek", "set")
  local got = {}
  while true do
    local s = again(f, "read", 1000)
    if not s then break end
    got[#got + 1] = s
  end
  assert(table.concat(got) == data, "what was read differs")
  again(f, "set_len", 5)
  again(f, "sync_all")
  again(f, "sync_data")
  again(f, "shutdown")
  f:close()
  assert(contents() == data:sub(1, 5))
end)
]]

T["test_P6_EINTR_and_EAGAIN_are_never_seen"] = function()
  injected({ "openat:error=EINTR:when=1", "write,read:error=EINTR:when=1+2", "fsync,fdatasync,ftruncate:error=EINTR:when=1" },
    "NOTHING", ROUND)
  injected({ "write,read:error=EAGAIN:when=2+3" }, "NOTHING", ROUND)
end

for _, code in ipairs { "EIO", "ENOSPC", "EDQUOT" } do
  T["test_F7_" .. code .. "_of_a_write_is_told_each_time_and_no_byte_is_lost_or_doubled"] = function()
    injected({ ("write:error=%s:when=2+3"):format(code) }, code, ROUND .. "assert(seen." .. code .. " > 5)")
  end
end

T["test_F7_a_retry_at_its_own_place_may_fail_too"] = function()
  injected({ "write:error=EIO:when=2", "pwrite64:error=EIO:when=1" }, "EIO", [[aw.run(function()
    local f = assert(aw.file.open(path, "w+"))
    assert(f:write_all("0123") and f:flush())
    assert(f:write("4567") == 4)
    assert(f:seek("set", 1) == 1)
    assert(select(3, f:flush()) == "EIO")
    assert(select(3, f:flush()) == "EIO")
    assert(f:flush())
    assert(f:write_all("x") and f:flush())
    assert(contents() == "0x234567", contents())
    f:close()
  end)]])
end

T["test_D2_the_error_of_a_read_is_told_once_to_the_reader"] = function()
  injected({ "read:error=EIO:when=2" }, "EIO", [[aw.run(function()
    local f = assert(aw.file.open(path, "w+"))
    assert(f:write_all("0123456789") and f:seek("set"))
    assert(f:read(3) == "012")
    local s, _, code = f:read(3)
    assert(s == nil and code == "EIO")
    assert(f:read(3) == "345")
    assert(f:write_all("ab") and f:flush())
    assert(contents() == "012345ab89", contents())
    f:close()
  end)]])
end

T["test_D3_a_step_back_that_fails_is_told_and_tried_again"] = function()
  injected({ "lseek:error=EIO:when=2" }, "EIO", [[aw.run(function()
    local f = assert(aw.file.open(path, "w+"))
    assert(f:write_all("0123456789") and f:seek("set"))
    local waker = aw.waker(function() end)
    aw.with_waker(waker, f.poll_read, f, 8)
    assert(f:read(2) == "01")
    assert(f:write("ab") == 2)
    assert(select(3, f:flush()) == "EIO")
    assert(f:flush())
    assert(contents() == "01ab456789", contents())
    f:close()
  end)]])
end

T["test_the_failure_of_a_sync_is_told_once"] = function()
  for _, op in ipairs { "fsync", "fdatasync" } do
    local method = op == "fsync" and "sync_all" or "sync_data"
    injected({ op .. ":error=EIO:when=1" }, "EIO", ([[aw.run(function()
      local f = assert(aw.file.open(path, "w+"))
      assert(f:write_all("abc"))
      local ok, _, code = f:METHOD()
      assert(ok == nil and code == "EIO")
      assert(f:METHOD() and f:write_all("def") and f:shutdown())
      assert(contents() == "abcdef")
      f:close()
    end)]]):gsub("METHOD", method))
  end
end

T["test_failures_of_opening_cutting_and_seeking_are_results"] = function()
  injected({ "openat:error=EMFILE:when=1", "ftruncate:error=EPERM:when=1", "lseek:error=EOVERFLOW:when=1" }, "NOTHING", [[
    aw.run(function()
      assert(select(3, aw.file.open(path, "w+")) == "EMFILE")
      local f = assert(aw.file.open(path, "w+"))
      assert(f:write_all("abc"))
      assert(select(3, f:set_len(1)) == "EPERM")
      assert(select(3, f:seek("set")) == "EOVERFLOW")
      assert(f:seek("cur") == 3)
      f:close()
    end)]])
end

return T
