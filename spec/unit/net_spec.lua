-- SPDX-License-Identifier: MIT
-- tcp: connecting, options and names, half-close, large transfers, many connections. Faults are in net_fault_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local fails, in_task = check.fails, check.in_task
local T = {}

local function listen(options)
  local listener = assert(aw.tcp.listen("127.0.0.1", 0, options))
  local _, port = listener:local_addr()
  return listener, port
end

-- Two ends of one connection on loopback.
local function connected()
  local listener, port = listen()
  local far = aw.spawn(function() return assert(listener:accept()) end)
  local near = assert(aw.tcp.connect("127.0.0.1", port))
  far = far:join()
  listener:close()
  return near, far
end

-- ---- connecting ----

T.test_a_connection_carries_bytes_both_ways_and_ends_with_end_of_file = in_task(function()
  local near, far = connected()
  lu.assertTrue(near:write_all("ping", "\n"))
  lu.assertEquals(far:read_line(), "ping")
  lu.assertTrue(far:write_all("pong\n"))
  lu.assertEquals(near:read_line(), "pong")
  lu.assertTrue(near:shutdown())
  lu.assertNil((far:read()))
  far:close()
  near:close()
end)

T.test_ipv6_works_like_ipv4 = in_task(function()
  local listener, message = aw.tcp.listen("::1", 0)
  if not listener then child.skip("no IPv6 loopback: " .. message) end
  local host, port = listener:local_addr()
  lu.assertEquals(host, "::1")
  local far = aw.spawn(function() return assert(listener:accept()) end)
  local near = assert(aw.tcp.connect("::1", port))
  lu.assertEquals(tostring(near), ("tcp [::1]:%d"):format(port))
  near:write_all("six")
  lu.assertEquals(far:join():read_exact(3), "six")
end)

T.test_a_listener_on_every_address_is_reached_by_loopback = in_task(function()
  local listener = assert(aw.tcp.listen("0.0.0.0", 0))
  local host, port = listener:local_addr()
  lu.assertEquals(host, "0.0.0.0")
  local near = assert(aw.tcp.connect("127.0.0.1", tostring(port)))
  lu.assertEquals({ near:peer_addr() }, { "127.0.0.1", port })
  listener:close()
end)

T.test_a_refused_connection_is_a_failure_and_leaks_no_descriptor = in_task(function()
  local listener, port = listen()
  listener:close()
  collectgarbage()
  local before = check.fd_count()
  for _ = 1, 20 do fails("ECONNREFUSED", aw.tcp.connect("127.0.0.1", port)) end
  lu.assertTrue(check.fd_count() <= before)
end)

T.test_a_connect_cut_by_a_timeout_leaks_no_descriptor = in_task(function()
  -- A listener whose backlog is full answers no more: connecting takes for ever.
  local listener, port = listen { backlog = 1 }
  local connections, cut, before = {}, 0, nil
  collectgarbage()
  for i = 1, 8 do
    if cut == 0 then before = check.fd_count() end
    local stream, _, code = aw.timeout(0.1, function() return aw.tcp.connect("127.0.0.1", port) end)
    if not stream then
      lu.assertEquals(code, "ETIMEDOUT")
      cut = cut + 1
    end
    connections[i] = stream or nil
  end
  lu.assertTrue(cut >= 2 and #connections >= 1)
  collectgarbage()
  lu.assertTrue(check.fd_count() <= before)
  listener:close()
end)

T.test_bind_chooses_the_local_address = in_task(function()
  local listener, port = listen()
  local near = assert(aw.tcp.connect("127.0.0.1", port, { bind = "127.0.0.7" }))
  lu.assertEquals((near:local_addr()), "127.0.0.7")
  lu.assertEquals((listener:accept():peer_addr()), "127.0.0.7")
  fails("EADDRNOTAVAIL", aw.tcp.connect("127.0.0.1", port, { bind = "192.0.2.1" }))
  listener:close()
end)

T.test_reuseport_lets_two_listeners_share_a_port = in_task(function()
  local one, port = listen { reuseport = true }
  local two = assert(aw.tcp.listen("127.0.0.1", port, { reuseport = true }))
  fails("EADDRINUSE", aw.tcp.listen("127.0.0.1", port))
  one:close()
  two:close()
end)

-- ---- names with several addresses, through a resolver of our own ----

local function with_resolver(script)
  return child.check([[
    local aw = require "asyncwrite"
    local function fails(code, value, message, got)
      assert(value == nil and got == code, tostring(message))
    end
  ]] .. script, { preload = child.compile("preload_dns", "-ldl") })
end

function T.test_every_address_of_a_name_is_tried_until_one_answers()
  lu.assertEquals(with_resolver [[
    aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      local near = assert(aw.tcp.connect("many.test", port)) -- ::1 and 127.0.0.9 refuse
      print((near:peer_addr()))
      listener:close()
      fails("ECONNREFUSED", aw.tcp.connect("many.test", port))
      local six = assert(aw.tcp.listen("::1", port))
      print((assert(aw.tcp.connect("many.test", port)):peer_addr()))
    end)
  ]], "127.0.0.1\n::1\n")
