#!/bin/sh
# SPDX-License-Identifier: MIT
# Says which of the needs named as arguments are missing, and installs them where there is apt-get.
# From the Makefile: CC, CLANG, PKG_CONFIG, LUA (the interpreter), LUA_PCS (its possible pkg-config names).
set -u

found() { command -v "$1" >/dev/null 2>&1; }

any_pc() {
  for pc in "$@"; do "$PKG_CONFIG" --exists "$pc" 2>/dev/null && return; done
  return 1
}

has() {
  case $1 in
    cc) found "$CC" ;;
    pkg-config) found "$PKG_CONFIG" ;;
    libuv) any_pc libuv ;;
    lua-headers) any_pc $LUA_PCS ;;
    lua) found "$LUA" ;;
    luaunit) "$LUA" -e 'require "luaunit"' >/dev/null 2>&1 ;;
    clang) found "$CLANG" ;;
    libfuzzer) echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return 0 * (p[n] != 0); }' |
      "$CLANG" -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null ;;
    lua5.1) found luac5.1 ;;
    nginx-lua) found nginx && [ -e "${NGINX_MODULES:-/usr/lib/nginx/modules}/ngx_http_lua_module.so" ] ;;
    *) found "$1" ;;
  esac
}

# Debian has two LuaJITs that exclude each other: stay with the one that is there, else OpenResty's.
luajit=luajit2
dpkg -s libluajit-5.1-2 >/dev/null 2>&1 && luajit=luajit

# The Debian package of a need.
package() {
  case $1 in
    cc) echo gcc libc6-dev ;;
    libuv) echo libuv1-dev ;;
    lua-headers) case $LUA in *luajit*) echo "lib$luajit-5.1-dev" ;; *) echo liblua5.4-dev ;; esac ;;
    lua) case $LUA in *luajit*) echo "$luajit" ;; *) echo lua5.4 ;; esac ;;
    luaunit) echo lua-unit ;;
    nginx-lua) echo nginx libnginx-mod-http-lua ;;
    luacheck) echo lua-check ;;
    libfuzzer) echo libclang-rt-dev ;;
    *) echo "$1" ;;
  esac
}

missing_of() {
  for need in "$@"; do has "$need" || printf '%s ' "$need"; done
}

missing=$(missing_of "$@")
[ -n "$missing" ] || exit 0
echo "deps: missing: $missing"

if ! found apt-get; then
  echo "deps: there is no apt-get here; install them with your system's package manager (libuv and Lua with their headers)"
  for need in cc libuv lua-headers; do
    case " $missing" in *" $need "*) exit 1 ;; esac
  done
  exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
  found sudo && sudo=sudo
fi
packages=$(for need in $missing; do package "$need"; done | tr '\n' ' ')
echo "deps: ${sudo:+sudo }apt-get install $packages"
if [ "$(id -u)" -ne 0 ] && [ -z "$sudo" ]; then
  echo "deps: that needs root, and there is no sudo: run it as root"
  exit 1
fi
$sudo apt-get update -q || echo "deps: apt-get update failed; trying with the package lists there are"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 $packages || exit 1

missing=$(missing_of "$@")
[ -z "$missing" ] || { echo "deps: still missing: $missing"; exit 1; }
