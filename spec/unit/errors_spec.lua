-- SPDX-License-Identifier: MIT
-- Misuse raises at the caller's line and names argument and method: methods. Constructors are in errors_make_spec.

local lu = require "luaunit"
local aw = require "asyncwrite"
local core = require "asyncwrite.core"
local check = require "support.check"

local T = {}

local misuses = check.misuses
local HUGE = "9223372036854775807" -- half of what size_t can count

-- ---- self ----

-- Arguments that are right, so that only self is wrong.
local right = {
  writef = { "x" }, try_write = { "x" }, write = { "x" }, write_all = { "x" }, poll_write = { "x" },
  write_vectored = { {} }, write_all_vectored = { {} }, poll_write_vectored = { {} },
  write_buf = { aw.cursor("x") }, write_all_buf = { aw.cursor("x") }, poll_write_buf = { aw.cursor("x") },
  poll_read_until = { "x" }, read_until = { "x" }, read_exact = { 1 }, consume = { 0 }, set_position = { 0 },
  advance = { 0 }, set_nodelay = { true }, set_keepalive = { true }, set_send_buffer_size = { 1 },
  set_recv_buffer_size = { 1 }, serve = { function() end },
  seek = { "cur", 0 }, set_len = { 0 }, set_max_buf_size = { 1 },
}
for _, format in ipairs { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128", "f32", "f64" } do
  right["write_" .. format], right["write_" .. format .. "_le"] = { 1, 1 }, { 1, 1 }
end

-- Calls every method with that self; the error must be at the line of the call and be the text, with %s its name.
local function every_method(self, text, excepted)
  local place, faults = debug.getinfo(1, "Sl"), {}
  for name, method in pairs(core.methods) do
    if not excepted[name] then
      local a = right[name] or {}
      local ok, err = pcall(function()
        method(self, a[1], a[2])
      end)
      local expected = ("%s:%d: %s"):format(place.short_src, place.currentline + 5, text:format(name))
      if ok or err ~= expected then faults[#faults + 1] = ("%s\n  instead of %s"):format(tostring(err), expected) end
    end
  end
  table.sort(faults)
  if #faults > 0 then lu.fail(table.concat(faults, "\n")) end
end

local function self_test(make, text, excepted)
  return check.in_task(function() every_method(make(), text, excepted or {}) end)
end

T.test_every_method_of_nothing_raises = self_test(function() end, "bad self to '%s' (writer or reader expected, got nil)")

T.test_every_method_of_a_foreign_userdata_raises = self_test(function() return io.stdout end,
  "bad self to '%s' (writer or reader expected, got userdata)")

T.test_every_method_of_a_table_tells_of_custom = self_test(function() return {} end,
  "bad self to '%s' (writer or reader expected, got table: make one of it with asyncwrite.custom)",
  { close = true, is_closed = true, serve = true })

T.test_every_method_of_a_closed_stream_raises = self_test(function()
  local s = aw.duplex(1)
  s:close()
  return s
end, "bad self to '%s' (it is closed)", { close = true, is_closed = true, serve = true, stats = true, trace_events = true })

local wrapper
T.test_every_method_of_a_moved_stream_raises = self_test(function()
  local s = aw.duplex(1)
  wrapper = aw.buf_writer(s)
  lu.assertFalse(wrapper:is_closed())
  return s
end, "bad self to '%s' (it was moved into a wrapper or split)",
  { is_closed = true, serve = true, stats = true, trace_events = true })

-- ---- the wrong kind ----

local r, w = aw.simplex(4)
local memory, cursor, duplex = aw.memory(), aw.cursor("abc"), aw.duplex(4)
local closed = aw.cursor("x")
closed:close()

T.test_a_writers_method_on_a_reader_and_the_reverse = misuses {
  function() r:poll_write("x") end, "bad self to 'poll_write' (a simplex here is not a writer)",
  function() r:write_all("x") end, "bad self to 'write_all' (a simplex here is not a writer)",
  function() r:flush() end, "bad self to 'flush' (a simplex here is not a writer)",
  function() r:buffered() end, "bad self to 'buffered' (a simplex here is not a writer)",
  function() w:poll_read() end, "bad self to 'poll_read' (a simplex here is not a reader)",
  function() w:read() end, "bad self to 'read' (a simplex here is not a reader)",
  function() w:consume(0) end, "bad self to 'consume' (a simplex here is not a reader)",
}

T.test_a_method_of_one_kind_on_another = misuses {
  function() w:contents() end, "bad self to 'contents' (a simplex keeps no bytes)",
  function() cursor:take() end, "bad self to 'take' (a cursor is no memory)",
  function() memory:position() end, "bad self to 'position' (a memory is no cursor)",
  function() memory:set_position(0) end, "bad self to 'set_position' (a memory is no cursor)",
  function() memory:remaining() end, "bad self to 'remaining' (a memory is no cursor)",
  function() memory:chunk() end, "bad self to 'chunk' (a memory is no cursor)",
  function() memory:advance(0) end, "bad self to 'advance' (a memory is no cursor)",
  function() memory:into_parts() end, "bad self to 'into_parts' (a memory wraps nothing)",
  function() memory:limit() end, "bad self to 'limit' (there is no limit in its chain)",
  function() memory:set_limit(1) end, "bad self to 'set_limit' (there is no limit in its chain)",
  function() memory:set_rate(1) end, "bad self to 'set_rate' (there is no throttle in its chain)",
  function() memory:rate() end, "bad self to 'rate' (there is no throttle in its chain)",
  function() memory:branches() end, "bad self to 'branches' (there is no tee in its chain)",
  function() memory:digest() end, "bad self to 'digest' (there is no checksum in its chain)",
  function() memory:poll_accept() end, "bad self to 'poll_accept' (not a listener)",
  function() memory:accept() end, "bad self to 'accept' (not a listener)",
  function() memory:serve(function() end) end, "bad self to 'serve' (not a listener)",
  function() memory:poll_connect() end, "bad self to 'poll_connect' (not a socket)",
  function() memory:fd() end, "bad self to 'fd' (there is no descriptor at the end of its chain)",
  function() memory:local_addr() end, "bad self to 'local_addr' (there is no descriptor at the end of its chain)",
  function() memory:set_nodelay(true) end, "bad self to 'set_nodelay' (there is no descriptor at the end of its chain)",
}

T.test_methods_of_files_on_others = misuses {
  function() memory:seek() end, "bad self to 'seek' (there is no file at the end of its chain)",
  function() memory:set_len(0) end, "bad self to 'set_len' (there is no file at the end of its chain)",
  function() memory:sync_all() end, "bad self to 'sync_all' (there is no file at the end of its chain)",
  function() memory:into_unwritten() end, "bad self to 'into_unwritten' (there is no file at the end of its chain)",
  function() memory:sync_data() end, "bad self to 'sync_data' (there is no file at the end of its chain)",
  function() memory:set_max_buf_size(1) end, "bad self to 'set_max_buf_size' (there is no file at the end of its chain)",
}

-- ---- arguments of the write direction ----

T.test_arguments_of_poll_write = misuses {
  function() memory:poll_write() end, "bad argument #1 's' to 'poll_write' (string expected, got no value)",
  function() memory:poll_write(nil) end, "bad argument #1 's' to 'poll_write' (string expected, got nil)",
  function() memory:poll_write({}) end, "bad argument #1 's' to 'poll_write' (string expected, got table)",
  function() memory:poll_write(true) end, "bad argument #1 's' to 'poll_write' (string expected, got boolean)",
  function() memory:poll_write("abc", "1") end, "bad argument #2 'i' to 'poll_write' (number expected, got string)",
  function() memory:poll_write("abc", 1.5) end, "bad argument #2 'i' to 'poll_write' (integer expected, got 1.5)",
  function() memory:poll_write("abc", 0) end, "bad argument #2 'i' to 'poll_write' (outside the string of 3 bytes)",
  function() memory:poll_write("abc", 5) end, "bad argument #2 'i' to 'poll_write' (outside the string of 3 bytes)",
  function() memory:poll_write("abc", -4) end, "bad argument #2 'i' to 'poll_write' (outside the string of 3 bytes)",
  function() memory:poll_write("abc", 1, {}) end, "bad argument #3 'j' to 'poll_write' (number expected, got table)",
  function() memory:poll_write("abc", 1, 4) end, "bad argument #3 'j' to 'poll_write' (outside the string of 3 bytes)",
  function() memory:poll_write("abc", 3, 1) end, "bad argument #3 'j' to 'poll_write' (outside the string of 3 bytes)",
  function() memory:poll_write("abc", 1, 0/0) end, "bad argument #3 'j' to 'poll_write' (integer expected, got "
    .. tostring(0/0) .. ")",
  function() memory:poll_write("abc", 1e300) end, "bad argument #2 'i' to 'poll_write' (integer expected, got 1e+300)",
  function() memory:poll_write("", 2) end, "bad argument #2 'i' to 'poll_write' (outside the string of 0 bytes)",
}

T.test_arguments_of_write_and_try_write = misuses {
  function() memory:write({}) end, "bad argument #1 's' to 'write' (string expected, got table)",
  function() memory:write("abc", 9) end, "bad argument #2 'i' to 'write' (outside the string of 3 bytes)",
  function() memory:write("abc", 1, 9) end, "bad argument #3 'j' to 'write' (outside the string of 3 bytes)",
  function() memory:try_write() end, "bad argument #1 's' to 'try_write' (string expected, got no value)",
  function() memory:try_write("abc", -9) end, "bad argument #2 'i' to 'try_write' (outside the string of 3 bytes)",
}

T.test_arguments_of_write_all_= misuses {
  function() memory:write_all() end, "bad argument #1 's' to 'write_all' (string expected, got no value)",
  function() memory:write_all(nil) end, "bad argument #1 's' to 'write_all' (string expected, got nil)",
  function() memory:write_all("a", "b", {}) end, "bad argument #3 's' to 'write_all' (string expected, got table)",
  function() memory:write_all("a", nil, "c") end, "bad argument #2 's' to 'write_all' (string expected, got nil)",
  function() memory:writef() end, "bad argument #1 'format' to 'writef' (string expected, got nil)",
  function() memory:writef(5) end, "bad argument #1 'format' to 'writef' (string expected, got number)",
}

T.test_a_wrong_argument_of_write_all_is_found_before_a_byte_is_written = check.in_task(function()
  local fresh = aw.memory()
  check.raises(function() fresh:write_all("a", "b", {}) end, "bad argument #3")
  lu.assertEquals(fresh:contents(), "")
end)

T.test_arguments_of_the_vectored_writes = misuses {
  function() memory:poll_write_vectored() end,
  "bad argument #1 'list' to 'poll_write_vectored' (table expected, got no value)",
  function() memory:poll_write_vectored("s") end,
  "bad argument #1 'list' to 'poll_write_vectored' (table expected, got string)",
  function() memory:poll_write_vectored { "a", false } end,
  "bad argument #1 'list' to 'poll_write_vectored' (element 2: string expected, got boolean)",
  function() memory:poll_write_vectored({ "ab" }, 3) end,
  "bad argument #2 'skip' to 'poll_write_vectored' (beyond the bytes of the list)",
  function() memory:poll_write_vectored({ "ab" }, -1) end,
  ("bad argument #2 'skip' to 'poll_write_vectored' (integer from 0 to %s expected, got -1)"):format(HUGE),
  function() memory:write_vectored { {} } end,
  "bad argument #1 'list' to 'write_vectored' (element 1: string expected, got table)",
  function() memory:write_all_vectored(nil) end,
  "bad argument #1 'list' to 'write_all_vectored' (table expected, got nil)",
  function() memory:write_all_vectored { "a", true } end,
  "bad argument #1 'list' to 'write_all_vectored' (element 2: string expected, got boolean)",
}

T.test_arguments_of_the_cursor_writes = misuses {
  function() memory:poll_write_buf("s") end, "bad argument #1 'cursor' to 'poll_write_buf' (cursor expected, got string)",
  function() memory:poll_write_buf(aw.sink()) end,
  "bad argument #1 'cursor' to 'poll_write_buf' (cursor expected, got userdata)",
  function() memory:write_buf(nil) end, "bad argument #1 'cursor' to 'write_buf' (cursor expected, got nil)",
  function() memory:write_buf(closed) end, "bad argument #1 'cursor' to 'write_buf' (cursor expected, got userdata)",
  function() cursor:write_buf(cursor) end, "bad argument #1 'cursor' to 'write_buf' (a cursor cannot be written into itself)",
  function() memory:write_all_buf("s") end, "bad argument #1 'cursor' to 'write_all_buf' (cursor expected, got string)",
  function() memory:write_all_buf(nil) end, "bad argument #1 'cursor' to 'write_all_buf' (cursor expected, got nil)",
  function() memory:write_all_buf(5) end, "bad argument #1 'cursor' to 'write_all_buf' (cursor expected, got number)",
  function() memory:write_all_buf(aw.sink()) end,
  "bad argument #1 'cursor' to 'write_all_buf' (cursor expected, got userdata)",
}

T.test_arguments_of_the_number_writers = misuses {
  function() memory:write_u8() end, "bad argument #1 'value' to 'write_u8' (number expected, got nil)",
  function() memory:write_u8("1") end, "bad argument #1 'value' to 'write_u8' (number expected, got string)",
  function() memory:write_u8(256) end, "bad argument #1 'value' to 'write_u8' (256 is out of range)",
  function() memory:write_u8(-1) end, "bad argument #1 'value' to 'write_u8' (-1 is out of range)",
  function() memory:write_i8(128) end, "bad argument #1 'value' to 'write_i8' (128 is out of range)",
  function() memory:write_i16_le(-32769) end, "bad argument #1 'value' to 'write_i16_le' (-32769 is out of range)",
  function() memory:write_u16(1.5) end, "bad argument #1 'value' to 'write_u16' (integer expected, got 1.5)",
  function() memory:write_u32(2 ^ 32) end, "bad argument #1 'value' to 'write_u32' ("
    .. tostring(2 ^ 32) .. " is out of range)",
  function() memory:write_i64({}) end, "bad argument #1 'value' to 'write_i64' (number expected, got table)",
  function() memory:write_u64("1234567") end,
  "bad argument #1 'value' to 'write_u64' (string of 8 bytes expected, got 7)",
  function() memory:write_u128("x") end, "bad argument #1 'value' to 'write_u128' (string of 16 bytes expected, got 1)",
  function() memory:write_u128(1) end, "bad argument #2 'low' to 'write_u128' (number expected, got nil)",
  function() memory:write_i128_le({}, 1) end, "bad argument #1 'value' to 'write_i128_le' (number expected, got table)",
  function() memory:write_f32("1") end, "bad argument #1 'value' to 'write_f32' (number expected, got string)",
  function() memory:write_f64_le() end, "bad argument #1 'value' to 'write_f64_le' (number expected, got nil)",
}

-- ---- arguments of the read direction ----

T.test_arguments_of_the_reading_methods = misuses {
  function() duplex:poll_read("5") end, "bad argument #1 'max' to 'poll_read' (number expected, got string)",
  function() duplex:poll_read(0) end,
  ("bad argument #1 'max' to 'poll_read' (integer from 1 to %s expected, got 0)"):format(HUGE),
  function() duplex:read(-1) end, ("bad argument #1 'max' to 'read' (integer from 1 to %s expected, got -1)"):format(HUGE),
  function() duplex:try_read(1.5) end,
  ("bad argument #1 'max' to 'try_read' (integer from 1 to %s expected, got 1.5)"):format(HUGE),
  function() duplex:read_exact() end,
  "bad argument #1 'n' to 'read_exact' (integer of at least 0 expected, got nil)",
  function() duplex:read_exact(-1) end, "bad argument #1 'n' to 'read_exact' (integer of at least 0 expected, got -1)",
  function() duplex:read_exact(0.5) end, "bad argument #1 'n' to 'read_exact' (integer of at least 0 expected, got 0.5)",
  function() duplex:read_until(nil) end, "bad argument #1 'delimiter' to 'read_until' (string expected, got nil)",
  function() duplex:read_until("") end, "bad argument #1 'delimiter' to 'read_until' (it is empty)",
  function() duplex:read_until("x", 0) end,
  ("bad argument #2 'max' to 'read_until' (integer from 1 to %s expected, got 0)"):format(HUGE),
  function() duplex:poll_read_until({}) end,
  "bad argument #1 'delimiter' to 'poll_read_until' (string expected, got table)",
  function() duplex:read_line("x") end, "bad argument #1 'max' to 'read_line' (number expected, got string)",
  function() duplex:lines(-1)() end, "bad argument #1 'max' to 'lines' (integer of at least 0 expected, got -1)",
  function() duplex:read_to_end("x") end,
  "bad argument #1 'max' to 'read_to_end' (integer of at least 0 expected, got x)",
  function() duplex:consume() end, "bad argument #1 'n' to 'consume' (number expected, got no value)",
  function() duplex:consume(1) end, "bad argument #1 'n' to 'consume' (integer from 0 to 0 expected, got 1)",
}

T.test_arguments_of_the_cursors_own_methods = misuses {
  function() cursor:set_position(-1) end,
  "bad argument #1 'position' to 'set_position' (integer from 0 to 2147483647 expected, got -1)",
  function() cursor:set_position("1") end, "bad argument #1 'position' to 'set_position' (number expected, got string)",
  function() cursor:advance(4) end, "bad argument #1 'n' to 'advance' (integer from 0 to 3 expected, got 4)",
  function() cursor:advance() end, "bad argument #1 'n' to 'advance' (number expected, got no value)",
}

local tcp = aw.tcp.listen("127.0.0.1", 0)
T.test_arguments_of_the_socket_methods = misuses {
  function() tcp:set_nodelay() end, "bad argument #1 'on' to 'set_nodelay' (boolean expected, got no value)",
  function() tcp:set_nodelay(1) end, "bad argument #1 'on' to 'set_nodelay' (boolean expected, got number)",
  function() tcp:set_keepalive("on") end, "bad argument #1 'on' to 'set_keepalive' (boolean expected, got string)",
  function() tcp:set_keepalive(true, 0) end,
  "bad argument #2 'idle' to 'set_keepalive' (integer from 1 to 32767 expected, got 0)",
  function() tcp:set_keepalive(true, 1, {}) end,
  "bad argument #3 'interval' to 'set_keepalive' (number expected, got table)",
  function() tcp:set_keepalive(true, 1, 1, -1) end,
  "bad argument #4 'count' to 'set_keepalive' (integer from 1 to 32767 expected, got -1)",
  function() tcp:set_linger(-1) end, "bad argument #1 'seconds' to 'set_linger' (integer from 0 to 65535 expected, got -1)",
  function() tcp:set_linger("x") end, "bad argument #1 'seconds' to 'set_linger' (number expected, got string)",
  function() tcp:set_send_buffer_size(0) end,
  "bad argument #1 'size' to 'set_send_buffer_size' (integer from 1 to 2147483647 expected, got 0)",
  function() tcp:set_recv_buffer_size() end,
  "bad argument #1 'size' to 'set_recv_buffer_size' (number expected, got no value)",
  function() tcp:serve() end, "bad argument #1 'f' to 'serve' (function expected, got nil)",
  function() tcp:serve(print, 5) end, "bad argument #2 'options' to 'serve' (table expected, got number)",
  function() tcp:serve(print, { maximum = 1 }) end, "bad argument #2 'options' to 'serve' (unknown option 'maximum')",
  function() tcp:serve(print, { max = "1" }) end,
  "bad argument #2 'options.max' to 'serve' (integer of at least 1 expected, got 1)",
  function() tcp:serve(print, { on_error = 5 }) end,
  "bad argument #2 'options.on_error' to 'serve' (function expected, got number)",
  function() tcp:trace("1") end, "bad argument #1 'events' to 'trace' (number expected, got string)",
  function() tcp:set_deadline("1") end, "bad argument #1 'seconds' to 'set_deadline' (number expected, got string)",
  function() tcp:set_deadline(-1) end, "bad argument #1 'seconds' to 'set_deadline' (0 to 1e9 expected, got -1)",
  function() tcp:set_deadline(0/0) end, "bad argument #1 'seconds' to 'set_deadline' (0 to 1e9 expected, got "
    .. tostring(0/0) .. ")",
}

function T.test_serve_with_a_max_below_one_or_a_fraction_raises()
  for _, max in ipairs { 0, -1, 1.5 } do
    check.raises(function() aw.run(function() tcp:serve(print, { max = max }) end) end,
      "bad argument #2 'options.max' to 'serve' (integer of at least 1 expected, got " .. max .. ")")
  end
end

-- Without an argument that could be wrong. What is new must get a row above or a place here.
local bare = {
  "accept", "branches", "buffer", "buffered", "chunk", "close", "contents", "fd", "fill_buf", "flush", "into_parts",
  "is_closed", "is_reader", "is_write_vectored", "is_writer", "keepalive", "kind", "limit", "linger", "local_addr",
  "metadata", "nodelay", "peer_addr", "peer_cred", "poll_accept", "poll_connect", "poll_fill_buf", "poll_flush",
  "poll_shutdown", "position", "read_buffer", "remaining", "shutdown", "stats", "take", "trace_events",
}

function T.test_every_method_with_arguments_has_a_row_here()
  local source = assert(io.open("spec/unit/errors_spec.lua")):read("*a")
  local missing = {}
  for _, name in ipairs(bare) do bare[name] = true end
  for name in pairs(core.methods) do
    local number = name:match("^read_[uif]%d") or name:match("^write_[uif]%d")
    if not bare[name] and not number and not source:find(":" .. name .. "[%( ]") then missing[#missing + 1] = name end
  end
  lu.assertEquals(missing, {})
end

return T
