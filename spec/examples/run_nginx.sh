#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts nginx with spec/examples/nginx.conf in a folder of its own, asks it, prints the answers, stops it.
set -eu
modules=${NGINX_MODULES:-/usr/lib/nginx/modules}
folder=$(mktemp -d)
chmod 755 "$folder"
mkdir "$folder/run" "$folder/spec"
ln -s "$modules" "$folder/modules"
ln -s "$PWD/lua" "$folder/lua"
ln -s "$PWD/build" "$folder/build"
sed "s#\"lua/?.lua;lua/?/init.lua;spec/examples/?.lua;#\"$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/spec/examples/?.lua;#
  s#\"build/luajit/#\"$PWD/build/luajit/#" spec/examples/nginx.conf >"$folder/nginx.conf"
nginx -p "$folder" -c "$folder/nginx.conf"
pid=$(cat "$folder/run/nginx.pid")
stop() {
  kill -QUIT "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  rm -rf "$folder"
}
trap stop EXIT
for path in /relay /lines; do
  printf '%s: ' "$path"
  curl -sS --max-time 10 "http://127.0.0.1:18080$path" | tail -n 1
done
