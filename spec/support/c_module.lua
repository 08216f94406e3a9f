-- SPDX-License-Identifier: MIT
-- Modules in C of spec/c, built as their users would.

local lu = require "luaunit"
local child = require "support.child"

local M = {}

local CC = os.getenv("CC") or "cc"
local cflags

--- The flags for the headers of this Lua and of libuv; skips the running test where they are not known.
function M.cflags()
  if cflags then return cflags end
  child.need(CC, "pkg-config")
  local names = rawget(_G, "jit") and "luajit" or "lua5.4 lua-5.4 lua54 lua"
  local result = child.sh(("for pc in %s; do pkg-config --exists $pc && { pkg-config --cflags $pc libuv; exit; }; done; exit 1")
    :format(names))
  if result.code ~= 0 then child.skip("pkg-config does not know the headers of this Lua") end
  cflags = result.out:gsub("%s+$", "")
  return cflags
end

local built = {}

--- Builds spec/c/NAME.c into a folder of its own. Returns the folder.
function M.build(name)
  if built[name] then return built[name] end
  local folder = child.build .. "/" .. name
  local sanitize = child.sanitized and "-fsanitize=address,undefined" or ""
  local flags = "-std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -fPIC -fvisibility=hidden -Icsrc"
  local result = child.sh(("mkdir -p %s && %s %s %s %s -shared -Wl,-z,nodelete -o %s/%s.so spec/c/%s.c "
    .. "$(pkg-config --libs libuv)"):format(folder, CC, flags, sanitize, M.cflags(), folder, name, name))
  lu.assertEquals(result.err, "")
  lu.assertEquals(result.code, 0)
  built[name] = folder
  return folder
end

return M