end

function T.test_failures_of_the_resolver_are_failures_of_connect()
  with_resolver [[
    aw.run(function()
      fails("EAI_NONAME", aw.tcp.connect("nobody.test", 80))
      fails("EAI_AGAIN", aw.tcp.connect("again.test", 80))
      fails("EAI_NONAME", aw.tcp.listen("nobody.test", 80))
    end)
  ]]
end

function T.test_a_look_up_does_not_block_other_tasks_and_can_be_cancelled()
  with_resolver [[
    local others = 0
    aw.run(function()
      local ticker = aw.spawn(function()
        while true do aw.sleep(0.005) others = others + 1 end
      end)
      fails("ECONNREFUSED", aw.tcp.connect("slow.test", 1))
      assert(others > 3, others)
      fails("ETIMEDOUT", aw.timeout(0.01, function() return aw.tcp.connect("slow.test", 1) end))
      ticker:cancel()
    end)
    -- lua_close comes while a look-up is still in flight
    aw.run(function() aw.timeout(0.01, function() return aw.tcp.connect("slow.test", 1) end) end)
  ]]
end

-- ---- options and names ----

T.test_options_of_a_socket_read_back_what_was_set = in_task(function()
  local near, far = connected()
  lu.assertTrue(near:set_nodelay(true))
  lu.assertTrue(near:nodelay())
  near:set_nodelay(false)
  lu.assertFalse(near:nodelay())
  lu.assertTrue(near:set_keepalive(true, 30, 5, 3))
  lu.assertTrue(near:keepalive())
  near:set_keepalive(false)
  lu.assertFalse(near:keepalive())
  lu.assertNil(near:linger())
  lu.assertTrue(near:set_linger(3))
  lu.assertEquals(near:linger(), 3)
  near:set_linger(nil)
  lu.assertNil(near:linger())
  lu.assertTrue(near:set_send_buffer_size(8192))
  lu.assertTrue(near:set_recv_buffer_size(8192))
  far:close()
end)

T.test_options_and_names_reach_through_wrappers = in_task(function()
  local near, far = connected()
  local host, port = near:local_addr()
  local fd = near:fd()
  local w = aw.buf_reader(aw.buf_writer(near, 64))
  lu.assertEquals({ w:local_addr() }, { host, port })
  lu.assertEquals({ far:peer_addr() }, { host, port })
  lu.assertEquals(w:fd(), fd)
  lu.assertTrue(w:set_nodelay(true))
  local r = aw.split(w)
  lu.assertEquals({ r:local_addr() }, { host, port })
end)

