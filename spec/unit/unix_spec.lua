-- SPDX-License-Identifier: MIT
-- unix: paths and who removes them, abstract names, credentials, pairs.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local T = { tearDown = child.reap }

local function exists(path)
  return child.sh("test -e " .. child.quote(path)).code == 0
end

-- f(path) with a path that is free and is freed afterwards.
local function with_path(f)
  return in_task(function()
    local path = os.tmpname()
    os.remove(path)
    local ok, err = pcall(f, path)
    os.remove(path)
    if not ok then error(err, 0) end
  end)
end

local function connected(path)
  local listener = assert(aw.unix.listen(path))
  local near = assert(aw.unix.connect(path))
  return near, assert(listener:accept()), listener
end

T.test_a_connection_by_path_carries_bytes_and_both_ends_know_the_path = with_path(function(path)
  local near, far, listener = connected(path)
  lu.assertEquals(near:peer_addr(), path)
  lu.assertEquals(far:local_addr(), path)
  lu.assertEquals(listener:local_addr(), path)
  lu.assertEquals(near:local_addr(), "")
  lu.assertEquals(tostring(aw.buf_writer(near, 9)), "buf_writer(9) > unix " .. path)
  far:write_all("hello")
  far:shutdown()
  far:close()
  listener:close()
end)

T.test_close_of_a_listener_removes_its_file = with_path(function(path)
  local listener = assert(aw.unix.listen(path))
  lu.assertTrue(exists(path))
  listener:close()
  lu.assertFalse(exists(path))
end)

T.test_close_leaves_a_file_alone_that_took_the_place_of_its_own = with_path(function(path)
  local listener = assert(aw.unix.listen(path))
  os.remove(path)
  local other = assert(aw.unix.listen(path))
  listener:close()
  lu.assertTrue(exists(path))
  local near = assert(aw.unix.connect(path), "the other listener still answers")
  near:close()
  other:close()
  lu.assertFalse(exists(path))
end)

T.test_a_path_in_use_or_left_behind_is_EADDRINUSE_and_stays = with_path(function(path)
  local listener = assert(aw.unix.listen(path))
  fails("EADDRINUSE", aw.unix.listen(path))
  lu.assertTrue(exists(path))
  local near = assert(aw.unix.connect(path), "the first listener still answers")
  near:close()
  listener:close()
  -- A process that was killed leaves its file behind.
  local peer = child.start(([[
    local aw = require "asyncwrite"
    aw.run(function()
      local listener = assert(aw.unix.listen(%q))
      io.stdout:write("ready\n")
      io.stdout:flush()
      listener:accept()
    end)
  ]]):format(path))
  lu.assertEquals(peer:line(), "ready")
  peer:kill()
  peer:wait()
  lu.assertTrue(exists(path))
  fails("EADDRINUSE", aw.unix.listen(path))
  fails("ECONNREFUSED", aw.unix.connect(path))
  lu.assertTrue(exists(path), "it is not ours: who owns it decides")
end)

T.test_a_listener_that_is_collected_removes_its_file_too = with_path(function(path)
  assert(aw.unix.listen(path))
  collectgarbage()
  collectgarbage()
  lu.assertFalse(exists(path))
end)

function T.test_a_child_that_ends_normally_removes_its_file()
  local path = os.tmpname()
  os.remove(path)
  child.check(([[
    local aw = require "asyncwrite"
    listener = assert(aw.unix.listen(%q))
    os.exit(0, true)
  ]]):format(path))
  lu.assertFalse(exists(path))
end

T.test_an_abstract_name_needs_no_file = in_task(function()
  local name = "\0asyncwrite-spec-" .. check.pid() .. "\0with a zero"
  local near, far, listener = connected(name)
  lu.assertEquals(near:peer_addr(), name)
  lu.assertStrContains(tostring(near), "unix @asyncwrite-spec-")
  near:write_all("x")
  lu.assertEquals(far:read_exact(1), "x")
  fails("EADDRINUSE", aw.unix.listen(name))
  listener:close()
  assert(aw.unix.listen(name)):close() -- it went with its listener
end)

T.test_peer_cred_names_the_process_at_the_other_end = with_path(function(path)
  local near, far, listener = connected(path)
  for _, s in ipairs { near, far } do
    local cred = s:peer_cred()
    lu.assertEquals(cred.pid, check.pid())
    lu.assertEquals(math.type and math.type(cred.uid) or "integer", "integer")
    lu.assertNotNil(cred.gid)
  end
  local peer = child.start(([[
    local aw = require "asyncwrite"
    aw.run(function() assert(aw.unix.connect(%q)):read() end)
  ]]):format(path))
  local stream = listener:accept()
  lu.assertEquals(stream:peer_cred().pid, peer.pid)
  stream:close()
  peer:wait()
  listener:close()
end)

T.test_paths_that_cannot_be_are_failures = in_task(function()
  fails("EINVAL", aw.unix.listen(""))
  fails("EINVAL", aw.unix.connect("with\0zero"))
  fails("ENAMETOOLONG", aw.unix.connect("/tmp/" .. ("x"):rep(120)))
  fails("ENAMETOOLONG", aw.unix.listen("\0" .. ("x"):rep(120)))
  fails("ENOENT", aw.unix.connect("/tmp/asyncwrite-nobody-" .. check.pid()))
end)

T.test_the_longest_path_works = in_task(function()
  local path = "/tmp/" .. check.pid()
  path = path .. ("x"):rep(107 - #path) -- and the zero
  os.remove(path)
  local near, far, listener = connected(path)
  lu.assertEquals(far:local_addr(), path)
  near:close()
  far:close()
  listener:close()
  lu.assertFalse(exists(path))
end)

T.test_a_pair_is_two_connected_streams = in_task(function()
  local near, far = assert(aw.unix.pair())
  local data = check.pattern(900000)
  local _, got = aw.all(function() return near:write_all(data) and near:shutdown() end,
    function() return far:read_to_end() end)
  check.same_bytes(got, data)
  far:write_all("back")
  lu.assertEquals(near:read_exact(4), "back")
  far:close()
  lu.assertNil((near:read()))
end)

-- recv stops behind the bytes that came with a descriptor although more is queued.
T.test_a_short_read_at_a_passed_descriptor_is_not_taken_for_the_last = in_task(function()
  local near, far = assert(aw.unix.pair())
  local posix = child.posix()
  local reader = aw.spawn(function() return far:read() end)
  check.settle()
  near:write_all("waited")
  lu.assertEquals(reader:join(), "waited") -- from here on the loop watches the socket
  posix.send_fd(near:fd(), "one")
  near:write_all("two")
  aw.sleep(0.01) -- the loop has reported all of it
  lu.assertEquals(far:read_exact(6), "onetwo")
end)

T.test_a_full_socket_waits_and_goes_on_when_the_peer_reads = in_task(function()
  local near, far = assert(aw.unix.pair())
  local size = 4 * 1024 * 1024
  local writer = aw.spawn(function() return near:write_all(("z"):rep(size)) end)
  check.settle()
  lu.assertFalse(writer:is_done())
  lu.assertEquals(#far:read_exact(size), size)
  lu.assertTrue(writer:join())
end)

return T
