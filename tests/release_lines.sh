#!/usr/bin/env bash
# Builds the release lines for other versions of wasmtime than the one that this checkout is built for.
#
#   tests/release_lines.sh
#   tests/release_lines.sh --run
#
# For wasmtime 49 and 50, checks the library, the tests, the examples and the benchmarks in a copy of this checkout,
# in which scripts/release-line.sh has set the versions. With --run, for wasmtime 48, 49 and 50, adds the packaged
# library to a new host with the README's commands, and runs the bundled guests with it.
#
# Each line is built with the first of rustc and /usr/bin/rustc (Debian's package rustc-web) that is new enough for
# it. If none is, it is built with the newest one and --ignore-rust-version. A line that this compiler is known not
# to build is left out; under CI that is a failure.
#
# Exit status: 2 for a wrong argument.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
case $* in
  '') run='' lines=(49 50) ;;
  --run) run=1 lines=(48 49 50) ;;
  *)
    echo "usage: tests/release_lines.sh [--run]" >&2
    exit 2
    ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=$root/target/release-lines

version() { # COMPILER
  "$1" --version 2>/dev/null | cut -d' ' -f2
}
at_least() { # VERSION VERSION
  [ "$(printf '%s\n' "$1" "$2" | sort -V | head -1)" = "$2" ]
}

# Sets RUSTC and options. Fails if there is no compiler for the line.
choose_compiler() { # RUST-VERSION
  local compiler
  options=()
  export RUSTC=rustc
  for compiler in rustc /usr/bin/rustc; do
    at_least "$(version "$compiler")" "$1" && RUSTC=$compiler && return
    at_least "$(version "$RUSTC")" "$(version "$compiler")" || RUSTC=$compiler
  done
  options=(--ignore-rust-version)
  # wasmtime 49 needs what 1.96 has, and 50 does not need more.
  at_least "$(version "$RUSTC")" 1.96
}

# Copies the files of the checkout, also those that are not committed.
copy() { # DIR
  mkdir "$1"
  git ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$1"
}

check() { # TREE
  # Nothing runs but what builds: there a fast parser is of no use.
  cargo check --quiet --locked --workspace --all-targets --manifest-path "$1/Cargo.toml" "${options[@]}" \
    --config 'profile.dev.package.wasmparser.opt-level=0'
}

# Makes a host with the README's commands, outside the workspace and from the packages, and runs the guests.
run_guests() { # TREE LINE
  local packages=$1/packages host=$1/my-host name
  (cd "$1" && cargo package --quiet --no-verify --target-dir "$packages" --package fast-copy-engine \
    --package wasmtime-fast-copy 2>/dev/null)
  for name in fast-copy-engine wasmtime-fast-copy; do
    mkdir "$packages/$name"
    tar -xzf "$packages/package/$name"-[0-9]*.crate -C "$packages/$name" --strip-components=1
  done

  mkdir -p "$host"/{src,examples,prebuilt,images}
  cat >"$host/Cargo.toml" <<TOML
[workspace]

[package]
name = "my-host"
edition = "2024"

[patch.crates-io]
fast-copy-engine = { path = "$packages/fast-copy-engine" }
TOML
  cd "$host"
  sed -n '/^```rust,no_run$/,/^```$/p' "$root/README.md" | grep -v '^```' >src/main.rs
  while read -r name; do
    $name --quiet
  done < <(sed -n '/^cargo new my-host$/,/^```$/p' "$root/README.md" | grep '^cargo add ' |
    sed -e "s/@48/@$2/g" -e "s|CHECKOUT|$packages/wasmtime-fast-copy|")
  cp "$root/prebuilt/clone-disk.wasm" "$root/prebuilt/clone-disk-p3.wasm" prebuilt/
  truncate -s 1G images/base.img
  echo text | dd of=images/base.img bs=1M seek=512 conv=notrunc status=none
  cargo run --quiet "${options[@]}" -- prebuilt/clone-disk.wasm images clone base.img vm1.img vm2.img
  cmp images/base.img images/vm1.img
  cmp images/base.img images/vm2.img

  # A host for WASI 0.3.
  cargo add --quiet wasmtime-fast-copy --path "$packages/wasmtime-fast-copy" --features p3
  cargo add --quiet tempfile
  cp "$root/examples/p3_host.rs" examples/
  cargo run --quiet "${options[@]}" --example p3_host
  cd "$root"
}

missing=()
for line in "${lines[@]}"; do
  tree=$work/$line
  copy "$tree"
  SECONDS=0
  "$tree/scripts/release-line.sh" "$line"
  if ! choose_compiler "$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$tree/Cargo.toml")"; then
    echo "not built: the newest compiler here is $(version "$RUSTC")"
    missing+=("$line")
    continue
  fi
  if [ -n "$run" ]; then
    run_guests "$tree" "$line"
    what="runs the bundled guests"
  else
    check "$tree"
    what="library and tests build"
  fi
  echo "$what with rustc $(version "$RUSTC") ${options[*]} ($SECONDS s)"
done
if [ ${#missing[@]} -gt 0 ] && [ -n "${CI-}" ]; then
  echo "tests/release_lines.sh: no compiler for wasmtime ${missing[*]}: install Debian's rustc-web" >&2
  exit 1
fi
