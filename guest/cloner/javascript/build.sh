#!/usr/bin/env bash
# Builds guest.js as a component.
#
#   javascript/build.sh [OUT]
#
# Writes OUT/javascript.wasm. OUT is target/guest-languages by default. Nothing is installed outside OUT.
#
# Needs Node.js and npm, on Debian 12
#   apt-get install --no-install-recommends nodejs npm
# Installs componentize-js in OUT, which takes 400 MB, and a newer Node.js if this one is too old for it.
#
# Exits with status 3 if something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1-target/guest-languages}
mkdir -p "$out/javascript"
out=$(cd "$out" && pwd)
work=$out/javascript

missing() {
  echo "javascript/build.sh: $1 is missing: see the top of this script" >&2
  exit 3
}

# Nothing to do if no source is newer than the component.
wasm=$out/javascript.wasm
if [ -e "$wasm" ] && [ -z "$(find "$here" "$here/../wit" -newer "$wasm")" ]; then
  exit
fi

for tool in node npm; do
  command -v "$tool" >/dev/null || missing "$tool"
done
# Debian 12 has Node.js 18, which is too old for componentize-js. The registry of npm has newer ones.
recent='
  const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1);'
npm=(npm)
if ! node -e "$recent"; then
  newer=$out/node-20.20.2
  [ -x "$newer/node_modules/.bin/node" ] ||
    npm install --silent --no-audit --no-fund --prefix "$newer" node@20.20.2 || missing Node.js
  export PATH=$newer/node_modules/.bin:$PATH
  # npm itself has to run in it: it leaves out what its own Node.js is too old for.
  npm=(node "$(readlink -f "$(command -v npm)")")
fi
# npm writes a copy of the lock file when it has installed everything.
if [ ! "$work/node_modules/.package-lock.json" -nt "$here/package-lock.json" ]; then
  cp "$here"/package*.json "$work/"
  (cd "$work" && "${npm[@]}" ci --silent --no-audit --no-fund) || missing componentize-js
fi

# Node.js looks for modules beside the program that imports them.
cp "$here/build.mjs" "$work/"
node "$work/build.mjs" "$here/guest.js" "$here/../wit" "$wasm"
