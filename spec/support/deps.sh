#!/bin/sh
# SPDX-License-Identifier: MIT
# Says which of the needs named as arguments are missing, and installs them where there is apt-get. With --try first each
# is tried by itself: what cannot be had is told, and the rest goes on. Nothing is ever removed.
# From the Makefile: CC, CLANG, PKG_CONFIG, LUA (the interpreter), LUA_PCS (its possible pkg-config names).
set -u

found() { command -v "$1" >/dev/null 2>&1; }

any_pc() {
  for pc in "$@"; do "$PKG_CONFIG" --exists "$pc" 2>/dev/null && return; done
  return 1
}

loads() { "$1" -e "require '$2'" >/dev/null 2>&1; }

has() {
  case $1 in
    cc) found "$CC" ;;
    pkg-config) found "$PKG_CONFIG" ;;
    libuv) any_pc libuv ;;
    lua-headers) any_pc $LUA_PCS ;;
    lua) found "$LUA" ;;
    luaunit | luv | cqueues) loads "$LUA" "$1" ;;
    luajit-headers) any_pc luajit ;;
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
dpkg-query -W -f '${Status}' libluajit-5.1-2 2>/dev/null | grep -q ' installed$' && luajit=luajit

# The Debian package of a need.
package() {
  case $1 in
    cc) echo gcc libc6-dev ;;
    libuv) echo libuv1-dev ;;
    lua-headers) case $LUA in *luajit*) echo "lib$luajit-5.1-dev" ;; *) echo liblua5.4-dev ;; esac ;;
    lua) case $LUA in *luajit*) echo "$luajit" ;; *) echo lua5.4 ;; esac ;;
    luajit) echo "$luajit" ;;
    luajit-headers) echo "lib$luajit-5.1-dev" ;;
    luaunit) echo lua-unit ;;
    luv | cqueues) echo "lua-$1" ;;
    nvim) echo neovim ;;
    nginx-lua) echo nginx libnginx-mod-http-lua ;;
    luacheck) echo lua-check ;;
    libfuzzer) echo libclang-rt-dev ;;
    *) echo "$1" ;;
  esac
}

missing_of() {
  for need in "$@"; do has "$need" || printf '%s ' "$need"; done
}

# What keeps apt-get from being used at all, or nothing.
obstacle() {
  if ! found apt-get; then
    echo "there is no apt-get here"
  elif [ "$(id -u)" -ne 0 ] && ! found sudo; then
    echo "that needs root, and there is no sudo"
  fi
}

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

update() { $sudo apt-get update -q || echo "deps: apt-get update failed; trying with the package lists there are"; }

install() {
  echo "deps: ${sudo:+sudo }apt-get install $*"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-remove \
    -o DPkg::Lock::Timeout=120 "$@"
}

try_each() {
  why=$(obstacle)
  updated=
  for need in "$@"; do
    has "$need" && continue
    if [ "$need" = nginx-lua ] && [ "$luajit" = luajit ]; then
      echo "deps: skipped: $need needs OpenResty's LuaJIT, which Debian's own excludes; what is installed stays"
      continue
    fi
    if [ -n "$why" ]; then
      echo "deps: skipped: $need is missing, and $why"
      continue
    fi
    [ -n "$updated" ] || update
    updated=yes
    # A need may bring the next.
    install $(package "$need") || echo "deps: skipped: $need is missing, and apt-get could not install it"
  done
  exit 0
}

if [ "$1" = --try ]; then
  shift
  try_each "$@"
fi

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

why=$(obstacle)
[ -z "$why" ] || { echo "deps: $why: run it as root"; exit 1; }
packages=$(for need in $missing; do package "$need"; done | tr '\n' ' ')
update
install $packages || exit 1

missing=$(missing_of "$@")
[ -z "$missing" ] || { echo "deps: still missing: $missing"; exit 1; }
