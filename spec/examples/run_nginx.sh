#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts nginx with spec/examples/nginx.conf in a folder of its own, asks it, prints the answers, stops it. PORT: 18080.
set -eu
port=${PORT:-18080}
modules=${NGINX_MODULES:-/usr/lib/nginx/modules}
folder=$(mktemp -d)
pid=
stop() {
  if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

chmod 755 "$folder" # its workers are another user's
mkdir "$folder/run"
ln -s "$modules" "$folder/modules"
# The paths of the example are those of this tree, and the port is ours.
sed -e "s#\"lua/?.lua;lua/?/init.lua;spec/examples/?.lua;#\"$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/spec/examples/?.lua;#" \
  -e "s#\"build/luajit/#\"$PWD/build/luajit/#" -e "s#listen 127.0.0.1:18080#listen 127.0.0.1:$port#" \
  spec/examples/nginx.conf >"$folder/nginx.conf"
nginx -p "$folder" -c "$folder/nginx.conf"
pid=$(cat "$folder/run/nginx.pid")
for path in /relay /lines; do
  answer=$(curl -sS --fail --max-time 10 "http://127.0.0.1:$port$path")
  printf '%s: %s\n' "$path" "$(printf '%s\n' "$answer" | tail -n 1)"
done
