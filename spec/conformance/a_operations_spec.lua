-- SPDX-License-Identifier: MIT
-- A1-A6, A10, A11: the operations that wait. Copying (A7-A9) is in a_copy_spec.

local aw = require "asyncwrite"
local D = require "support.doubles"
local H = require "conformance.harness"
local check = require "conformance.check"

local M = {}
local exact = H.exact
H.kit(M, "a_operations")

local DOUBLES = { kinds = { "custom", "custom(vectored)" }, reason = "the calls that reach it cannot be counted" }

exact(M, "A1", "write_all_of_nothing_polls_nothing", DOUBLES, function()
  for _, vectored in ipairs { false, true } do
    local d = D.writer { vectored = vectored, write = { { "EIO" } } }
    check.equal(d.w:write_all(""), true, "write_all('')")
    check.equal(d.w:write_all("", "", ""), true, "write_all of empties")
    check.equal(d.w:write_all_vectored {}, true, "write_all_vectored {}")
    check.equal(d.w:write_all_buf(aw.cursor("")), true, "write_all_buf of an empty cursor")
    check.equal(d.w:writef("%s", ""), true, "writef of an empty string")
    check.list(d.log, {}, "calls")
  end
end)

exact(M, "A2", "write_all_keeps_its_position_over_pendings_and_short_counts", DOUBLES, function()
  local d = D.writer { write = { 3, "now", 1, { late = 2, early = true }, 2 } }
  check.equal(d.w:write_all("abcdefgh"), true, "write_all")
  check.list(d.log, { "write abcdefgh = 3", "write defgh = pending", "write defgh = 1", "write efgh = pending",
    "write efgh = 2", "write gh = 2" })
end)

exact(M, "A2", "write_all_tells_the_first_error_and_how_far_it_came", DOUBLES, function()
  for code, answer in pairs { EWRITEZERO = 0, EIO = { "EIO" }, ENOSPC = { "ENOSPC" } } do
    local d = D.writer { write = { 3, "now", 2, answer } }
    local ok, message, got, accepted = d.w:write_all("abc", "defg", "hi")
    check.fails(code, "write_all", ok, message, got)
    check.equal(accepted, 5, "bytes accepted")
    check.equal(d:bytes(), "abcde", "what arrived")
  end
end)

exact(M, "A4", "write_all_buf_stops_at_the_chunk_that_failed", DOUBLES, function()
  local d = D.writer { write = { 4, { "EIO" } } }
  local buf = aw.cursor("helloworld")
  local ok, message, code, accepted = d.w:write_all_buf(buf)
  check.fails("EIO", "write_all_buf", ok, message, code)
  check.equal(accepted, 4, "bytes accepted")
  check.equal(buf:chunk(), "oworld", "what is left")
  check.equal(d.w:write_all_buf(buf), true, "write_all_buf once more")
  check.equal(buf:remaining(), 0, "what is left at the end")
  check.equal(d:bytes(), "helloworld", "what arrived")
  check.fails("EWRITEZERO", "over a writer that takes nothing", D.writer { write = { 0 } }.w:write_all_buf(aw.cursor("x")))
end)

exact(M, "A5", "write_buf_makes_one_attempt_and_advances_by_it", DOUBLES, function()
  local d = D.writer { write = { 3, "now", 2, { "EIO" } } }
  local buf = aw.cursor("helloworld")
  check.equal(d.w:write_buf(aw.cursor("")), 0, "write_buf of an empty cursor")
  check.list(d:trace(), {}, "calls for nothing")
  check.equal(d.w:write_buf(buf), 3, "write_buf")
  check.list(d:trace(), { "write helloworld = 3" })
  check.equal(d.w:write_buf(buf), 2, "write_buf that waited")
  check.list(d:trace(), { "write loworld = pending", "write loworld = 2" })
  local n, message, code, accepted = d.w:write_buf(buf)
  check.fails("EIO", "write_buf", n, message, code)
  check.equal(accepted, 0, "bytes accepted")
  check.equal(buf:chunk(), "world", "what is left after an error")
end)

exact(M, "A10", "what_is_always_ready_times_out_too", { "!full", "!random" }, function()
  for _, w in ipairs { aw.sink(), D.writer { log = false }.w, aw.buf_writer(aw.sink()) } do
    local ok, message, code = aw.timeout(0.02, function()
      for _ = 1, 1e7 do w:write("x") end -- seconds of writes
    end)
    check.fails("ETIMEDOUT", "an endless loop of writes", ok, message, code)
    w:close()
  end
end)

return M
