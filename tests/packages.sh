#!/usr/bin/env bash
# Packages the three crates, and builds a host and a guest library outside the workspace from the packages.
#
#   tests/packages.sh
#
# Checks that each package has what it needs and nothing else, and that the links in its texts lead to files in
# it. Set CARGO_TARGET_DIR to use dependencies that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# The host's major version is that of wasmtime.
line=$(sed -n 's/^version = "\([0-9]*\)\..*/\1/p' Cargo.toml | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# In a checkout with changes that are not committed, cargo packages nothing without --allow-dirty.
dirty=
[ -z "$(git status --porcelain)" ] || dirty=--allow-dirty
crates=(fast-copy-engine wasmtime-fast-copy fast-copy)
# They depend on one another; cargo packages them as one set.
cargo package --locked --quiet --no-verify $dirty --target-dir "$work/target" "${crates[@]/#/--package=}" 2>&1 |
  { grep -v -e 'manifest has no documentation' -e '^  |$' -e 'package-metadata for more info' \
    -e '^warning: ignoring' -e '^$' || true; }

fail() {
  echo "tests/packages.sh: $1" >&2
  exit 1
}

for crate in "${crates[@]}"; do
  package=$(echo "$work/target/package/$crate"-[0-9]*.crate)
  dir=$work/$crate
  mkdir "$dir"
  tar -xzf "$package" -C "$dir" --strip-components=1
  for file in LICENSE-APACHE LICENSE-MIT; do
    [ -s "$dir/$file" ] || fail "the package $crate has no $file"
  done
  unwanted=$(cd "$dir" && find . -path './benches*' -o -path './tests*' -o -path './fuzz*' -o -path './.ci*' \
    -o -name hostile.wasm -o -name probe.wasm)
  [ -z "$unwanted" ] || fail "the package $crate contains $unwanted"
  while IFS=: read -r text link; do
    target=${link#*](}
    target=${target%%)*}
    target=${target%%#*}
    case $target in '' | *://*) continue ;; esac
    [ -e "$(dirname "$dir/$text")/$target" ] || fail "$crate: $text links to $target, which is not in the package"
  done < <(cd "$dir" && grep -rno --include='*.md' '](\([^)]*\))' . | sed 's/:[0-9]*:/:/')
  size=$(du -k "$package" | cut -f1)
  echo "$crate: $(find "$dir" -type f | wc -l) files, $size KiB"
done

# Outside the workspace, with the same versions and the same profile, so that built dependencies serve again.
outside() { # NAME
  mkdir -p "$work/$1/src"
  cp Cargo.lock "$work/$1/"
  cat >"$work/$1/Cargo.toml" <<TOML
[package]
name = "$1"
edition = "2024"

[patch.crates-io]
fast-copy-engine = { path = "$work/fast-copy-engine" }

TOML
  sed -n '/^# A host compiles/,/^\[\[/p' Cargo.toml | grep -v '^\[\[' >>"$work/$1/Cargo.toml"
}

outside outside-host
cat >>"$work/outside-host/Cargo.toml" <<TOML
[dependencies]
tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }
wasmtime = { version = "$line", default-features = false, features = ["anyhow", "cranelift", "parallel-compilation"] }
wasmtime-fast-copy = { path = "$work/wasmtime-fast-copy" }
wasmtime-wasi = { version = "$line", default-features = false, features = ["p2"] }
TOML
# The host of the README.
sed -n '/^```rust,no_run$/,/^```$/p' README.md | grep -v '^```' >"$work/outside-host/src/main.rs"
cargo check --quiet --manifest-path "$work/outside-host/Cargo.toml"

outside outside-guest
cat >>"$work/outside-guest/Cargo.toml" <<TOML
[dependencies]
fast-copy = { path = "$work/fast-copy" }
TOML
sed -n '/^```rs$/,/^```$/p' README.md | grep -v '^```' >"$work/outside-guest/src/main.rs"
cargo check --quiet --manifest-path "$work/outside-guest/Cargo.toml"
mkdir "$work/components"
"$root/guest/build.sh" --manifest-path "$work/outside-guest/Cargo.toml" "$work/components"
echo "a host and a guest are built from the packages"
