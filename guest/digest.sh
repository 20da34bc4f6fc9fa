#!/usr/bin/env bash
# Prints the content of prebuilt/SHA256SUMS: one SHA-256 of everything that the bundled components are
# built from (sources, manifests, lock file, WIT, build.sh and the entry point in C), and one of each
# component. tests/bundled_guest.rs compares it with the file.
set -euo pipefail
cd "$(dirname "$0")/.."
sources() {
  find guest/*/src wit -type f
  find guest -maxdepth 2 -name Cargo.toml
  printf '%s\n' guest/Cargo.lock guest/build.sh guest/toolchain/crt1-command.c
}
sources | LC_ALL=C sort | xargs sha256sum | sha256sum | sed 's/-$/sources/'
cd prebuilt
sha256sum *.wasm
