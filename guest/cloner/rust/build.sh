#!/usr/bin/env bash
# Builds src/main.rs as a component.
#
#   rust/build.sh [OUT]
#
# Writes OUT/rust.wasm. OUT is target/guest-languages by default.
#
# Uses guest/build.sh, which names what it needs.
#
# Exits with status 3 if something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1-target/guest-languages}
mkdir -p "$out/rust"
"$here/../../build.sh" --manifest-path "$here/Cargo.toml" "$out/rust" >/dev/null
cp "$out/rust/cloner.wasm" "$out/rust.wasm"
