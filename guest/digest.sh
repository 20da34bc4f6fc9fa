#!/usr/bin/env bash
# Prints the SHA-256 of everything that the guest components are made from: their sources, manifests
# and lock file, the WIT, and how they are built.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  find guest/*/src wit/p2 -type f
  find guest -maxdepth 2 -name Cargo.toml -not -path '*/target/*'
  echo guest/Cargo.lock guest/build.sh guest/toolchain/crt1-command.c | tr ' ' '\n'
} | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1
