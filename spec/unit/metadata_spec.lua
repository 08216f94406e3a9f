-- SPDX-License-Identifier: MIT
-- What the system knows of files: aw.file.metadata and file:metadata.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local T = {}
local dir

function T.setUp()
  local pipe = assert(io.popen("mktemp -d"))
  dir = assert(pipe:read("*l"))
  pipe:close()
end

function T.tearDown() os.execute("rm -rf " .. child.quote(dir)) end

local function sh(command) return (child.sh("cd " .. dir .. " && " .. command).out:gsub("\n$", "")) end

T.test_it_tells_type_size_mode_and_time = in_task(function()
  sh "printf hello >file; chmod 640 file; touch -d @1000000000.5 file; mkfifo fifo"
  local file = assert(aw.file.metadata(dir .. "/file"))
  lu.assertEquals({ file.type, file.size, file.mode, file.mtime }, { "file", 5, 416, 1000000000.5 })
  for path, expected in pairs { [dir] = "directory", [dir .. "/fifo"] = "fifo", ["/dev/null"] = "char" } do
    lu.assertEquals(assert(aw.file.metadata(path)).type, expected)
  end
  local server = assert(aw.unix.listen(dir .. "/socket"))
  lu.assertEquals(assert(aw.file.metadata(dir .. "/socket")).type, "socket")
  server:close()
end)

T.test_names_of_one_file_have_the_same_dev_and_ino_and_others_have_not = in_task(function()
  sh "touch a b; ln a hard; ln -s a soft"
  local function id(name)
    local m = assert(aw.file.metadata(dir .. "/" .. name))
    return ("%.0f:%.0f"):format(m.dev, m.ino)
  end
  lu.assertEquals({ id "hard", id "soft" }, { id "a", id "a" })
  lu.assertNotEquals(id "b", id "a")
  local open = assert(aw.file.open(dir .. "/a"))
  os.rename(dir .. "/b", dir .. "/a")
  local m = assert(open:metadata())
  lu.assertEquals(("%.0f:%.0f"):format(m.dev, m.ino), id "hard") -- what is open stays what it is
  open:close()
end)

T.test_what_was_accepted_counts = in_task(function()
  local w = aw.buf_writer(assert(aw.file.create(dir .. "/new")), 100)
  assert(w:write_all("hello"))
  lu.assertEquals(assert(w:metadata()).size, 5)
  assert(w:set_len(2))
  lu.assertEquals(assert(w:metadata()).size, 2)
  w:close()
  local full = assert(aw.file.open("/dev/full", "w"))
  if full:kind() == "file" then
    full:write_all("x")
    fails("ENOSPC", full:metadata())
    lu.assertEquals(full:into_unwritten(), "x")
  end
end)

T.test_what_cannot_be_asked_is_told = in_task(function()
  fails("ENOENT", aw.file.metadata(dir .. "/nosuch"))
  fails("ENOTDIR", aw.file.metadata("/dev/null/x"))
  fails("ENAMETOOLONG", aw.file.metadata("/" .. ("x"):rep(5000)))
end)

T.test_who_stops_waiting_leaves_nothing_behind = in_task(function()
  collectgarbage()
  local file, before = assert(aw.file.create(dir .. "/new")), check.fd_count()
  for _ = 1, 50 do
    aw.first(function() return aw.file.metadata(dir) end, function() end)
    aw.first(function() return file:metadata() end, function() end)
  end
  collectgarbage()
  check.eventually(function() return check.fd_count() <= before end)
  file:close()
end)

T.test_an_open_file_that_was_asked_has_no_second_descriptor_until_the_collector_comes = in_task(function()
  local file = assert(aw.file.create(dir .. "/new"))
  collectgarbage()
  local before = check.fd_count()
  collectgarbage "stop"
  for _ = 1, 20 do assert(file:metadata()) end
  local after = check.fd_count()
  collectgarbage "restart"
  lu.assertEquals(after, before)
  file:close()
end)

T.test_misuse = check.misuses {
  function() aw.file.metadata(5) end, "bad argument #1 'path' to 'metadata' (string expected, got number)",
  function() aw.file.metadata("a\0b") end, "bad argument #1 'path' to 'metadata' (it holds a zero byte)",
  function() aw.sink():metadata() end, "bad self to 'metadata' (there is no file at the end of its chain)",
}

function T.test_outside_a_task_it_is_misuse()
  check.raises(function() aw.file.metadata(dir) end, "metadata")
end

return T
