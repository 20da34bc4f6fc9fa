#!/usr/bin/env bash
# Prints the SHA-256 of the bundled components, and of everything that they are made from: sources,
# manifests and lock file, the WIT, and how they are built.
set -euo pipefail
cd "$(dirname "$0")/.."
sources() {
  find guest/*/src wit/p2 -type f
  find guest -maxdepth 2 -name Cargo.toml
  printf '%s\n' guest/Cargo.lock guest/build.sh guest/toolchain/crt1-command.c
}
sources | LC_ALL=C sort | xargs sha256sum | sha256sum | sed 's/-$/sources/'
cd prebuilt
sha256sum *.wasm
