-- SPDX-License-Identifier: MIT
-- D1-D6, F6 and F7: what is special about files. Their failures are made by a limit on the size of a file, in a child.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local child = require "support.child"

local M = {}
local clause, exact = H.clause, H.exact

local FILES = { kinds = { "file", "file(max 7)", "file(append)", "stdout(file)", "buf_writer > file" },
  reason = "it is no file" }
local LEAVES = { kinds = { "file" }, reason = "the exact trace is of a file that is read, written and moved in" }

clause(M, "D1", "a_write_is_accepted_at_once_and_the_next_one_waits_for_it",
  { kinds = { "file", "file(append)", "stdout(file)" }, reason = "it is no file, or takes less at once" }, function(t)
    local s = t:text(100000)
    local c, n = D.poll(t.w, "poll_write", s)
    t:book(s, check.count(s, n))
    check.equal(n, #s, "the first write")
    check.equal(c.woken, 0, "wakes of a write that was accepted")
    c, n = D.poll(t.w, "poll_write", "x")
    check.equal(n, false, "a write while another is under way")
    c:wait()
    check.equal(select(2, D.poll(t.w, "poll_write", t:text(5))), 5, "a write when it is done")
    t:book(t:text(5), 5)
    t:finish()
  end)

exact(M, "D1", "a_write_accepts_at_most_2_mib_and_owns_what_it_accepted", LEAVES, function()
  local path = os.tmpname()
  local f = assert(aw.file.create(path))
  local s = ("x"):rep(2 * 1024 * 1024 + 1)
  check.equal(f:write(s), 2 * 1024 * 1024, "a write of one byte more")
  check.equal(f:write_vectored { s, s }, 2 * 1024 * 1024, "a write of two strings")
  check.equal(f:shutdown(), true, "shutdown")
  check.equal(assert(aw.file.open(path)):seek("end"), 4 * 1024 * 1024, "the length of the file")
  f:close()
  os.remove(path)
end)

exact(M, "D3", "what_was_read_ahead_is_stepped_back_over_before_a_write", LEAVES, function()
  local path = os.tmpname()
  local f = assert(aw.file.open(path, "w+"))
  local function case(reads, write, want, position)
    check.equal(f:set_len(0), true, "set_len")
    f:seek("set")
    check.equal(f:write_all("0123456789abcdef"), true, "write_all")
    f:seek("set")
    for i, size in ipairs(reads) do check.ok(f:read(size), "read " .. i) end
    check.equal(write(), true, "the write")
    check.equal(f:flush(), true, "flush")
    check.equal(f:seek("cur"), position, "the position")
    f:seek("set")
    check.equal(f:read_to_end(), want, "what is in the file")
  end
  -- read(8) fetches 8; a second reader that takes 2 leaves 6 of them ahead
  local function ahead(n)
    local _, value = D.poll(f, "poll_read", n) -- under way, asked for by nobody any more
    check.equal(value, false, "the first poll_read")
  end
  case({}, function() return f:write_all("XY") end, "XY23456789abcdef", 2)
  case({ 4 }, function() return f:write_all("XY") end, "0123XY6789abcdef", 6)
  case({}, function()
    ahead(10)
    return f:write_all("XY") -- it waits for the read, and goes to where nobody has read
  end, "XY23456789abcdef", 2)
  case({}, function()
    ahead(10)
    check.equal(f:read(3), "012", "read")
    return f:write_all("XY")
  end, "012XY56789abcdef", 5)
  case({}, function()
    ahead(10)
    check.equal(f:read(3), "012", "read")
    return f:set_len(9)
  end, "012345678", 3)
  case({}, function()
    ahead(10)
    check.equal(f:read(3), "012", "read")
    check.equal(f:seek("cur", 2), 5, "seek from where was read")
    return f:write_all("XY")
  end, "01234XY789abcdef", 7)
  f:close()
  os.remove(path)
end)

clause(M, "D4", "a_write_that_ends_unasked_wakes_nobody", FILES, function(t)
  local s = t:text(7)
  local c, n = D.poll(t.w, "poll_write", s)
  t:book(s, n)
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  check.equal(c.woken, 0, "wakes of a write that was accepted")
end)

exact(M, "D5", "seek_sync_and_set_len_wait_for_the_write_under_way", LEAVES, function()
  local path = os.tmpname()
  local f = assert(aw.file.open(path, "w+"))
  local s = D.text(1000000)
  local function written()
    f:seek("set")
    check.equal(f:set_len(0), true, "set_len")
    check.equal(select(2, D.poll(f, "poll_write", s)), #s, "poll_write")
  end
  written()
  check.equal(f:seek("cur"), #s, "seek right after a write")
  written()
  check.equal(f:set_len(#s - 10), true, "set_len right after a write")
  check.equal(f:seek("end"), #s - 10, "the length of the file")
  for _, op in ipairs { "sync_all", "sync_data" } do
    written()
    check.equal(f[op](f), true, op)
    local look = assert(io.open(path, "rb"))
    check.equal(look:read("*a"), s, "what is in the file after " .. op)
    look:close()
  end
  local writer = aw.spawn(function() return f:write_all(s, s, s) end)
  aw.yield()
  check.raises({ "seek", "EBUSY" }, "a seek beside a task that writes", f.seek, f, "set")
  check.equal(writer:join(), true, "the task that writes")
  f:close()
  os.remove(path)
end)

clause(M, "D6", "shutdown_waits_for_the_write_under_way", FILES, function(t)
  local s = t:text(100000)
  local _, n = D.poll(t.w, "poll_write", s)
  t:book(s, n)
  check.equal(D.ready(t.w, "poll_shutdown"), true, "poll_shutdown")
  check.equal(t:arrived(), t:booked(), "what arrived")
end)

exact(M, "D6", "a_write_accepts_at_most_max_buf_size", LEAVES, function()
  local path = os.tmpname()
  local f = assert(aw.file.create(path))
  f:set_max_buf_size(1)
  check.equal(f:write("abc"), 1, "a write with room for one")
  check.equal(f:write_all("bc"), true, "write_all")
  check.equal(f:shutdown(), true, "shutdown")
  f:close()
  f = assert(aw.file.open(path, { read = true, max_buf_size = 2 }))
  check.equal(f:read(), "ab", "a read of at most so much")
  f:close()
  os.remove(path)
end)

clause(M, "F6", "flush_waits_for_the_write_under_way_and_not_for_the_disk", FILES, function(t)
  local s = t:text(100000)
  local _, n = D.poll(t.w, "poll_write", s)
  t:book(s, n)
  check.equal(D.ready(t.w, "poll_flush"), true, "poll_flush")
  check.equal(t:arrived(), t:booked(), "what arrived")
  check.equal(select(2, D.poll(t.w, "poll_flush")), true, "a second poll_flush")
end)

-- A script in a task of a child, with a file f at path that is full to four bytes below the limit of its size.
local PRELUDE = [[
  local aw = require "asyncwrite"
  local path, LIMIT = os.tmpname(), 8192
  local function fails(code, what, value, message, got)
    if value ~= nil or got ~= code then error(("%s: %s instead of %s"):format(what, tostring(message or value), code), 2) end
  end
  local function same(what, got, want)
    if got ~= want then error(("%s: %s instead of %s"):format(what, tostring(got):sub(-60), tostring(want):sub(-60)), 2) end
  end
  local function contents()
    local look = assert(io.open(path, "rb"))
    local s = look:read("*a")
    look:close()
    return s
  end
  local before = ("."):rep(LIMIT - 4)
  local function in_file(want) same("in the file", contents(), want) end
  local ended, err = pcall(aw.run, function()
    local f = assert(aw.file.open(path, "w+"))
    assert(f:write_all(before) and f:flush())
    posix.limit_file_size(LIMIT)
]]

if rawget(_G, "ngx") then return M end -- a worker of nginx cannot start it

local function limited(script)
  child.check(child.posix_text() .. PRELUDE .. script .. [[
    end)
    os.remove(path)
    if not ended then error(err, 0) end
  ]])
end

exact(M, "D2", "the_error_of_a_write_behind_is_told_by_the_next_write_once", LEAVES, function()
  limited [[
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the next write", f:write("more"))
    in_file(before .. "1234")
    posix.limit_file_size(-1)
    same("the write after it", f:write("more"), 4)
    same("flush", f:flush(), true)
    in_file(before .. "123456more")
  ]]
end)

exact(M, "D2", "the_error_of_a_write_behind_is_told_by_flush_shutdown_and_sync", LEAVES, function()
  for _, op in ipairs { "flush", "shutdown", "sync_all", "sync_data" } do
    limited(([[
      same("accepted", f:write("123456"), 6)
      fails("EFBIG", "OP", f:OP())
      posix.limit_file_size(-1)
      same("OP once more", f:OP(), true)
      in_file(before .. "123456")
    ]]):gsub("OP", op))
  end
end)

exact(M, "D2", "reads_seeks_and_set_len_between_do_not_swallow_the_error", LEAVES, function()
  for _, op in ipairs { "flush()", "write('x')", "sync_all()" } do
    limited([[
      same("accepted", f:write("123456"), 6)
      same("position", f:seek("set", 0), 0)
      same("read", f:read(3), "...")
      same("set_len", f:set_len(LIMIT), true)
      same("position", f:seek("cur"), 3)
      fails("EFBIG", "the error", f:]] .. op .. ") f:close()")
  end
end)

exact(M, "F7", "what_was_not_written_is_kept_and_every_retry_tells", LEAVES, function()
  limited [[
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the flush", f:flush())
    for _ = 1, 3 do
      same("kept", f:buffered(), 2)
      fails("EFBIG", "a flush that tries again", f:flush())
      fails("EFBIG", "a write that tries again", f:write("abc"))
    end
    posix.limit_file_size(-1)
    same("the flush", f:flush(), true)
    same("kept", f:buffered(), 0)
    same("position", f:seek("cur"), #before + 6)
    in_file(before .. "123456")
  ]]
end)

exact(M, "F7", "what_was_kept_goes_to_its_place_though_the_position_has_moved", LEAVES, function()
  limited [[
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the flush", f:flush())
    same("position", f:seek("set", 2), 2)
    posix.limit_file_size(-1)
    same("accepted", f:write("XY"), 2)
    same("position", f:seek("cur"), 4)
    same("read", f:read(2), "..")
    same("flush", f:flush(), true)
    in_file("..XY" .. before:sub(5) .. "123456")
  ]]
end)

exact(M, "F7", "into_unwritten_gives_what_was_kept_and_its_place_and_closes_without_a_warning", LEAVES, function()
  limited [[
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the flush", f:flush())
    same("position", f:seek("set", 2), 2)
    local bytes, at, message = f:into_unwritten()
    same("the bytes", bytes, "56")
    same("their place", at, LIMIT)
    same("the message", message, nil)
    same("closed", f:is_closed(), true)
    same("lost", f:stats().lost, 2)
    in_file(before .. "1234")
    posix.limit_file_size(-1)
    f = assert(aw.file.open(path, "r+"))
    same("position", f:seek("set", at), at)
    same("write_all", f:write_all(bytes), true)
    same("flush", f:flush(), true)
    in_file(before .. "123456")
    same("nothing is left", f:into_unwritten(), "")
  ]]
end)

exact(M, "F7", "into_unwritten_tells_a_failure_that_was_not_told_and_is_refused_while_the_pool_has_the_bytes", LEAVES, function()
  limited [[
    same("accepted", f:write("123456"), 6)
    fails("EBUSY", "into_unwritten", f:into_unwritten())
    same("position", f:seek("cur"), LIMIT) -- it waits for the write, and leaves its failure untold
    local bytes, at, message, code = f:into_unwritten()
    same("the bytes", bytes, "56")
    same("their place", at, LIMIT)
    same("the code", code, "EFBIG")
    same("the message", message:match("^%S+"), "EFBIG:")
    f = nil
    collectgarbage() collectgarbage()
  ]]
  limited [[
    f:close()
    f = assert(aw.file.open(path, "a"))
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the flush", f:flush())
    local bytes, at = f:into_unwritten()
    same("the bytes", bytes, "56")
    same("the end of an appending file", at, nil)
  ]]
end)

exact(M, "F7", "an_appending_file_keeps_and_retries_too", LEAVES, function()
  limited [[
    f:close()
    f = assert(aw.file.open(path, "a+"))
    same("accepted", f:write("123456"), 6)
    fails("EFBIG", "the flush", f:flush())
    same("position", f:seek("set", 2), 2)
    same("read", f:read(2), "..")
    posix.limit_file_size(-1)
    same("a write", f:write_all("XY"), true)
    same("shutdown", f:shutdown(), true)
    in_file(before .. "123456XY")
  ]]
end)

exact(M, "F7", "a_buf_writer_above_loses_nothing_either", LEAVES, function()
  limited [[
    f = aw.buf_writer(f, 3)
    local accepted = 0
    for i = 1, 9 do
      local n, message, code = f:write(tostring(i))
      if n then accepted = accepted + n else fails("EFBIG", "a write", n, message, code) end
    end
    fails("EFBIG", "a flush", f:flush())
    posix.limit_file_size(-1)
    same("flush", f:flush(), true)
    same("bytes", #contents() - #before, accepted)
  ]]
end)

return M
