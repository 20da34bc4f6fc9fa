#!/usr/bin/env bash
# Runs tests under AddressSanitizer and ThreadSanitizer, and appends a row for each program to the file
# $FAST_COPY_RESULTS, if it is set.
#
#   tests/reliability/sanitizers.sh [address|thread]...
#
# The default is both.
#
# AddressSanitizer needs a nightly toolchain of rustup. ThreadSanitizer needs the standard library built with it, from
# its sources: Debian's rustc-web and rust-web-src, with the sanitizer's runtime of rustup's stable toolchain, because
# Debian has none for Rust. It needs Debian's lld too.
#
# Miri runs the tests that make no system calls, where a nightly toolchain has it (rustup component add miri):
#
#   cargo +nightly miri test --package fast-copy-engine --lib -- acl limits:: a_path a_walk_ends impossible_lengths
set -euo pipefail
cd "$(dirname "$0")/../.."
target=x86_64-unknown-linux-gnu
export CARGO_TARGET_DIR
# A test asks for more memory than there is.
export ASAN_OPTIONS=allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1

# Prepares the tests of a sanitizer: sets the variables of the compiler, and `cargo`.
prepare() { # SANITIZER
  CARGO_TARGET_DIR=$PWD/target/sanitizers/$1
  case $1 in
    address)
      cargo=(cargo +nightly test)
      export RUSTFLAGS="-Zsanitizer=address" RUSTDOCFLAGS="-Zsanitizer=address"
      ;;
    thread)
      local runtime
      runtime=$(rustc --print sysroot)/lib/rustlib/$target/lib/librustc-stable_rt.tsan.a
      cargo=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo test -Zbuild-std)
      # A build of the standard library links no runtime by itself.
      RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt -Clink-arg=-Wl,--whole-archive -Clink-arg=$runtime"
      RUSTFLAGS+=" -Clink-arg=-Wl,--no-whole-archive"
      local library
      for library in stdc++ m pthread dl rt resolv c; do RUSTFLAGS+=" -Clink-arg=-l$library"; done
      # Debian 12's GNU ld does not resolve the runtime's references to tmpnam, tmpnam_r and tempnam.
      RUSTFLAGS+=" -Clink-arg=-fuse-ld=lld"
      export RUSTFLAGS
      ;;
    *)
      echo "tests/reliability/sanitizers.sh: no sanitizer named $1" >&2
      exit 2
      ;;
  esac
}

status=0
# Runs tests and records how many there are, and how many reports of the sanitizer.
run() { # SANITIZER PROGRAM ARGUMENT...
  local sanitizer=$1 program=$2 log failed=0
  shift 2
  log=$(mktemp)
  "${cargo[@]}" --locked --target "$target" "$@" 2>&1 | tee "$log" || failed=1
  local tests reports figures
  tests=$(sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
  reports=$(grep -c -E '^(==[0-9]+==ERROR|WARNING): (Address|Thread|Leak)Sanitizer' "$log" || true)
  # A test that fails counts too.
  [ "$failed" = 0 ] || status=1
  [ "$failed" = 0 ] || [ "$reports" != 0 ] || reports=1
  [ "$tests" != 0 ] || status=1
  [ "$reports" = 0 ] || status=1
  figures=$(printf 'tests=%s\tviolations=%s' "$tests" "$reports")
  echo "sanitizers: $sanitizer, $program: $figures"
  [ -z "${FAST_COPY_RESULTS-}" ] || printf '%s, %s\t%s\n' "$sanitizer" "$program" "$figures" >>"$FAST_COPY_RESULTS"
  rm -f "$log"
}

[ $# -gt 0 ] || set -- address thread
for sanitizer in "$@"; do
  prepare "$sanitizer"
  name=${sanitizer^}Sanitizer
  run "$name" "unit tests of the engine" --package fast-copy-engine --lib
  run "$name" "copies on many threads" --package fast-copy-engine --test concurrent
done
exit $status
