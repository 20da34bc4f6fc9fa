#!/usr/bin/env bash
# Builds the guest components from source.
#
#   guest/build.sh [--bundle] [DIR]
#
# Writes them to DIR (default: target/guest). --bundle also copies them to prebuilt, and writes
# prebuilt/SHA256SUMS with guest/digest.sh.
#
# Needs one of
# - a Rust toolchain with the target: rustup target add wasm32-wasip2
# - on Debian 12, where rustup can't download the target, a rustup toolchain and
#   apt-get install --no-install-recommends rustc-web rust-web-src wasi-libc clang
# Exits with status 3 if it finds neither.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
bundle=
if [ "${1-}" = --bundle ]; then
  bundle=1
  shift
fi
out=${1-$root/target/guest}
mkdir -p "$out"
out=$(cd "$out" && pwd)
target_dir=$root/target/guest-build
target=wasm32-wasip2
components=(clone-disk hostile own-copy probe)

sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')

export CARGO_TARGET_DIR=$target_dir
# Keep paths of this machine out of the components, so that the same sources give the same bytes in any
# directory. CARGO_ENCODED_RUSTFLAGS separates flags by the unit separator (0x1f), so that a path may
# contain spaces.
flags="--remap-path-prefix=$root=."$'\x1f'"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export CARGO_ENCODED_RUSTFLAGS=$flags
build=(cargo build --quiet --release --locked --target "$target" --manifest-path "$here/Cargo.toml"
  "${components[@]/#/--package=}")

if [ -d "$sysroot/lib/rustlib/$target" ]; then
  "${build[@]}"
elif [ -f /usr/lib/wasm32-wasi/libc.a ] && [ -x /usr/bin/clang ] &&
  [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
  # Build std from Debian's source with Debian's compiler, and link with rustup's linker.
  crt=$target_dir/crt
  mkdir -p "$crt"
  clang --target=wasm32-wasi -O2 -c "$here/toolchain/crt1-command.c" -o "$crt/crt1-command.o"
  cp /usr/lib/wasm32-wasi/libc.a "$crt/"
  tools=$sysroot/lib/rustlib/$host/bin
  export PATH="$tools/gcc-ld:$PATH"
  export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export CARGO_TARGET_WASM32_WASIP2_LINKER="$tools/wasm-component-ld"
  export CARGO_ENCODED_RUSTFLAGS="$flags"$'\x1f-L\x1f'"native=$crt"
  "${build[@]}" -Z build-std=std,panic_abort
else
  echo "guest/build.sh: no toolchain for $target: run 'rustup target add $target', or install the Debian packages named at the top of this script" >&2
  exit 3
fi

for name in "${components[@]}"; do
  cp "$target_dir/$target/release/$name.wasm" "$out/"
  if [ -n "$bundle" ]; then
    cp "$out/$name.wasm" "$root/prebuilt/"
  fi
done
if [ -n "$bundle" ]; then
  "$here/digest.sh" >"$root/prebuilt/SHA256SUMS"
fi
