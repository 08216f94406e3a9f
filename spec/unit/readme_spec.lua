-- SPDX-License-Identifier: MIT
-- Every block of Lua and C in README.md is run. What a block of Lua prints must be what its comments "--> ..." say.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"
local child = require "support.child"

local LIMIT = 30 -- seconds for a block

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local readme = read_file("README.md")

-- The blocks in that language: { text, line, the number of its fence }.
local function blocks(language)
  local list, block, line = {}, nil, 0
  for text in readme:gmatch("([^\n]*)\n") do
    line = line + 1
    if block and text == "```" then
      block.text = table.concat(block, "\n") .. "\n"
      block = nil
    elseif block then
      block[#block + 1] = text
    elseif text == "```" .. language then
      block = { line = line }
      list[#list + 1] = block
    end
  end
  return list
end

local function expected_output(text)
  local lines = {}
  for said in text:gmatch("%-%-> ([^\n]*)") do lines[#lines + 1] = said .. "\n" end
  return table.concat(lines)
end

local M = {}

function M.test_every_block_of_lua_runs_and_prints_what_its_comments_say()
  local list = blocks("lua")
  lu.assertTrue(#list >= 5, "blocks of Lua in README.md")
  for _, block in ipairs(list) do
    local where = "README.md:" .. block.line
    local result = child.run(block.text, { seconds = LIMIT })
    lu.assertEquals({ result.code, result.err }, { 0, "" }, where)
    lu.assertEquals(result.out, expected_output(block.text), where)
  end
end

-- An executable of a C program, or with -fsyntax-only none, by what stands in the Makefile for the tests' own programs.
local function compile(source, flags)
  local path = os.tmpname()
  os.remove(path)
  local file = assert(io.open(path .. ".c", "wb"))
  file:write(source)
  file:close()
  local command = ("%s -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Icsrc $(pkg-config --cflags libuv) -o %s %s.c %s")
  local result = child.sh(command:format(os.getenv("CC") or "cc", path, path, flags), LIMIT)
  os.remove(path .. ".c")
  lu.assertEquals({ result.code, result.err }, { 0, "" })
  return path
end

function M.test_every_block_of_c_compiles_and_programs_run()
  child.need("cc", "pkg-config")
  local programs = 0
  for _, block in ipairs(blocks("c")) do
    if not block.text:find("int main(", 1, true) then
      compile(block.text, "-fsyntax-only")
    elseif not child.sanitized then
      local path = compile(block.text, child.build .. "/libasyncwrite.a $(pkg-config --libs libuv) -pthread")
      local result = child.sh(path, LIMIT)
      os.remove(path)
      lu.assertEquals({ result.code, result.out, result.err }, { 0, "hello\n", "" })
      programs = programs + 1
    end
  end
  lu.assertEquals(programs, child.sanitized and 0 or 1)
end

function M.test_the_exit_statuses_of_awcat_are_those_of_its_help()
  local found, options = pcall(require, "asyncwrite.awcat.options")
  if not found then child.skip("there is no awcat yet") end
  local statuses = options.HELP:match("exit status:\n(.*)")
  local count = 0
  for status, text in statuses:gmatch("  (%d+) +([^\n]+)\n") do
    lu.assertStrContains(readme, ("| %s | %s |"):format(status, text))
    count = count + 1
  end
  lu.assertTrue(count >= 4)
end

function M.test_what_the_map_of_the_tree_names_is_there()
  local count = 0
  for path in readme:match("## Map of the tree.*"):gmatch("\n| `([^`]+)`") do
    local file = io.open(path)
    lu.assertNotNil(file, path)
    file:close()
    count = count + 1
  end
  lu.assertTrue(count >= 5)
end

-- The cell of a default in the table of limits.
local function default(what)
  local row = readme:match("\n| " .. what:gsub("%W", "%%%0") .. "[^|]*| ([^|]+) |")
  lu.assertNotNil(row, "a row about " .. what)
  return row
end

function M.test_defaults_in_the_table_of_limits_are_the_real_ones()
  lu.assertStrContains(tostring(aw.buf_writer(aw.sink())), ("(%s)"):format(default("`buf_writer`")))
  local near = aw.duplex(1)
  lu.assertStrContains(tostring(aw.buf_reader(near)), ("(%s)"):format(default("`buf_reader`")))
  lu.assertEquals(#aw.cursor(("x"):rep(100000)):try_read(), tonumber(default("`read`")))
  lu.assertStrContains(default("`read_until`"), "2^20, then `EMSGSIZE`")
  lu.assertStrContains(default("`read_to_end`"), "2^26, then `EMSGSIZE`")
  check.run(function()
    lu.assertEquals(#aw.cursor(("x"):rep(2 ^ 20 - 1) .. "\n"):read_until("\n"), 2 ^ 20)
    check.fails("EMSGSIZE", aw.cursor(("x"):rep(2 ^ 20) .. "\n"):read_until("\n"))
    check.fails("EMSGSIZE", aw.cursor(("x"):rep(2 ^ 26 + 1)):read_to_end())
  end)
end

return M
