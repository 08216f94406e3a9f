-- SPDX-License-Identifier: MIT
-- checksum, checksum_reader: known vectors, and that just the accepted prefix counts.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local D = require "support.doubles"

local in_task = check.in_task
local T = {}

local function digest(algorithm, s, piece)
  local w = aw.checksum(aw.sink(), algorithm)
  for i = 1, #s, piece or math.max(#s, 1) do
    assert(w:try_write(s:sub(i, i + (piece or #s) - 1)))
  end
  return w:digest()
end

-- The check values of the CRC catalogue, RFC 3720 B.4, RFC 1950, FIPS 180-4 and NIST's examples.
local VECTORS = {
  crc32 = { [""] = "00000000", ["123456789"] = "cbf43926", [("\0"):rep(32)] = "190a55ad",
    ["The quick brown fox jumps over the lazy dog"] = "414fa339" },
  crc32c = { [""] = "00000000", ["123456789"] = "e3069283", [("\0"):rep(32)] = "8a9136aa",
    [("\255"):rep(32)] = "62a8ab43" },
  adler32 = { [""] = "00000001", ["Wikipedia"] = "11e60398", ["a"] = "00620062" },
  sha256 = {
    [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq =
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    [("a"):rep(1000000)] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
  },
}

function T.test_known_vectors()
  for algorithm, vectors in pairs(VECTORS) do
    for s, want in pairs(vectors) do
      lu.assertEquals(digest(algorithm, s), want, algorithm .. " of " .. s:sub(1, 20))
    end
  end
end

-- A plain way to each, which shares nothing with the code.
local function adler(s)
  local a, b = 1, 0
  for i = 1, #s do
    a = (a + s:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return ("%04x%04x"):format(b, a)
end

function T.test_pieces_of_any_size_come_to_the_same()
  local s = check.pattern(20000) .. ("\255"):rep(20000)
  lu.assertEquals(digest("adler32", s), adler(s))
  for algorithm in pairs(VECTORS) do
    local whole = digest(algorithm, s)
    for _, piece in ipairs { 1, 3, 7, 8, 55, 56, 63, 64, 65, 127, 128, 5551, 5553 } do
      lu.assertEquals(digest(algorithm, s, piece), whole, algorithm .. " in pieces of " .. piece)
    end
  end
end

function T.test_every_length_around_the_blocks_of_sha256_agrees_with_sha256sum()
  local list, file = {}, os.tmpname()
  for n = 0, 130 do list[#list + 1] = check.pattern(n) end
  for _, i in ipairs { 1, 2, 55, 56, 57, 58, 64, 65, 66, 120, 121, 129 } do
    local out = assert(io.open(file, "wb"))
    out:write(list[i])
    out:close()
    local tool = io.popen("sha256sum " .. file .. " 2>/dev/null")
    local want = tool:read("*a"):match("^%x+")
    tool:close()
    if want then lu.assertEquals(digest("sha256", list[i]), want, (i - 1) .. " bytes") end
  end
  os.remove(file)
end

T.test_only_the_accepted_prefix_counts = in_task(function()
  local d = D.writer { vectored = true, write = { 2, "now", { "EIO" }, 0, 5 } }
  local w = aw.checksum(d.w, "crc32")
  w:poll_write("abcdef")
  w:poll_write("xyz")
  w:poll_write("xyz")
  w:poll_write("xyz")
  w:poll_write_vectored { "cd", "", "efg", "h" }
  w:poll_flush()
  lu.assertEquals(d:bytes(), "abcdefg")
  lu.assertEquals(w:digest(), digest("crc32", "abcdefg"))
end)

T.test_the_digest_may_be_asked_at_any_time_in_hexadecimal_or_raw = in_task(function()
  local w = aw.checksum(aw.memory(), "sha256")
  lu.assertEquals(w:digest(), VECTORS.sha256[""])
  assert(w:write_all("a"))
  w:digest()
  assert(w:write_all("bc"))
  lu.assertEquals({ w:digest(), w:digest(false) }, { VECTORS.sha256.abc, VECTORS.sha256.abc })
  lu.assertEquals((w:digest(true):gsub(".", function(c) return ("%02x"):format(c:byte()) end)), VECTORS.sha256.abc)
  assert(w:shutdown())
  lu.assertEquals(w:digest(), VECTORS.sha256.abc)
end)

T.test_a_reader_counts_what_it_gave = in_task(function()
  local r = aw.checksum_reader(aw.cursor("123456789 and more"), "crc32c")
  lu.assertEquals(r:read_exact(9), "123456789")
  lu.assertEquals(r:digest(), "e3069283")
  lu.assertEquals(tostring(r), "cursor(9/18) | checksum_reader(crc32c) > cursor(9/18)")
end)

T.test_pending_errors_and_the_end_count_for_nothing = in_task(function()
  local r = aw.checksum_reader(D.reader({ "12345", "pending", { "EIO" }, "6789" }).r, "crc32")
  local results = {}
  for i = 1, 5 do results[i] = tostring((select(2, D.poll(r, "poll_read")))) end
  lu.assertEquals(results, { "12345", "false", "nil", "6789", "nil" })
  lu.assertEquals(r:digest(), "cbf43926")
end)

T.test_both_sides_of_a_stream_and_through_wrappers = in_task(function()
  local near, far = aw.duplex(100)
  local s = aw.buf_writer(aw.checksum(aw.checksum_reader(near, "crc32"), "adler32"))
  assert(far:write_all("123456789"))
  lu.assertEquals(s:read(), "123456789")
  lu.assertEquals(s:digest(), "00000001") -- that of the write side
  assert(s:write_all("Wikipedia") and s:flush())
  lu.assertEquals(s:digest(), "11e60398")
  s = s:into_parts():into_parts()
  lu.assertEquals(s:digest(), "cbf43926")
end)

T.test_misuse_names_the_argument = check.misuses {
  function() aw.checksum(aw.sink()) end, "bad argument #2 'algorithm' to 'checksum' (string expected, got no value)",
  function() aw.checksum(aw.sink(), "md5") end,
  "bad argument #2 'algorithm' to 'checksum' (crc32, crc32c, adler32 or sha256 expected, got md5)",
  function() aw.checksum_reader(aw.sink(), "crc32") end,
  "bad argument #1 'r' to 'checksum_reader' (a sink here is not a reader)",
  function() aw.checksum(aw.sink(), "crc32"):digest("hex") end,
  "bad argument #1 'raw' to 'digest' (boolean expected, got string)",
}

return T
