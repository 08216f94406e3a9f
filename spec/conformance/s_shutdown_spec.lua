-- SPDX-License-Identifier: MIT
-- S: poll_shutdown, and what happens without it.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"
local child = require "support.child"

local M = {}
local exact = H.exact
H.kit(M, "s_shutdown")

local BUFFER = { kinds = { "buf_writer > custom", "buf_writer > custom(vectored)", "buf_writer > chaos",
  "buf_writer > chaos(vectored)", "buf_writer > buf_writer > chaos" },
  reason = "another type; the trace is of buf_writer over a double" }
local WRAPPERS = { kinds = { "custom", "custom(vectored)", "buf_writer > custom", "buf_writer > custom(vectored)",
  "buf_reader | duplex", "join(simplex, simplex)", "split(duplex)" }, reason = "another type; the trace is of a double" }

local function input() return aw.cursor("input") end

exact(M, "S2", "shutdown_goes_down_to_the_last_writer_after_the_bytes", WRAPPERS, function()
  local function ended(wrap)
    local d = D.writer()
    local w = wrap(d.w)
    D.poll(w, "poll_write", "ab")
    check.equal(select(2, D.poll(w, "poll_shutdown")), true, "poll_shutdown")
    check.list(d.log, { "write ab = 2", "shutdown" })
  end
  ended(function(w) return w end)
  ended(function(w) return aw.buf_writer(w, 10) end)
  ended(function(w) return aw.buf_writer(aw.buf_writer(w, 10), 10) end)
  ended(function(w) return aw.join(input(), w) end)
  ended(function(w) return aw.buf_reader(aw.join(input(), aw.buf_writer(w, 5))) end)
  ended(function(w) return select(2, aw.split(aw.join(input(), w))) end)
end)

exact(M, "S3", "a_pending_shutdown_is_resumed_and_no_byte_is_sent_twice", BUFFER, function()
  local d = D.writer { write = { 1, "pending", 1, { "EIO" } }, shutdown = { "pending", "now" } }
  local w = aw.buf_writer(d.w, 10)
  D.poll(w, "poll_write", "abc")
  local c, value = D.poll(w, "poll_shutdown")
  check.equal(value, false, "the first poll_shutdown")
  d:wake()
  check.equal(c.woken, 1, "wakes after progress")
  check.fails("EIO", "the second poll_shutdown", select(2, D.poll(w, "poll_shutdown")))
  check.equal(w:buffer(), "c", "buffered after an error")
  check.equal(select(2, D.poll(w, "poll_shutdown")), false, "the third poll_shutdown")
  d:wake()
  check.equal(D.ready(w, "poll_shutdown"), true, "the last poll_shutdown")
  check.list(d.log, { "write abc = 1", "write bc = pending", "write bc = 1", "write c = EIO", "write c = 1",
    "shutdown = pending", "shutdown = pending", "shutdown" })
end)

exact(M, "S4", "a_second_shutdown_does_not_reach_the_inner_writer", WRAPPERS, function()
  local d = D.writer()
  local w = aw.buf_writer(aw.join(input(), d.w))
  for _ = 1, 3 do check.equal(select(2, D.poll(w, "poll_shutdown")), true, "poll_shutdown") end
  check.list(d.log, { "shutdown" })
end)

exact(M, "S11", "bytes_lost_to_the_collector_are_counted_aloud", BUFFER, function()
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.run(function()
      assert(aw.buf_writer(aw.buf_writer(aw.memory(), 8), 16):write_all("0123456789", "abc")) -- line 3
      local kept = aw.buf_writer(aw.memory())
      assert(kept:write_all("closed by hand: no warning"))
      kept:close()
    end)
    collectgarbage()
    collectgarbage()
    print("end")]]
  check.equal(result.out, "end\n", "output")
  local lost, chain, line = result.err:match("^asyncwrite: (%d+) bytes lost: (.-), made at .-:(%d+), [^\n]*\n$")
  check.ok(lost, "no such warning: " .. result.err)
  check.equal(lost .. " " .. chain .. " " .. line, "13 buf_writer(16) > buf_writer(8) > memory 3", "the warning")
end)

exact(M, "S11", "a_custom_writer_is_told_of_its_close_once", WRAPPERS, function()
  for _, wrap in ipairs { function(w) return w end, function(w) return aw.buf_writer(w) end,
    function(w) return aw.buf_writer(aw.join(input(), w)) end } do
    local d = D.writer()
    local w = wrap(d.w)
    d.w = nil
    w:close()
    w:close()
    check.equal(d.closed, 1, "calls of close by close()")
    d = D.writer()
    wrap(d.w)
    d.w = nil
    collectgarbage()
    collectgarbage()
    check.equal(d.closed, 1, "calls of close by the collector")
  end
  local result = child.run [[
    local aw = require "asyncwrite"
    aw.custom({ poll_write = function(_, s) return #s end, close = function() print("told") end }):close()]]
  check.equal(result.out .. result.err, "told\n", "output of a custom writer that closes")
end)

exact(M, "S11", "a_custom_writer_that_knows_its_own_box_is_collected", WRAPPERS, function()
  local closed = 0
  do
    local self = { poll_write = function(_, s) return #s end, close = function() closed = closed + 1 end }
    self.box = aw.custom(self)
  end
  collectgarbage()
  collectgarbage()
  check.equal(closed, 1, "calls of close by the collector")
end)

return M