T.test_tostring_shows_the_chain_down_to_the_peer = in_task(function()
  local near, far = connected()
  local _, port = near:peer_addr()
  local w = aw.buf_writer(near, 512)
  lu.assertEquals(tostring(w), ("buf_writer(512) > tcp 127.0.0.1:%d"):format(port))
  far:close()
  w:close()
end)

-- ---- shutdown ----

T.test_S7_after_shutdown_reading_goes_on_until_the_peer_ends = in_task(function()
  local near, far = connected()
  near:write_all("question")
  lu.assertTrue(near:shutdown())
  lu.assertEquals(far:read_to_end(), "question")
  far:write_all("answer")
  lu.assertEquals(near:read_exact(6), "answer")
  far:shutdown()
  lu.assertNil((near:read()))
end)

T.test_S4_S6_double_shutdown_succeeds_and_writes_after_it_are_EPIPE = in_task(function()
  local near, far = connected()
  lu.assertTrue(near:shutdown())
  lu.assertTrue(near:shutdown())
  fails("EPIPE", near:write("x"))
  fails("EPIPE", near:write(""))
  lu.assertEquals(fails("EPIPE", near:write_all("x")), 0)
  fails("EPIPE", near:try_write("x"))
  lu.assertTrue(near:flush())
  lu.assertNil((far:read()))
end)

T.test_S5_shutdown_after_the_peer_reset_succeeds = in_task(function()
  local near, far = connected()
  far:set_linger(0)
  far:close()
  check.eventually(function() return near:try_write("x") == nil end)
  lu.assertTrue(near:shutdown())
end)

T.test_the_write_half_alone_closed_sends_the_end_and_the_read_half_lives_on = in_task(function()
  local near, far = connected()
  local r, w = aw.split(near)
  w:write_all("last")
  w:close()
  lu.assertEquals(far:read_to_end(), "last")
  far:write_all("still")
  lu.assertEquals(r:read_exact(5), "still")
end)

-- ---- bulk ----

T.test_large_transfers_in_both_directions_at_once_arrive_intact = in_task(function()
  local near, far = connected()
  local size = 6 * 1024 * 1024
  local there, back = check.pattern(size), check.pattern(size + 1):reverse()
  local function send(w, data)
    return function()
      assert(w:write_all(data:sub(1, 100), data:sub(101, 70000), data:sub(70001)))
      return w:shutdown()
    end
  end
  local sent, returned, got, answer = aw.all(send(near, there), send(far, back),
    function() return far:read_to_end(size * 2) end, function() return near:read_to_end(size * 2) end)
  lu.assertTrue(sent and returned)
  check.same_bytes(got, there)
  check.same_bytes(answer, back)
end)

T.test_vectored_writes_into_tiny_kernel_buffers_arrive_intact = in_task(function()
  local near, far = connected()
  near:set_send_buffer_size(1)
  far:set_recv_buffer_size(1) -- the kernel rounds both up to its least
  local data, list = check.pattern(30000), {}
  for i = 1, #data, 97 do list[#list + 1] = data:sub(i, i + 96) end
  local _, got = aw.all(function() return near:write_all_vectored(list) and near:shutdown() end,
    function() return far:read_to_end() end)
  check.same_bytes(got, data)
end)

T.test_copy_bidirectional_between_two_connections_moves_everything_and_closes_both = in_task(function()
  local a_near, a_far = connected()
  local b_near, b_far = connected()
  local there, back = check.pattern(700000), check.pattern(300000):reverse()
  local proxy = aw.spawn(function() return aw.copy_bidirectional(a_far, b_near, 4096) end)
  local function send(w, data)
    return function() return w:write_all(data) and w:shutdown() end
  end
  local _, _, got, answer = aw.all(send(a_near, there), send(b_far, back), function() return b_far:read_to_end() end,
    function() return a_near:read_to_end() end)
  check.same_bytes(got, there)
  check.same_bytes(answer, back)
  lu.assertEquals({ proxy:join() }, { #there, #back })
end)

return T
