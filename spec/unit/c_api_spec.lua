-- SPDX-License-Identifier: MIT
-- The C API: spec/c/own_writer.c and many_buffers.c, which check themselves, run plainly and under valgrind.

local lu = require "luaunit"
local child = require "support.child"

local T = {}
local SOURCE = "spec/c/own_writer.c"

local function program(name)
  local path = child.build .. "/spec/" .. (name or "own_writer")
  local file = io.open(path)
  if not file then child.skip(path .. " was not built: make builds it") end
  file:close()
  return path
end

local function run(command)
  local result = child.sh(command, 120)
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.out, "ok\n")
  lu.assertEquals(result.code, 0)
end

function T.test_a_writer_of_ones_own_stacks_under_buf_writer_and_tcp_runs_on_both_kinds_of_loop() run(program()) end

function T.test_V7_of_more_buffers_than_the_system_takes_so_many_are_handed_on_and_nothing_is_lost()
  run(program("many_buffers"))
end

function T.test_valgrind_finds_no_error_and_no_leak_in_it()
  child.need("valgrind")
  child.not_sanitized("valgrind")
  run("valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible "
    .. "--errors-for-leak-kinds=definite,indirect,possible " .. program())
end

function T.test_it_includes_nothing_of_the_library_but_asyncwrite_h()
  for line in io.lines(SOURCE) do
    local own = line:match('^#include "(.*)"')
    if own then lu.assertEquals(own, "asyncwrite.h") end
    lu.assertNil(line:match("^#include <lua"))
  end
end

-- Every function of the header is there: a program that names them all links.
function T.test_every_function_of_the_header_is_in_the_library()
  local cc = os.getenv("CC") or "cc"
  child.need(cc, "pkg-config")
  local names = {}
  for _, header in ipairs { "asyncwrite", "asyncwrite_wrappers" } do
    for line in io.lines("csrc/" .. header .. ".h") do
      local name = line:match("^AW_API.-(aw_[%w_]+)%(")
      if name then names[#names + 1] = ("(void *)(size_t)%s"):format(name) end
    end
  end
  lu.assertTrue(#names > 100)
  local base = os.tmpname()
  local file = assert(io.open(base .. ".c", "w"))
  file:write('#include "asyncwrite.h"\nvoid *volatile all[] = {', table.concat(names, ",\n"),
    "};\nint main(void) { return all[0] == NULL; }\n")
  file:close()
  local sanitize = child.sanitized and "-fsanitize=address,undefined" or ""
  local result = child.sh(("%s %s -Icsrc -o %s.out %s.c %s/libasyncwrite.a $(pkg-config --libs libuv) -pthread && %s.out")
    :format(cc, sanitize, base, base, child.build, base))
  for _, suffix in ipairs { "", ".c", ".out" } do os.remove(base .. suffix) end
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.code, 0)
end

-- C++ programs can include it as well.
function T.test_the_header_is_valid_cpp()
  if not child.has("g++") then child.skip("no g++") end
  local result = child.sh("echo '#include \"asyncwrite.h\"' | "
    .. "g++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -Icsrc -x c++ -")
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.code, 0)
end

return T
