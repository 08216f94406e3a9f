-- SPDX-License-Identifier: MIT
-- System calls that fail: strace makes them, every so often, in a child that moves bytes and compares them.

local lu = require "luaunit"
local child = require "support.child"

local T = {}

local PRELUDE = [[
  local aw = require "asyncwrite"
  local parts = {}
  for i = 1, 40000 do parts[i] = i .. ";" end
  local data = table.concat(parts)

  local function tcp_pair()
    local listener = assert(aw.tcp.listen("127.0.0.1", 0))
    local _, port = listener:local_addr()
    local near = assert(aw.tcp.connect("127.0.0.1", port))
    local far = assert(listener:accept())
    listener:close()
    return near, far
  end
  local function unix_pair() return assert(aw.unix.pair()) end
  local function pipe_pair()
    local r, w = assert(aw.pipe.pair())
    return w, r
  end

  -- Failures that pass are tried again from where the count says; others are raised.
  local passing, seen = { ENOBUFS = true, ENOMEM = true }, 0
  local function send(w)
    local at = 1
    while at <= #data do
      local stop = math.min(#data, at + 2999)
      local ok, message, code, accepted = w:write_all(data:sub(at, at + 99), data:sub(at + 100, stop))
      if ok then
        at = stop + 1
      else
        if not passing[code] or seen > 10000 then error(message, 0) end
        seen = seen + 1
        at = at + accepted
      end
    end
    return assert(w:shutdown())
  end
  local function receive(r)
    local got = {}
    while true do
      local s, message, code = r:read(1000)
      if s then
        got[#got + 1] = s
      elseif not code then
        return table.concat(got)
      else
        if not passing[code] or seen > 10000 then error(message, 0) end
        seen = seen + 1
      end
    end
  end
  local function transfer(w, r)
    local _, got = aw.all(function() return send(w) end, function() return receive(r) end)
    assert(got == data, "the bytes differ")
    w:close()
    r:close()
  end
]]

local works -- strace may be installed and yet forbidden to trace

-- Runs a script under strace, with the calls failing that way.
local function injected(inject, script)
  child.need("strace")
  child.not_sanitized("strace")
  if works == nil then works = child.sh("strace -o /dev/null true").code == 0 end
  if not works then child.skip("strace cannot trace here") end
  local calls = {}
  for _, rule in ipairs(inject) do calls[#calls + 1] = rule:match("^[^:]+") end
  local wrap = "strace -f -qq -o /dev/null -e trace=" .. table.concat(calls, ",") .. " -e signal=none"
  for _, rule in ipairs(inject) do wrap = wrap .. " -e inject=" .. rule end
  local result = child.run(PRELUDE .. script, { wrap = wrap, seconds = 120 })
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, "")
  lu.assertEquals(result.code, 0)
end

T["test_P6_EINTR_of_sending_receiving_connecting_and_accepting_is_never_seen"] = function()
  injected({
    "sendto,sendmsg,recvfrom:error=EINTR:when=3+5", "connect,accept4:error=EINTR:when=1+2",
    "epoll_wait,epoll_pwait:error=EINTR:when=2+3",
  }, [[
    aw.run(function()
      for _ = 1, 3 do transfer(tcp_pair()) end
      transfer(unix_pair())
      aw.sleep(0.005)
    end)
  ]])
end

-- read is also how Lua loads files: those calls come first and are left alone.
T["test_P6_EINTR_of_pipes_is_never_seen"] = function()
  injected({ "read:error=EINTR:when=200+3", "writev:error=EINTR:when=2+3" }, [[aw.run(function() transfer(pipe_pair()) end)]])
end

for _, code in ipairs { "ENOBUFS", "ENOMEM" } do
  T["test_" .. code .. "_is_told_with_the_count_and_passes"] = function()
    injected({ ("sendto,sendmsg,recvfrom:error=%s:when=3+7"):format(code) }, [[
      aw.run(function()
        transfer(tcp_pair())
        transfer(unix_pair())
      end)
      assert(seen > 10, seen)
    ]])
  end
end

T["test_any_other_failure_of_a_write_is_final"] = function()
  injected({ "sendto,sendmsg:error=EHOSTUNREACH:when=3" }, [[
    aw.run(function()
      local near, far = tcp_pair()
      local codes = {}
      for i = 1, 5 do codes[i] = select(3, near:write("x")) or "ok" end
      codes = table.concat(codes, " ")
      assert(codes == "ok ok EHOSTUNREACH EHOSTUNREACH EHOSTUNREACH", codes)
      assert(select(3, near:flush()) == "EHOSTUNREACH")
      far:write_all("reading goes on")
      assert(near:read_exact(15))
    end)
  ]])
end

T["test_any_other_failure_of_a_read_is_final"] = function()
  injected({ "recvfrom:error=EIO:when=2" }, [[
    aw.run(function()
      local near, far = tcp_pair()
      far:write_all("abc")
      local results = {}
      for i = 1, 4 do
        local s, _, code = near:read(1)
        results[i] = s or code
      end
      results = table.concat(results, " ")
      assert(results == "a EIO EIO EIO", results)
      assert(near:write_all("writing goes on"))
      assert(far:read_exact(15))
    end)
  ]])
end

-- serve goes on; each client is served in the end.
for _, code in ipairs { "ENFILE", "EMFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN" } do
  T["test_accept_that_fails_with_" .. code .. "_does_not_end_serving"] = function()
    injected({ ("accept4:error=%s:when=1+3"):format(code) }, [[
      aw.run(function()
        local listener = assert(aw.tcp.listen("127.0.0.1", 0))
        local _, port = listener:local_addr()
        local told = 0
        local server = aw.spawn(function()
          return listener:serve(function(s) s:write_all("served") end, { on_error = function() told = told + 1 end })
        end)
        for _ = 1, 6 do
          local client = assert(aw.tcp.connect("127.0.0.1", port))
          assert(client:read_to_end() == "served")
          client:close()
        end
        listener:close()
        assert(server:join())
        assert(told > 0 or "]] .. code .. [[" == "ECONNABORTED")
      end)
    ]])
  end
end

T["test_accept_that_fails_for_good_ends_serving_with_the_failure"] = function()
  injected({ "accept4:error=EINVAL:when=2+" }, [[
    aw.run(function()
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      local clients = { assert(aw.tcp.connect("127.0.0.1", port)), assert(aw.tcp.connect("127.0.0.1", port)) }
      local ok, message, code = listener:serve(function(s) s:read() end)
      assert(ok == nil and code == "EINVAL", message)
      for _, s in ipairs(clients) do s:close() end
    end)
  ]])
end

T["test_P1_a_system_call_that_claims_more_than_it_was_given_breaks_no_memory"] = function()
  injected({ "sendto:retval=100000:when=2", "recvfrom:retval=100000:when=2" }, [[
    aw.run(function()
      local near, far = tcp_pair()
      assert(near:write_all("fine"))
      local ok, message, code = near:write_all("x")
      assert(ok == nil and code == "ECONTRACT", message)
      assert(far:read_exact(4) == "fine")
      far:close()
      local a, b = tcp_pair()
      a:write_all("abc")
      local s, text, why = b:read(3)
      assert(s == nil and why == "ECONTRACT" or s == "abc", text)
    end)
  ]])
end

T["test_making_a_socket_or_a_pipe_that_fails_is_a_failure_and_not_a_crash"] = function()
  injected({
    "socket:error=EAFNOSUPPORT:when=1", "bind:error=EACCES:when=1", "listen:error=EADDRINUSE:when=1",
    "socketpair:error=ENOMEM:when=1", "pipe2:error=ENFILE:when=3", "connect:error=ENETUNREACH:when=1",
  }, [[
    local function failed(expected, value, message, code)
      if value ~= nil or code ~= expected then print(expected, "instead of", value, message) end
    end
    aw.run(function()
      aw.sleep(0.001) -- the loop makes pipes of its own
      failed("EAFNOSUPPORT", aw.tcp.listen("127.0.0.1", 0))
      failed("EACCES", aw.tcp.listen("127.0.0.1", 0))
      failed("EADDRINUSE", aw.tcp.listen("127.0.0.1", 0))
      failed("ENOMEM", aw.unix.pair())
      failed("ENFILE", aw.pipe.pair())
      local listener = assert(aw.tcp.listen("127.0.0.1", 0))
      local _, port = listener:local_addr()
      failed("ENETUNREACH", aw.tcp.connect("127.0.0.1", port))
      assert(aw.tcp.connect("127.0.0.1", port))
    end)
  ]])
end

return T
