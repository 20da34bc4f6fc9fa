#!/usr/bin/env bash
# Sets the release line of wasmtime-fast-copy: the major version of wasmtime that it is built for.
#
#   scripts/release-line.sh 48|49|50 [DIR]
#
# Changes the tree in DIR, by default this checkout:
# - the version of wasmtime-fast-copy becomes LINE.0.0, unless it belongs to the line already
# - its requirements on wasmtime and wasmtime-wasi, and those of the tests
# - the rust-version of these packages, which is that of wasmtime
# - Cargo.lock
#
# The engine and the SDK for guests have versions of their own, which do not change. Needs the registry, unless
# cargo has its index already. Setting the same line again changes nothing.
#
# Exit status: 2 for a wrong argument, otherwise cargo's.
set -euo pipefail

fail() { # MESSAGE
  echo "scripts/release-line.sh: $1" >&2
  exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || fail "usage: scripts/release-line.sh 48|49|50 [DIR]"
line=$1
dir=${2-$(dirname "$0")/..}
# The first patch release of wasmtime that has no known vulnerability, and the compiler that it needs.
case $line in
  48) wasmtime=48.0.8 rust=1.95 ;;
  49) wasmtime=49.0.5 rust=1.96 ;;
  50) wasmtime=50.0.1 rust=1.97 ;;
  *) fail "there is no release line $line: use 48, 49 or 50" ;;
esac
host=$dir/Cargo.toml support=$dir/tests/support/Cargo.toml
grep -qs '^name = "wasmtime-fast-copy"$' "$host" && [ -f "$support" ] ||
  fail "$dir: not a checkout of wasmtime-fast-copy"

sed -i -E \
  -e "s/^(wasmtime(-wasi)? = \{ version = )\"[^\"]*\"/\1\"$wasmtime\"/" \
  -e "s/^rust-version = .*/rust-version = \"$rust\"/" "$host" "$support"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$host" | head -1)
if [ "${version%%.*}" != "$line" ]; then
  version=$line.0.0
  sed -i "1,/^version = /s/^version = .*/version = \"$version\"/" "$host"
fi
# Changes only what the new requirements need.
cargo update --quiet --workspace --manifest-path "$host"

locked() { # PACKAGE
  sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/\1/p}" "$dir/Cargo.lock"
}
echo "wasmtime-fast-copy $version, wasmtime $(locked wasmtime), wasmtime-wasi $(locked wasmtime-wasi), Rust $rust"
