#!/usr/bin/env bash
# Builds main.c as a component.
#
#   c/build.sh [OUT]
#
# Writes OUT/c.wasm. OUT is target/guest-languages by default. Nothing is installed outside OUT.
#
# Needs stable Rust from rustup, which has the linker for components, and on Debian 12
#   apt-get install --no-install-recommends clang lld libclang-rt-dev-wasm32 wasi-libc
# Uses wit-bindgen from PATH, otherwise builds it in OUT.
#
# Exits with status 3 if something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1-target/guest-languages}
mkdir -p "$out/c"
out=$(cd "$out" && pwd)
gen=$out/c
version=0.61.1

missing() {
  echo "c/build.sh: $1 is missing: see the top of this script" >&2
  exit 3
}

# Nothing to do if no source is newer than the component.
if [ -e "$out/c.wasm" ] && [ -z "$(find "$here" "$here/../wit" -newer "$out/c.wasm")" ]; then
  exit
fi

for tool in cargo clang rustc wasm-ld; do
  command -v "$tool" >/dev/null || missing "$tool"
done
[ -e /usr/lib/wasm32-wasi/libc.a ] || missing wasi-libc
[ -e "$(clang --target=wasm32-wasi -print-libgcc-file-name)" ] || missing libclang-rt-dev-wasm32
host=$(rustc -vV | sed -n 's/^host: //p')
linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/wasm-component-ld
[ -x "$linker" ] || missing "$linker"
tools=$out/wit-bindgen-$version
bindgen=$(command -v wit-bindgen || echo "$tools/bin/wit-bindgen")
if [ ! -x "$bindgen" ]; then
  # A release build takes several times as long as all that the guest needs it for.
  env -u CARGO_TARGET_DIR cargo install --quiet --debug --locked --root "$tools" \
    wit-bindgen-cli --version "$version" --no-default-features --features c || missing wit-bindgen
fi

"$bindgen" c "$here/../wit" --world cloner --out-dir "$gen"

# names TYPE: prints a table of a type's names in the WIT, from the constants in cloner.h.
names() {
  echo "static const char *const $1_names[] = {"
  sed -nE "s/^#define (SANDBOX_FAST_COPY_TYPES_${1^^}_(\w+)) [0-9]+$/  [\1] = \"\L\2\",/
    :next
    s/(\"[a-z-]+)_/\1-/
    t next
    /^  \[/p" "$gen/cloner.h"
  echo "};"
}
{
  echo '#include "cloner.h"'
  names copy_method
  names error_code
} >"$gen/names.h"

clang --target=wasm32-wasi --sysroot=/usr -mexec-model=reactor -O2 -Wall -I"$gen" \
  -fuse-ld="$linker" -Wl,--wasm-ld-path,"$(command -v wasm-ld)" -o "$out/c.wasm" \
  "$here/main.c" "$gen/cloner.c" "$gen/cloner_component_type.o"
