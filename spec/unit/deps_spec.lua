-- SPDX-License-Identifier: MIT
-- spec/support/deps.sh, over a PATH that has only what a test puts there.

local lu = require "luaunit"
local child = require "support.child"

local T = {}

local TOOLS = "sh cat env grep head tail tr id dpkg-query printf"

-- Runs deps.sh with stubs, name -> shell text, beside the few tools that it needs. Returns what sh returns.
local function deps(args, stubs)
  child.need("sh", "grep", "mktemp")
  local lines = { "d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT" }
  lines[#lines + 1] = ("for t in %s; do p=$(command -v $t) && [ -x \"$p\" ] && ln -s \"$p\" $d/$t; done"):format(TOOLS)
  for name, text in pairs(stubs) do
    lines[#lines + 1] = ("rm -f $d/%s; printf '#!/bin/sh\\n%%s\\n' %s >$d/%s; chmod +x $d/%s"):format(name,
      child.quote(text), name, name)
  end
  lines[#lines + 1] = "CC=cc LUA=lua5.4 LUA_PCS=lua5.4 PKG_CONFIG=pkg-config CLANG=clang NGINX_MODULES=$d PATH=$d sh " ..
    "spec/support/deps.sh " .. args
  return child.sh(table.concat(lines, "\n"))
end

local ROOT, USER = "echo 0", "echo 1000"
local OPENRESTYS, MAINLINE = "exit 1", "echo 'install ok installed'"

function T.test_what_is_there_is_not_asked_for()
  local result = deps("--try curl nvim", { id = ROOT, curl = "", nvim = "", ["apt-get"] = "echo asked" })
  lu.assertEquals(result.out, "")
  lu.assertEquals(result.code, 0)
end

function T.test_each_that_apt_cannot_deliver_is_told_and_the_rest_goes_on()
  local apt = [[case "$*" in *" neovim"*) exit 0 ;; *) exit 100 ;; esac]]
  local result = deps("--try curl nvim luv", { id = ROOT, ["dpkg-query"] = OPENRESTYS, ["apt-get"] = apt })
  lu.assertEquals(result.code, 0, result.err)
  lu.assertStrContains(result.out, "deps: skipped: curl is missing, and apt-get could not install it\n")
  lu.assertStrContains(result.out, "deps: skipped: luv is missing, and apt-get could not install it\n")
  lu.assertStrContains(result.out, "deps: apt-get install neovim\n")
  lu.assertNil(result.out:find("skipped: nvim", 1, true))
  lu.assertEquals(select(2, result.out:gsub("apt%-get update failed", "")), 1)
end

function T.test_without_apt_or_without_rights_all_is_told_and_nothing_fails()
  local result = deps("--try curl nvim", { id = ROOT })
  lu.assertEquals(result.code, 0)
  lu.assertEquals(result.out, "deps: skipped: curl is missing, and there is no apt-get here\n" ..
    "deps: skipped: nvim is missing, and there is no apt-get here\n")
  result = deps("--try curl", { id = USER, ["apt-get"] = "echo asked" })
  lu.assertEquals(result.code, 0)
  lu.assertEquals(result.out, "deps: skipped: curl is missing, and that needs root, and there is no sudo\n")
end

function T.test_the_luajit_that_is_there_stays()
  local stubs = { id = ROOT, ["dpkg-query"] = MAINLINE, ["apt-get"] = 'echo "apt-get $*"' }
  local result = deps("--try luajit luajit-headers nginx-lua", stubs)
  lu.assertStrContains(result.out, "deps: skipped: nginx-lua needs OpenResty's LuaJIT")
  lu.assertStrContains(result.out, "install luajit\n")
  lu.assertStrContains(result.out, "install libluajit-5.1-dev\n")
  stubs["dpkg-query"] = OPENRESTYS
  result = deps("--try luajit luajit-headers nginx-lua", stubs)
  lu.assertStrContains(result.out, "install luajit2\n")
  lu.assertStrContains(result.out, "install libluajit2-5.1-dev\n")
  lu.assertStrContains(result.out, "install nginx libnginx-mod-http-lua\n")
end

function T.test_nothing_is_ever_removed_to_install_something()
  local stubs = { id = ROOT, ["dpkg-query"] = OPENRESTYS, ["apt-get"] = '[ "$1" = update ] || echo "apt-get $*"' }
  local n = 0
  for line in (deps("--try curl", stubs).out .. deps("curl", stubs).out):gmatch("[^\n]+") do
    if line:find("^apt%-get") then
      n = n + 1
      lu.assertStrContains(line, " --no-remove ")
    end
  end
  lu.assertEquals(n, 2)
end

function T.test_what_must_be_there_and_is_not_is_a_failure()
  local result = deps("libuv", { id = ROOT, ["dpkg-query"] = OPENRESTYS, ["apt-get"] = "exit 100" })
  lu.assertEquals(result.code, 1)
  result = deps("libuv", { id = USER, ["apt-get"] = "exit 0" })
  lu.assertEquals(result.code, 1)
  lu.assertStrContains(result.out, "needs root")
end

return T
