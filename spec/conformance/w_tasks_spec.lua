-- SPDX-License-Identifier: MIT
-- W11-W14 and P11: wakers and polls as the tasks around them see it.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local child = require "support.child"

local M = {}
local exact = H.exact
H.kit(M, "w_tasks")

-- ---- W11 ----

exact(M, "W11", "closing_the_state_ends_every_wait_and_leaks_nothing", {}, function()
  -- Each kind is left as it is with a writer parked by hand and one by a task; lua_close must cope.
  local code = [[
    local aw = require "asyncwrite"
    local D = require "support.doubles"
    local kept = {}
    for _, kind in ipairs(require "conformance.kinds") do
      local t = kind.fixture(D.random(1))
      local ok, err = pcall(aw.run, function()
        t:build()
        kept[#kept + 1] = t
        if not kind.full then return end
        kept[#kept + 1] = t:fill()
        if t.r then kept[#kept + 1] = (D.poll(t.r, "poll_read")) end
        if #kept % 2 == 0 then error("enough", 0) end -- the run ends in the middle of things
        aw.spawn(function() t.w:write_all(D.text(4000000)) end)
        aw.yield()
        error("enough", 0)
      end)
      assert(ok or tostring(err):find("^enough"), err)
    end
    print(#kept > 40 and "closing" or #kept)
    io.stdout:flush()
    os.exit(0, true)]]
  local result = child.run(code)
  check.equal(result.out, "closing\n", "output of the child")
  check.equal((result.err:gsub("asyncwrite: %d+ bytes lost[^\n]*\n", "")), "", "errors of the child")
  check.equal(result.code, 0, "exit status of the child")
end)

exact(M, "W11", "a_close_at_the_end_of_the_state_may_still_wake", { kinds = { "custom", "custom(vectored)", "lua_pipe" },
  reason = "no Lua in it that could wake" }, function()
  local result = child.run [[
    local aw = require "asyncwrite"
    local pipe = { poll_write = function() return 0 end }
    function pipe.close() pipe.waker:wake() end
    pipe.box = aw.custom(pipe)
    pipe.waker = aw.waker(function() end) -- younger than the box, so lua_close finalises it first
    os.exit(0, true)]]
  check.equal(result.code .. result.err, "0", "exit status and errors of the child")
end)

-- ---- W14 ----

exact(M, "W14", "a_function_is_not_called_below_a_poll", { kinds = { "custom", "custom(vectored)" },
  reason = "nothing in it could call back" }, function()
  local c, inside = D.waker(), nil
  local w = aw.custom {
    poll_write = function()
      aw.current_waker():wake()
      inside = c.woken
      return false
    end,
  }
  check.equal(c:poll(w, "poll_write", "x"), false, "poll_write")
  check.equal(inside, 0, "calls of the waker's function inside the poll")
  check.equal(c.woken, 1, "calls of the waker's function after it")
end)

return M
