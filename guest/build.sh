#!/usr/bin/env bash
# Builds guest components from source, for the target wasm32-wasip2.
#
#   guest/build.sh [--bundle] [DIR]               the guests of this repository
#   guest/build.sh --manifest-path FILE [DIR]     the programs of any package or workspace (its Cargo.toml)
#
# Writes the components to DIR. The default is target/guest for the guests of this repository, and the working
# directory for others. --bundle also copies them to prebuilt, and writes prebuilt/SHA256SUMS with
# guest/digest.sh.
#
# Needs one of
# - a Rust toolchain with the target: rustup target add wasm32-wasip2
# - on Debian 12, where rustup can't download the target, a rustup toolchain and
#   apt-get install --no-install-recommends rustc-web rust-web-src wasi-libc clang
#
# Prints the path of each component of --manifest-path. A program or a library of type cdylib makes one.
#
# Exit status: 1 if there is nothing to build, 2 for a wrong argument, 3 if there is no toolchain, otherwise cargo's.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(dirname "$here")
target=wasm32-wasip2
components=(clone-disk clone-disk-p3 first-boot hostile hostile-p3 model model-p3 own-copy own-copy-p3 probe probe-p3)

fail() { # STATUS MESSAGE
  echo "guest/build.sh: $2" >&2
  exit "$1"
}

bundle='' manifest='' out=''
while [ $# -gt 0 ]; do
  case $1 in
    --bundle) bundle=1 ;;
    --manifest-path)
      [ -n "${2-}" ] || fail 2 "--manifest-path needs the path of a Cargo.toml"
      manifest=$2
      shift
      ;;
    --manifest-path=*)
      set -- --manifest-path "${1#*=}" "${@:2}"
      continue
      ;;
    -*) fail 2 "unknown option $1; see the top of the script" ;;
    *)
      [ -z "$out" ] || fail 2 "more than one DIR: $out and $1"
      out=$1
      ;;
  esac
  shift
done
[ -z "$bundle" ] || [ -z "$manifest" ] || fail 2 "--bundle is for the guests of this repository only"
[ -z "$manifest" ] || [ -f "$manifest" ] || fail 2 "$manifest: no such file; write the path of a Cargo.toml"

if [ -n "$manifest" ]; then
  out=${out:-.}
  build=(--manifest-path "$manifest")
else
  out=${out:-$root/target/guest}
  build=(--locked --manifest-path "$here/Cargo.toml" "${components[@]/#/--package=}")
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)

work=$root/target/guest-build
flags=
case $(realpath "${manifest:-$here/Cargo.toml}") in
  "$here"/*)
    export CARGO_TARGET_DIR=$work
    # Keep paths of this machine out of the components, so that the same sources give the same bytes in any
    # directory. CARGO_ENCODED_RUSTFLAGS separates flags by the unit separator (0x1f), so that a path may
    # contain spaces.
    flags="--remap-path-prefix=$root=."$'\x1f'"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
    export CARGO_ENCODED_RUSTFLAGS=$flags
    ;;
esac

sysroot=$(rustc --print sysroot) || fail 3 "there is no rustc: install stable Rust"
if [ -d "$sysroot/lib/rustlib/$target" ]; then
  :
elif [ -f /usr/lib/wasm32-wasi/libc.a ] && [ -x /usr/bin/clang ] &&
  [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
  # Build std from Debian's source with Debian's compiler, and link with rustup's linker.
  host=$(rustc -vV | sed -n 's/^host: //p')
  crt=$work/crt
  mkdir -p "$crt"
  clang --target=wasm32-wasi -O2 -c "$here/toolchain/crt1-command.c" -o "$crt/crt1-command.o"
  cp /usr/lib/wasm32-wasi/libc.a "$crt/"
  tools=$sysroot/lib/rustlib/$host/bin
  export PATH="$tools/gcc-ld:$PATH"
  export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export CARGO_TARGET_WASM32_WASIP2_LINKER="$tools/wasm-component-ld"
  export CARGO_ENCODED_RUSTFLAGS="${flags:+$flags$'\x1f'}-L"$'\x1f'"native=$crt"
  build+=(-Z "build-std=std,panic_abort")
else
  fail 3 "no toolchain for $target: run 'rustup target add $target', or install the Debian packages named at the top of this script"
fi

# cargo prints the files that it has made, in lines of JSON.
messages=$(cargo build --quiet --release --target "$target" \
  --message-format json-render-diagnostics "${build[@]}")
made=$(grep -o '"filenames":\[[^]]*\]' <<<"$messages" | grep -o '[^"]*\.wasm' | sort -u) ||
  fail 1 "${manifest:-guest/Cargo.toml} has no program and no library of type cdylib"

while IFS= read -r file; do
  name=${file##*/}
  # cargo writes the name of a library with "_". The packages of this repository are named with "-".
  [ -n "$manifest" ] || name=${name//_/-}
  cp "$file" "$out/$name"
  if [ -n "$bundle" ]; then
    cp "$file" "$root/prebuilt/$name"
  elif [ -n "$manifest" ]; then
    echo "$out/$name"
  fi
done <<<"$made"
if [ -n "$bundle" ]; then
  "$here/digest.sh" >"$root/prebuilt/SHA256SUMS"
fi
