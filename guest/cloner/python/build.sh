#!/usr/bin/env bash
# Builds app.py as a component.
#
#   python/build.sh [OUT]
#
# Writes OUT/python.wasm. OUT is target/guest-languages by default. Nothing is installed outside OUT.
#
# Needs Python 3.10 or later with venv, on Debian 12
#   apt-get install --no-install-recommends python3-venv
# Installs componentize-py in OUT.
#
# Exits with status 3 if something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1-target/guest-languages}
mkdir -p "$out"
out=$(cd "$out" && pwd)
version=0.25.1
venv=$out/componentize-py-$version

missing() {
  echo "python/build.sh: $1 is missing: see the top of this script" >&2
  exit 3
}

# Nothing to do if no source is newer than the component.
if [ -e "$out/python.wasm" ] && [ -z "$(find "$here" "$here/../wit" -newer "$out/python.wasm")" ]; then
  exit
fi

if [ ! -x "$venv/bin/componentize-py" ]; then
  command -v python3 >/dev/null || missing python3
  python3 -m venv "$venv" || missing python3-venv
  "$venv/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$version" ||
    missing componentize-py
fi

# Python writes its cache beside the sources.
rm -rf "$out/python"
mkdir "$out/python"
cp "$here"/*.py "$out/python/"
"$venv/bin/componentize-py" --wit-path "$here/../wit" --world cloner \
  componentize --python-path "$out/python" --output "$out/python.wasm" app
