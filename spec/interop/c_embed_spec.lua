-- SPDX-License-Identifier: MIT
-- asyncwrite_lua.h: C programs that embed Lua in a loop of their own (spec/c/embed*.c), and a C module with writers of its
-- own that is linked against nothing of ours (spec/c/own_module.c). Run plainly, under valgrind, and against an installed tree.

local lu = require "luaunit"
local child = require "support.child"
local c_module = require "support.c_module"

local T = {}

local CC = os.getenv("CC") or "cc"
local MEMCHECK = "valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect "
  .. "--errors-for-leak-kinds=definite,indirect "
local CASES = {
  "children_and_listeners_keep_nothing_going", "close_in_a_callback", "close_before_the_loop_runs", "two_states",
  "fork_with_tasks", "fork_after_require",
  "loop_handed_in_too_late", "wakes_from_outside", "a_loop_of_another_kind",
}
local EMBED_OUT = ("there and back over tcp\n"):rep(4) .. "slept\n"

local function program(name)
  local path = child.build .. "/spec/" .. name
  local file = io.open(path)
  if not file then child.skip(path .. " was not built: make builds it") end
  file:close()
  return path
end

-- Without the preloaded sanitizers, which these programs have linked in.
local function check(command, expected)
  local result = child.sh(command, 120)
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, expected)
  lu.assertEquals(result.code, 0)
end

local function memcheck(command, expected)
  child.need("valgrind")
  child.not_sanitized("valgrind")
  check(MEMCHECK .. command, expected)
end

-- ---- Programs ----
function T.test_a_program_with_its_own_loop_and_its_own_writer_runs_lua_tasks() check(program "embed", EMBED_OUT) end

function T.test_valgrind_finds_no_error_and_no_leak_in_it() memcheck(program "embed", EMBED_OUT) end

for _, case in ipairs(CASES) do
  T["test_embedded_" .. case] = function() check(program "embed_states" .. " " .. case, "ok\n") end
  T["test_valgrind_on_" .. case] = function() memcheck(program "embed_states" .. " " .. case, "ok\n") end
end

-- ---- A module ----

-- The headers of the Lua at hand: pkg-config has them under several names.
local lua_cflags = c_module.cflags
local function build_module() return c_module.build("own_module") end

local function with_module(script)
  return ("package.cpath = %q .. package.cpath\nlocal aw = require 'asyncwrite'\nlocal own = require 'own_module'\n")
    :format(build_module() .. "/?.so;") .. script
end

