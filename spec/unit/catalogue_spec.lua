-- SPDX-License-Identifier: MIT
-- Every kind of writer or reader is in all the places where users look for it. The kinds are what is found in any of
-- them: a kind that is missing in one, and not excused below with a reason, fails; so does an excuse that is not needed.
-- (What asyncwrite.resty has exists in nginx only: spec/interop/nginx_spec.lua.)

local lu = require "luaunit"
local aw = require "asyncwrite"
local testing = require "asyncwrite.testing"

local IN_TESTING = "annotated in lua/asyncwrite/testing"
local OF_HALVES = "in C an aw_stream holds both halves"
local OPENED = "aw_stdio_open(1 or 2)"

-- What is not there, column by column.
local EXCUSES = {
  facade = {
    chaos_reader = "testing.chaos takes readers too",
    stdio = "aw.stdin, aw.stdout, aw.stderr",
  },
  header = {
    custom = "in C a writer is a struct of one's own",
    join = OF_HALVES, split = OF_HALVES, unsplit = OF_HALVES,
    mock = "scripts are for tests in Lua", record = "scripts are for tests in Lua", replay = "scripts are for tests in Lua",
    stdin = "aw_stdio_open(0)", stdout = OPENED, stderr = OPENED,
  },
  conformance = {
    chaos_reader = "its kind is 'chaos | cursor(reader)'",
    replay = "a mock",
    stderr = "as stdout", stdio = "its kinds are those of stdout",
  },
  readme = {
    chaos_reader = "testing.chaos takes readers too",
    stdio = "its rows are those of aw.stdin, aw.stdout, aw.stderr",
  },
  meta = {
    chaos = IN_TESTING, chaos_reader = IN_TESTING, mock = IN_TESTING, record = IN_TESTING, replay = IN_TESTING,
    stdio = "its functions are stdin, stdout, stderr",
  },
}

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function listed(pattern)
  local list = {}
  for path in io.popen("ls " .. pattern):lines() do list[#list + 1] = path end
  lu.assertTrue(#list > 0, "files: " .. pattern)
  return list
end

-- ---- core.d.lua: the functions that return a stream ----

local META = read_file("lua/asyncwrite/core.d.lua")

local parents = {}
for class, of in META:gmatch("%-%-%-@class ([%w_.]+): ([^\n]+)") do parents[class] = of end

local function is_stream(class)
  if class == "asyncwrite.Stream" then return true end
  for parent in (parents[class] or ""):gmatch("[%w_.]+") do
    if is_stream(parent) then return true end
  end
  return false
end

local function returns_stream(comment)
  for kind in comment:gmatch("%-%-%-@return ([^\n ]+)") do
    for class in kind:gmatch("[%w_.]+") do
      if is_stream(class) then return true end
    end
  end
  return false
end

-- The functions of a file that return one: owner, name.
local function constructors(text)
  local list, comment = {}, ""
  for line in text:gmatch("([^\n]*)\n") do
    local owner, name = line:match("^function ([%w_]+)%.([%w_]+)%(")
    if owner and returns_stream(comment) then list[#list + 1] = { owner, name } end
    comment = line:find("^%-%-%-") and comment .. line .. "\n" or ""
  end
  return list
end

-- "aw.tee" and "tcp.connect" are the kinds tee and tcp.
local function in_meta()
  local found = {}
  for _, f in ipairs(constructors(META)) do
    if f[1] ~= "core" then found[f[1] == "aw" and f[2] or f[1]] = true end
  end
  return found
end

-- ---- The other places ----

-- The constructors of a writer, a reader, or both.
local function in_header()
  local found = {}
  for _, path in ipairs(listed("csrc/asyncwrite*.h")) do
    local text = read_file(path)
    for name, first in text:gmatch("AW_API int aw_([%w_]+)%((aw_%w+ %*+)") do
      local kind = name:match("^([%w_]+)_%l+$")
      local verb = name:match("[^_]+$")
      local makes = verb == "new" or verb == "open" or verb == "pair" or verb == "connect"
      if makes and (first == "aw_writer **" or first == "aw_reader **" or first == "aw_stream *") then found[kind] = true end
    end
  end
  return found
end

-- The names of the types that are compiled in.
local function in_sources()
  local found = {}
  for _, path in ipairs(listed("csrc/writers/*.c csrc/lua/custom.c")) do
    for name in read_file(path):gmatch("%f[%w_.]%.name = \"([%w_]+)\"") do found[name] = true end
  end
  return found
end

local function in_testing()
  local found = {}
  for _, path in ipairs(listed("lua/asyncwrite/testing/*.lua")) do
    for _, f in ipairs(constructors(read_file(path))) do found[f[2]] = testing[f[2]] and true end
  end
  return found
end

-- Every word of the names of the kinds.
local function in_conformance()
  local found = {}
  for _, kind in ipairs(require "conformance.kinds") do
    for word in kind.name:gmatch("[%w_]+") do found[word] = true end
  end
  return found
end

-- In a table: `aw.tee(...)`, `aw.tcp.connect(...)`, `testing.mock(...)`.
local function in_readme()
  local found = {}
  for line in read_file("README.md"):gmatch("\n(|[^\n]*)") do
    for module, name in line:gmatch("`([%w_]+)%.([%w_]+)[.(]") do
      if module == "aw" or module == "testing" then found[name] = true end
    end
  end
  return found
end

local meta, header, sources = in_meta(), in_header(), in_sources()

local function all_kinds()
  local is, kinds = {}, {}
  for _, found in ipairs { meta, header, sources, in_testing() } do
    for kind in pairs(found) do
      if not is[kind] then kinds[#kinds + 1] = kind end
      is[kind] = true
    end
  end
  table.sort(kinds)
  return kinds
end

local KINDS = all_kinds()

-- What is wrong with a column.
local function faults(column, has)
  local list = {}
  for _, kind in ipairs(KINDS) do
    local excuse = EXCUSES[column][kind]
    if not has(kind) and not excuse then list[#list + 1] = kind .. ": missing" end
    if has(kind) and excuse then list[#list + 1] = kind .. ": is there, though excused: " .. excuse end
  end
  for kind in pairs(EXCUSES[column]) do
    local known = false
    for _, other in ipairs(KINDS) do known = known or other == kind end
    if not known then list[#list + 1] = kind .. ": excused, and no kind" end
  end
  return table.concat(list, "\n")
end

local function among(found) return function(kind) return found[kind] ~= nil end end

local T = {}

function T.test_the_kinds_are_found_in_all_places()
  lu.assertTrue(#KINDS > 35, table.concat(KINDS, " "))
  for _, kind in ipairs { "sink", "tee", "tcp", "budgeted", "join", "take", "stderr", "mock", "custom" } do
    lu.assertStrContains(" " .. table.concat(KINDS, " ") .. " ", " " .. kind .. " ")
  end
end

function T.test_every_kind_has_its_constructor_in_the_module()
  lu.assertEquals(faults("facade", function(kind) return aw[kind] ~= nil or testing[kind] ~= nil end), "")
end

function T.test_every_kind_has_its_constructor_in_the_header() lu.assertEquals(faults("header", among(header)), "") end

function T.test_every_kind_is_among_those_of_the_conformance_tests()
  lu.assertEquals(faults("conformance", among(in_conformance())), "")
end

function T.test_every_kind_has_a_row_in_the_readme() lu.assertEquals(faults("readme", among(in_readme())), "") end

function T.test_every_kind_is_in_the_meta_file() lu.assertEquals(faults("meta", among(meta)), "") end

return T
