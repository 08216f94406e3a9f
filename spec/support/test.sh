#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the specs, under LuaJIT too where it is there, and sums up: the last line is "N passed, N failed".
# From the Makefile: MAKE, LUA, SAN, SPECS, HOSTS.
set -u
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# specs VARIABLE...: a run that ends without counts is one failure.
specs() {
  lines=$(wc -l <"$counts")
  rc=0
  "$MAKE" --no-print-directory specs "$@" || rc=$?
  if [ "$(wc -l <"$counts")" -eq "$lines" ]; then
    echo "0 1 0" >>"$counts"
  elif [ "$rc" -ne 0 ]; then # a leak, say, that is found after the counts
    tail -n 1 "$counts" | grep -q '^[0-9]* 0 ' && echo "0 1 0" >>"$counts"
  fi
}

without_luajit() {
  case $LUA in *luajit*) echo "LUA is luajit" ;; esac
  [ "$SAN" != 1 ] || echo "SAN=1 is about one flavour"
  [ "$HOSTS" != no ] || echo "HOSTS=no"
  [ -e build/luajit/asyncwrite/core.so ] || echo "build/luajit is not there"
  luajit -e 'require "luaunit"' >/dev/null 2>&1 || echo "luajit or its luaunit is missing"
}

# nginx and Neovim have LuaJIT inside, whoever asks them, and the sanitizers do not reach them.
elsewhere="-x nginx_ -x nvim_spec"
if [ "$HOSTS" = no ] || [ "$SAN" = 1 ]; then
  echo "not run: nginx and Neovim (SAN=1 or HOSTS=no)"
  specs SPECS="$SPECS $elsewhere --counts=$counts"
else
  specs SPECS="$SPECS --counts=$counts"
fi
why=$(without_luajit | head -n 1)
if [ -z "$why" ]; then
  echo "== under LuaJIT, without nginx and Neovim, which were asked above"
  specs LUA=luajit BUILD=build/luajit SPECS="$SPECS $elsewhere --counts=$counts"
else
  echo "not run under LuaJIT: $why"
fi

awk '{ passed += $1; failed += $2; skipped += $3 }
  END { if (passed + failed + skipped == 0) { print "no test was found"; failed = 1 }
    printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""; exit failed > 0 }' "$counts"
