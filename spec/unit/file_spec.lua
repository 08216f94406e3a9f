-- SPDX-License-Identifier: MIT
-- file: opening, positions, what close leaves behind, full disks. D1-D6, F6 and F7 are in conformance/d_file_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local paths = {}

local function scratch(contents)
  local path = os.tmpname()
  paths[#paths + 1] = path
  if contents then
    local file = assert(io.open(path, "wb"))
    file:write(contents)
    file:close()
  end
  return path
end

local function read_back(path)
  local file = assert(io.open(path, "rb"))
  local s = file:read("*a")
  file:close()
  return s
end

local T = {}

function T.tearDown()
  for _, path in ipairs(paths) do os.remove(path) end
  paths = {}
  child.reap()
end

-- ---- opening ----

T.test_the_modes_are_those_of_io_open = in_task(function()
  local path = scratch("0123456789")
  local f = assert(aw.file.open(path))
  lu.assertFalse(f:is_writer())
  lu.assertEquals(f:read_to_end(), "0123456789")
  f:close()
  f = assert(aw.file.open(path, "r+b"))
  assert(f:write_all("ab") and f:flush())
  lu.assertEquals(f:read(2), "23")
  f:close()
  f = assert(aw.file.open(path, "a"))
  lu.assertFalse(f:is_reader())
  assert(f:write_all("cd") and f:shutdown())
  f:close()
  lu.assertEquals(read_back(path), "ab23456789cd")
  f = assert(aw.file.open(path, "a+"))
  lu.assertEquals(f:read(3), "ab2")
  assert(f:write_all("ef") and f:shutdown())
  f:close()
  lu.assertEquals(read_back(path), "ab23456789cdef")
  f = assert(aw.file.open(path, "w+"))
  assert(f:write_all("new") and f:seek("set") == 0)
  lu.assertEquals(f:read_to_end(), "new")
  f:close()
  f = assert(aw.file.create(path))
  lu.assertFalse(f:is_reader())
  f:close()
  lu.assertEquals(read_back(path), "")
end)

T.test_a_new_file_only = in_task(function()
  local path = scratch("there")
  fails("EEXIST", aw.file.open(path, "wx"))
  fails("EEXIST", aw.file.open(path, { write = true, create_new = true }))
  lu.assertEquals(read_back(path), "there")
  os.remove(path)
  fails("ENOENT", aw.file.open(path, "r+"))
  fails("ENOENT", aw.file.open(path, { write = true }))
  local f = assert(aw.file.open(path, "w+x", tonumber("600", 8)))
  assert(f:write_all("made") and f:seek("set"))
  lu.assertEquals(f:read_to_end(), "made")
  f:close()
  lu.assertEquals(child.sh("stat -c %a " .. path).out, "600\n")
end)

T.test_options_as_of_tokio = in_task(function()
  local path = scratch("0123")
  local f = assert(aw.file.open(path, { read = true, append = true }))
  assert(f:write_all("45") and f:flush() and f:seek("set"))
  lu.assertEquals(f:read_to_end(), "012345")
  f:close()
  f = assert(aw.file.open(path, { write = true, truncate = true, create = true, max_buf_size = 3 }))
  lu.assertEquals(f:write("abcdef"), 3)
  assert(f:flush())
  f:close()
  lu.assertEquals(read_back(path), "abc")
end)

T.test_misuse_of_open_is_named = check.misuses {
  function() aw.file.open(1) end, "bad argument #1 'path' to 'open' (string expected, got number)",
  function() aw.file.open("a\0b") end, "bad argument #1 'path' to 'open' (it holds a zero byte)",
  function() aw.file.open("x", "rw") end, "bad argument #2 'mode' to 'open' (invalid mode 'rw')",
  function() aw.file.open("x", 1) end, "bad argument #2 'mode' to 'open' (string or table expected, got number)",
  function() aw.file.open("x", { reed = true }) end, "bad argument #2 'mode' to 'open' (unknown option 'reed')",
  function() aw.file.open("x", {}) end, "bad argument #2 'mode' to 'open' (one of read, write and append must be set)",
  function() aw.file.open("x", { read = true, create = true }) end,
  "bad argument #2 'mode' to 'open' (create needs write or append)",
  function() aw.file.open("x", { append = true, truncate = true }) end,
  "bad argument #2 'mode' to 'open' (append and truncate exclude each other)",
  function() aw.file.open("x", { read = true, max_buf_size = 0 }) end,
  "bad argument #2 'mode.max_buf_size' to 'open' (integer from 1 to 2147483647 expected, got 0)",
  function() aw.file.open("x", "r", 4096) end, "bad argument #3 'perm' to 'open' (octal 0 to 7777 expected, got 4096)",
  function() aw.file.from_fd("x") end, "bad argument #1 'fd' to 'from_fd' (number expected, got string)",
}

function T.test_open_outside_a_task_raises()
  check.raises(function() aw.file.open("/dev/null") end, "open: not in the context of a task")
  check.raises(function() aw.file.create("/dev/null") end, "create: not in the context of a task")
end

T.test_failures_of_opening_are_results = in_task(function()
  fails("ENOENT", aw.file.open("/nonexistent/file"))
  fails("EISDIR", aw.file.open("/tmp", "w"))
  fails("ENOTDIR", aw.file.open("/dev/null/x"))
  fails("ENAMETOOLONG", aw.file.open(("x"):rep(5000)))
  fails("EBADF", aw.file.from_fd(999))
  local f = assert(aw.file.open("/tmp"))
  fails("EISDIR", f:read())
  f:close()
end)

T.test_what_is_no_file_is_polled = in_task(function()
  local null = assert(aw.file.open("/dev/null", "r+"))
  lu.assertEquals(null:kind(), "pipe")
  assert(null:write_all("x"))
  lu.assertNil((null:read()))
  null:close()
  local path = scratch()
  os.remove(path)
  assert(child.sh("mkfifo " .. path).code == 0)
  fails("ENXIO", aw.file.open(path, "w")) -- nobody reads; it does not wait for a reader
  local r = assert(aw.file.open(path))
  local w = assert(aw.file.open(path, "w"))
  local reader = aw.spawn(function() return r:read_to_end() end)
  check.settle()
  assert(w:write_all("through the fifo"))
  w:close()
  lu.assertEquals(reader:join(), "through the fifo")
  r:close()
end)

T.test_from_fd_shares_the_position_and_leaves_the_callers_open = in_task(function()
  local path = scratch("0123456789")
  local f = assert(aw.file.open(path, "r+"))
  lu.assertEquals(f:read(2), "01")
  local g = assert(aw.file.from_fd(f:fd()))
  lu.assertStrContains(tostring(g), "file ")
  lu.assertEquals(g:read(2), "23")
  g:close()
  lu.assertEquals(f:read(2), "45")
  f:close()
end)

-- ---- reading, writing, positions ----

T.test_seek_takes_what_lua_takes = in_task(function()
  local f = assert(aw.file.open(scratch("0123456789"), "r+"))
  lu.assertEquals(f:seek(), 0)
  lu.assertEquals(f:seek("set", 3), 3)
  lu.assertEquals(f:read(2), "34")
  lu.assertEquals(f:seek("cur", -1), 4)
  lu.assertEquals(f:seek("end", -2), 8)
  lu.assertEquals(f:read_to_end(), "89")
  lu.assertEquals(f:seek("end", 5), 15)
  assert(f:write_all("x") and f:seek("set"))
  lu.assertEquals(f:read_to_end(), "0123456789\0\0\0\0\0x")
  fails("EINVAL", f:seek("set", -1))
  lu.assertEquals(f:seek("set", 2 ^ 40), 2 ^ 40)
  f:close()
end)

T.test_misuse_of_the_methods_is_named = (function()
  local path, f = os.tmpname(), nil
  local list = check.misuses {
    function() f:seek("start") end, "bad argument #1 'whence' to 'seek' ('set', 'cur' or 'end' expected, got start)",
    function() f:seek("set", 0.5) end, "bad argument #2 'offset' to 'seek' (integer of at least -9.0072e+15 expected, got 0.5)",
    function() f:set_len(-1) end, "bad argument #1 'size' to 'set_len' (integer of at least 0 expected, got -1)",
    function() f:set_max_buf_size(0) end,
    "bad argument #1 'n' to 'set_max_buf_size' (integer from 1 to 2147483647 expected, got 0)",
    function() aw.memory().into_unwritten(aw.memory()) end,
    "bad self to 'into_unwritten' (there is no file at the end of its chain)",
    function() f = aw.buf_writer(f) f:into_unwritten() end,
    "bad self to 'into_unwritten' (a buf_writer is around the file: into_parts first)",
  }
  return function()
    aw.run(function() f = assert(aw.file.open(path, "w+")) end)
    list()
    f:close()
    os.remove(path)
  end
end)()

T.test_wrappers_are_flushed_before_seek_and_sync_and_what_was_read_ahead_is_dropped = in_task(function()
  local path = scratch("one\ntwo\nthree\n")
  local f = aw.buf_reader(aw.buf_writer(assert(aw.file.open(path, "r+")), 100), 8)
  lu.assertEquals(f:read_line(), "one")
  lu.assertEquals(f:seek("cur"), 4, "where the reader is, not where its buffer ends")
  assert(f:write_all("TWO"))
  lu.assertEquals(f:seek("cur", 1), 8)
  lu.assertEquals(f:read_line(), "three")
  assert(f:write_all("four\n"))
  lu.assertEquals(f:buffered(), 5)
  assert(f:sync_data())
  lu.assertEquals(f:buffered(), 0)
  f:close()
  lu.assertEquals(read_back(path), "one\nTWO\nthree\nfour\n")
end)

T.test_a_file_that_grows_is_read_on = in_task(function()
  local path = scratch("one")
  local r, w = assert(aw.file.open(path)), assert(aw.file.open(path, "a"))
  lu.assertEquals(r:read_to_end(), "one")
  lu.assertNil((r:read()))
  assert(w:write_all("two") and w:flush())
  lu.assertEquals(r:read(), "two")
  r:close()
  w:close()
end)

T.test_many_files_are_copied_at_once = in_task(function()
  local data, tasks = check.pattern(700000), {}
  local from = scratch(data)
  for i = 1, 20 do
    tasks[i] = aw.spawn(function()
      local path = scratch()
      local r, w = assert(aw.file.open(from)), assert(aw.file.create(path))
      assert(aw.copy(r, w, 10000 + i))
      assert(w:shutdown())
      r:close()
      w:close()
      check.same_bytes(read_back(path), data)
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
end)

T.test_other_tasks_run_while_a_file_is_written = in_task(function()
  local f, turns = assert(aw.file.create(scratch())), 0
  local ticker = aw.spawn(function()
    while true do
      turns = turns + 1
      aw.yield()
    end
  end)
  for _ = 1, 5 do
    local before = turns
    assert(f:write_all(("x"):rep(1000000)) and f:flush())
    lu.assertTrue(turns > before)
  end
  ticker:cancel()
  f:close()
end)

T.test_try_write_takes_one_piece_and_says_EAGAIN_until_it_is_written = in_task(function()
  local path = scratch()
  local f = assert(aw.file.open(path, "w+"))
  lu.assertEquals(f:try_write("abc"), 3)
  fails("EAGAIN", f:try_write("d"))
  assert(f:flush())
  lu.assertEquals(f:try_write("d"), 1)
  assert(f:flush())
  assert(f:seek("set"))
  fails("EAGAIN", f:try_read()) -- it starts the read
  check.eventually(function() return f:try_read() == "abcd" end)
  f:close()
end)

-- ---- cancelling at every await ----

T.test_every_wait_can_be_cancelled_and_the_file_goes_on = in_task(function()
  local path = scratch()
  local f = assert(aw.file.open(path, "w+"))
  local text = check.pattern(300000)
  assert(f:write_all(text) and f:flush())
  local waits = {
    read = function() f:read(1000) end,
    write = function() f:write_all(text, text, text, text, text, text, text, text) end,
    flush = function() f:write("x") f:flush() end,
    seek = function() f:seek("cur", 1) end,
    set_len = function() f:set_len(#text) end,
    sync_all = function() f:sync_all() end,
    sync_data = function() f:write("y") f:sync_data() end,
    open = function() aw.file.open(path) end,
  }
  local before = check.fd_count()
  for name, wait in pairs(waits) do
    for turns = 1, 3 do
      local task = aw.spawn(wait)
      for _ = 1, turns do aw.yield() end
      task:cancel()
      lu.assertTrue(task:is_done(), name)
      assert(f:seek("set", 0), name)
      assert(f:set_len(0), name)
      assert(f:write_all(text) and f:flush(), name)
      assert(f:seek("set", 0), name)
      check.same_bytes(f:read_to_end(), text)
    end
  end
  check.eventually(function() return check.fd_count() <= before end) -- those whose opening was cancelled
  f:close()
end)

T.test_a_deadline_cuts_a_wait_on_a_file = in_task(function()
  local f = assert(aw.file.create(scratch()))
  f:set_deadline(0)
  local ok, _, code = f:write_all(("x"):rep(20000000))
  lu.assertNil(ok)
  lu.assertEquals(code, "ETIMEDOUT")
  f:set_deadline(nil)
  assert(f:write_all("goes on") and f:shutdown())
  f:close()
end)

T.test_close_wakes_who_waits_with_ECANCELED = in_task(function()
  local f = assert(aw.file.create(scratch()))
  local writer = aw.spawn(function() return f:write_all(("x"):rep(30000000)) end)
  aw.yield()
  f:close()
  fails("ECANCELED", writer:join())
end)

-- ---- what close leaves behind ----

-- A script with path and data; what it accepted must be in the file afterwards, and nothing be said.
local function leaves_everything(script)
  local path = scratch("")
  local out = child.check(([[
    local aw = require "asyncwrite"
    local path, data = %q, ("0123456789abcdef"):rep(100000)
  ]]):format(path) .. script)
  check.same_bytes(read_back(path), ("0123456789abcdef"):rep(100000))
  return out
end

T["test_S11_close_with_a_write_under_way_leaves_it_to_the_pool"] = function()
  leaves_everything [[aw.run(function()
    local f = assert(aw.file.create(path))
    assert(f:poll_write(data) == #data)
    f:close()
  end)]]
end

T["test_S11_a_collected_file_finishes_its_write_without_a_warning"] = function()
  leaves_everything [[aw.run(function()
    assert(aw.file.create(path)):poll_write(data)
    collectgarbage()
    collectgarbage()
  end)]]
end

T["test_S11_a_write_under_way_survives_the_end_of_the_program"] = function()
  leaves_everything [[aw.run(function() kept = assert(aw.file.create(path)) kept:poll_write(data) end)]]
  leaves_everything [[aw.run(function() kept = assert(aw.file.create(path)) kept:poll_write(data) end) os.exit(0)]]
  leaves_everything [[pcall(aw.run, function()
    kept = assert(aw.file.create(path))
    kept:poll_write(data)
    error("stop")
  end)]]
end

local function lost(script)
  return child.run(child.posix_text() .. [[
    local aw = require "asyncwrite"
    local path = os.tmpname()
    aw.run(function()
      f = assert(aw.file.create(path))
      os.remove(path)
      posix.limit_file_size(1000)
      assert(f:poll_write(("x"):rep(1050)) == 1050)
      ]] .. script .. [[
    end)]])
end

T["test_S11_bytes_lost_after_close_are_warned_of"] = function()
  local result = lost "f:close()"
  lu.assertStrMatches(result.err, "asyncwrite: 50 bytes lost: file /[^:]+: EFBIG: file too large\n")
  lu.assertEquals(result.code, 0)
  result = lost "f = nil collectgarbage() collectgarbage()"
  lu.assertStrMatches(result.err, "asyncwrite: 50 bytes lost: file /[^:]+: EFBIG: file too large\n")
end

T["test_S11_a_loss_that_was_told_is_told_no_more_by_close_and_once_by_the_collector"] = function()
  lu.assertEquals(lost("f:flush() f:close()").err, "")
  local err = lost("f:flush() f = nil collectgarbage() collectgarbage()").err
  lu.assertStrMatches(err, "asyncwrite: 50 bytes lost: file /[^,]+, made at [^\n]+, was dropped without flush or shutdown\n")
end

-- ---- full disks ----

T["test_F7_a_full_disk_is_ENOSPC_and_a_retry_succeeds_when_there_is_room"] = in_task(function()
  local folder = scratch()
  os.remove(folder)
  local mounted = child.sh(("mkdir %s && mount -t tmpfs -o size=64k asyncwrite %s"):format(folder, folder))
  if mounted.code ~= 0 then
    child.sh("rmdir " .. folder)
    child.skip("no file system can be mounted here: " .. mounted.err)
  end
  local ok, err = pcall(function()
    local filler = assert(io.open(folder .. "/filler", "w"))
    filler:write(("f"):rep(16 * 1024))
    filler:close()
    local f, data = assert(aw.file.open(folder .. "/file", "w+")), check.pattern(60 * 1024)
    local accepted, code = 0, nil
    while accepted < #data and not code do
      local n, _, why = f:write(data, accepted + 1, math.min(#data, accepted + 10000))
      code = why
      accepted = accepted + (n or 0)
    end
    if not code then code = select(3, f:flush()) end
    lu.assertEquals(code, "ENOSPC")
    local kept = f:buffered()
    lu.assertTrue(kept > 0)
    fails("ENOSPC", f:flush())
    lu.assertEquals(f:buffered(), kept)
    os.remove(folder .. "/filler")
    assert(f:write_all(data:sub(accepted + 1)))
    assert(f:sync_all())
    lu.assertEquals(f:buffered(), 0)
    f:seek("set")
    check.same_bytes(f:read_to_end(), data)
    f:close()
  end)
  child.sh(("umount %s; rmdir %s"):format(folder, folder))
  if not ok then error(err, 0) end
end)

T.test_SIGXFSZ_does_not_end_the_process_though_the_pool_was_started_with_signals_open = function()
  child.check(child.posix_text() .. [[
    local luv_found, uv = pcall(require, "luv")
    if luv_found then -- its first use of the pool starts the threads, with this thread's mask
      uv.fs_stat("/", function() end)
      uv.run()
    end
    local aw = require "asyncwrite"
    if luv_found then require "asyncwrite.host.luv" end
    local path = os.tmpname()
    aw.run(function()
      local f = assert(aw.file.create(path))
      os.remove(path)
      posix.limit_file_size(10)
      f:write("12345678901234567890")
      local ok, _, code = f:flush()
      assert(ok == nil and code == "EFBIG", code)
      f:close()
    end)
  ]])
end

-- ---- leaks and forks ----

T.test_files_leave_no_descriptor_and_no_memory_behind = in_task(function()
  local path = scratch("x")
  local function round()
    local f = assert(aw.file.open(path, "r+"))
    assert(f:write_all("abc") and f:flush() and f:seek("set") and f:read(2))
    f:close()
    fails("ENOENT", aw.file.open("/nonexistent"))
  end
  for _ = 1, 50 do round() end
  collectgarbage()
  local before = { check.fd_count(), check.resident() }
  for _ = 1, 500 do round() end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(check.fd_count(), before[1])
  if not child.sanitized then lu.assertTrue(check.resident() - before[2] < 2048) end
end)

function T.test_a_forked_child_is_refused_and_the_parent_goes_on()
  child.check(child.posix_text() .. [[
    local aw = require "asyncwrite"
    local path = os.tmpname()
    aw.run(function()
      local f = assert(aw.file.open(path, "w+"))
      os.remove(path)
      assert(f:write_all("abc") and f:flush())
      local pid = posix.fork()
      if pid == 0 then
        local n, _, code = f:poll_write("child")
        posix.exit(n == nil and code == "EPERM" and 0 or 1)
      end
      assert(posix.wait(pid) == 0)
      assert(f:write_all("def") and f:seek("set"))
      assert(f:read_to_end() == "abcdef")
      f:close()
    end)
  ]])
end

return T
