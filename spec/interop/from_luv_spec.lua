-- SPDX-License-Identifier: MIT
-- from_luv: handles of luv taken over as streams.

local luv = require "support.luv"

local T = {}

-- serve(f): a luv server whose connections f gets as handles; it is closed after the first. Returns its port.
local SERVER = [[
  local function serve(f)
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(16, function()
      local handle = uv.new_tcp()
      server:accept(handle)
      f(handle)
      server:close()
    end)
    return server:getsockname().port
  end
  local data = ("0123456789abcdef"):rep(1000000)
]]

function T.test_from_luv_takes_a_tcp_handle_over_in_both_directions()
  luv.check(SERVER .. [[
    assert(aw.from_luv == luv.from_luv)
    local served
    local port = serve(function(handle)
      local fd = handle:fileno()
      local conn = assert(aw.from_luv(handle))
      assert(handle:is_closing())
      aw.spawn(function()
        assert(tostring(conn):find("^tcp 127.0.0.1:%d+$"), tostring(conn))
        assert(conn:set_nodelay(true) and conn:nodelay() and conn:fd() ~= fd)
        assert(select(2, conn:local_addr()) > 0)
        local got = assert(conn:read_exact(#data))
        assert(conn:write_all(got))
        assert(conn:shutdown())
        assert(conn:read() == nil)
        served = got == data
      end)
    end)
    assert(aw.run(function()
      local conn = assert(aw.tcp.connect("127.0.0.1", port))
      local _, back = aw.all(function() return conn:write_all(data) end, function() return conn:read_to_end() end)
      assert(conn:shutdown())
      return back == data
    end))
    uv.run()
    assert(served)
  ]])
end

function T.test_from_luv_sends_what_luv_has_queued_first()
  luv.check(SERVER .. [[
    local port = serve(function(handle)
      for _ = 1, 4 do handle:write(data) end
      local queued = handle:get_write_queue_size()
      assert(queued > 0)
      raises(("from_luv: %d bytes are not written yet; call it in a task, to wait"):format(queued), aw.from_luv, handle)
      assert(not handle:is_closing())
      aw.spawn(function()
        local conn = assert(aw.from_luv(handle))
        assert(conn:write_all("the end"))
        conn:close()
      end)
    end)
    aw.run(function()
      local conn = assert(aw.tcp.connect("127.0.0.1", port))
      aw.sleep(0.05)
      local got = conn:read_to_end()
      assert(got == data:rep(4) .. "the end", #got)
    end)
  ]])
end

function T.test_from_luv_tells_when_what_was_queued_cannot_be_sent()
  luv.check(SERVER .. [[
    local message, code
    local sigpipe = uv.new_signal() -- luv's own writes raise it
    sigpipe:start("sigpipe")
    sigpipe:unref()
    local port = serve(function(handle)
      for _ = 1, 4 do handle:write(data) end
      aw.spawn(function()
        local _
        _, message, code = aw.from_luv(handle)
        assert(not handle:is_closing())
        handle:close()
      end)
    end)
    aw.run(function()
      local conn = assert(aw.tcp.connect("127.0.0.1", port))
      aw.sleep(0.05)
      conn:set_linger(0)
      conn:close()
    end)
    uv.run()
    assert(code == "ECONNRESET" or code == "EPIPE" or code == "ECANCELED", message)
    assert(message:find(code .. ": ", 1, true) == 1, message)
  ]])
end

function T.test_from_luv_takes_pipes_over_and_loses_nothing_that_luv_has_not_read()
  luv.check [[
    local fds = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
    local a, b = uv.new_pipe(), uv.new_pipe()
    a:open(fds[1])
    b:open(fds[2])
    local first
    b:read_start(function(_, data)
      first = data
      local stream = assert(aw.from_luv(b))
      aw.spawn(function()
        assert(stream:read_exact(6) == "second")
        assert(stream:write_all("back"))
        stream:close()
      end)
      uv.update_time()
    end)
    local back
    a:write("first ", function() after(10, function() a:write("second") end) end)
    a:read_start(function(_, data)
      if data then back = data else a:close() end
    end)
    uv.run()
    assert(first == "first " and back == "back", back)
    -- One way: the half that the descriptor lacks is missing.
    local pipe = uv.pipe()
    local r, w = uv.new_pipe(), uv.new_pipe()
    r:open(pipe.read)
    w:open(pipe.write)
    aw.run(function()
      local reader, writer = aw.from_luv(r), aw.from_luv(w)
      assert(not reader:is_writer() and not writer:is_reader())
      assert(writer:write_all("through"))
      writer:close()
      assert(reader:read_to_end() == "through")
    end)
  ]]
end

function T.test_from_luv_refuses_what_is_no_stream()
  luv.check [[
    local timer, tcp = uv.new_timer(), uv.new_tcp()
    raises("bad argument #1 'handle' to 'from_luv' (uv_tcp_t or uv_pipe_t expected, got timer)", aw.from_luv, timer)
    raises("bad argument #1 'handle' to 'from_luv' (uv_tcp_t or uv_pipe_t expected, got number)", aw.from_luv, 1)
    raises("bad argument #1 'handle' to 'from_luv' (uv_tcp_t or uv_pipe_t expected, got nil)", aw.from_luv)
    raises("it is not connected", aw.from_luv, tcp)
    tcp:close()
    raises("it is closing", aw.from_luv, tcp)
    timer:close()
    uv.run()
  ]]
end

return T