local SCRIPT = [[
  assert(own.version(1) and not own.version(2))
  aw.run(function()
    -- A wrapper between two of the library's, around a stream whose read half comes along.
    local near, far = assert(aw.unix.pair())
    local w = aw.buf_writer(own.upper(near), 16)
    assert(tostring(w):find("^buf_writer%(16%) > upper > unix"), tostring(w))
    assert(not pcall(near.write, near, "x")) -- moved
    assert(w:write_all(("in capitals "):rep(100)) and w:flush())
    assert(far:read_exact(1200) == ("IN CAPITALS "):rep(100))
    assert(far:write_all("back"))
    assert(w:read_exact(4) == "back")
    assert(w:shutdown())
    assert(far:read() == nil)

    -- Around a writer in Lua, which lives as long as the wrapper.
    local lines = {}
    local c = own.upper(aw.custom { poll_write = function(_, s) lines[#lines + 1] = s return #s end })
    collectgarbage() collectgarbage()
    assert(c:write_all("kept") and lines[1] == "KEPT")

    -- A reader with a handle of its own on the loop.
    assert(own.ticker(5):read_to_end() == ".....")
    local n, _, code = aw.timeout(0.005, function() return own.ticker(1000):read_to_end() end)
    assert(n == nil and code == "ETIMEDOUT")

    -- Polls in C.
    local a, b = aw.duplex(4)
    assert(own.poll(a, "123456") == 4 and own.poll(a, "5") == false)
    assert(own.poll_read(b) == "1234" and own.poll_read(b) == false)
    b:close()
    local none, message, name = own.poll(a, "x")
    assert(none == nil and message == "EPIPE: broken pipe" and name == "EPIPE")
    local bad = aw.custom { poll_write = function() error("in Lua") end }
    local ok, err = pcall(own.poll, bad, "x")
    assert(not ok and err:find("in Lua", 1, true))

    -- Taking.
    a, b = aw.duplex(4)
    own.drop(a)
    assert(b:read() == nil and not pcall(a.write, a, "x"))
    local waiter = aw.spawn(function() return aw.unix.pair():read() end)
    aw.yield()
    waiter:cancel()
  end)
]]

function T.test_a_module_in_c_hands_its_own_writers_to_lua() child.check(with_module(SCRIPT)) end

function T.test_valgrind_on_the_module()
  child.need("valgrind")
  child.not_sanitized("valgrind")
  child.check(with_module(SCRIPT), { wrap = MEMCHECK, seconds = 120 })
end

function T.test_misuse_of_the_c_api_raises()
  child.check(with_module [[
    local function raises(pattern, f, ...)
      local ok, err = pcall(f, ...)
      assert(not ok and tostring(err):find(pattern), tostring(err))
    end
    raises("writer or reader expected, got no value", own.upper)
    raises("writer or reader expected, got table", own.upper, {})
    local w = aw.memory()
    raises("not in the context of a task", own.poll, w, "x")
    own.upper(w)
    raises("moved", own.upper, w)
    local closed = aw.memory()
    closed:close()
    raises("closed", own.drop, closed)
    aw.run(function()
      local a, b = aw.duplex(1)
      local reader = aw.spawn(function() return b:read() end)
      aw.yield()
      raises("EBUSY", own.drop, b)
      raises("EBUSY", own.poll_read, b)
      a:write("x")
      assert(reader:join() == "x")
      raises("a listener", own.drop, assert(aw.tcp.listen("127.0.0.1", 0)))
      raises("not a writer", own.upper, (aw.split(a)))
    end)
  ]])
end

function T.test_the_module_says_so_when_the_core_is_not_there()
  local folder = build_module()
  child.check(("package.cpath = %q .. package.cpath\n"):format(folder .. "/?.so;") .. [[
    local ok, err = pcall(require, "own_module")
    assert(not ok and err:find('require "asyncwrite.core" before', 1, true), err)
    package.loaded.own_module = nil -- LuaJIT marks what has failed
    require "asyncwrite.core"
    local registry = debug.getregistry()
    local api = registry["asyncwrite.api"]
    assert(type(api) == "userdata")
    assert(require("own_module"))
  ]])
end

function T.test_it_is_linked_against_nothing_of_the_library()
  child.need("nm")
  local result = child.sh("nm -D --undefined-only " .. build_module() .. "/own_module.so")
  lu.assertEquals(result.code, 0)
  lu.assertStrContains(result.out, "lua_")
  lu.assertNil(result.out:match("%f[%w]aw_%w+"))
end

-- ---- The headers ----
function T.test_the_table_has_every_function_it_declares()
  local text = {}
  for line in io.lines("csrc/asyncwrite_lua.h") do text[#text + 1] = line end
  local header = table.concat(text, "\n")
  local table_text = assert(header:match("struct aw_api {(.-)\n};"))
  local source = assert(io.open("csrc/lua/api.c")):read("*a")
  local count = 0
  for name in table_text:gmatch("%(%*([%w_]+)%)%(") do
    count = count + 1
    lu.assertStrContains(source, "." .. name .. " = ")
  end
  lu.assertTrue(count > 40)
end

function T.test_the_header_is_valid_cpp()
  child.need("g++")
  local result = child.sh("printf '%s\\n' 'extern \"C\" {' '#include <lua.h>' '}' '#include <asyncwrite_lua.h>' "
    .. "'const aw_api *get(lua_State *L) { return aw_lua_check_api(L); }' | "
    .. "g++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -Icsrc " .. lua_cflags() .. " -x c++ -")
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.code, 0)
end

-- ---- Installed ----
function T.test_the_example_builds_and_runs_against_an_installed_tree_that_was_moved()
  child.need("make", CC, "pkg-config")
  child.not_sanitized("an installed tree")
  local pc = rawget(_G, "jit") and "luajit" or "lua5.4"
  if child.sh("pkg-config --exists " .. pc).code ~= 0 then child.skip("pkg-config does not know " .. pc) end
  local root = os.tmpname()
  os.remove(root)
  local lua = rawget(_G, "jit") and "luajit" or "lua5.4"
  local abi = rawget(_G, "jit") and "5.1" or "5.4"
  local result = child.sh(([[
    unset MAKEFLAGS MAKELEVEL MFLAGS
    make -s install LUA=%s BUILD=%s DESTDIR=%s/stage prefix=/opt/aw >/dev/null && mv %s/stage/opt/aw %s/moved &&
    export PKG_CONFIG_PATH=%s/moved/lib/pkgconfig &&
    %s -std=c11 -D_GNU_SOURCE -o %s/embed spec/c/embed.c \
      $(pkg-config --define-prefix --cflags --libs asyncwrite) $(pkg-config --cflags --libs %s) &&
    cd / && LUA_PATH='%s/moved/share/lua/%s/?.lua;%s/moved/share/lua/%s/?/init.lua' \
      LUA_CPATH='%s/moved/lib/lua/%s/?.so' %s/embed]]):format(lua, child.build, root, root, root, root, CC, root, pc,
    root, abi, root, abi, root, abi, root), 120)
  os.execute("rm -rf " .. child.quote(root))
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, EMBED_OUT)
  lu.assertEquals(result.code, 0)
end

return T
