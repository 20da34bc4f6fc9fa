#!/usr/bin/env bash
# Runs the contract tests on the running kernel, and on Linux 6.1 and 6.12 in QEMU (tests/vm/file-systems.sh). As
# root.
#
#   tests/reliability/kernels.sh [-l]
#
#   -l  all tests in QEMU too; see tests/vm/file-systems.sh
#
# If FAST_COPY_RESULTS names a file, a row for each kernel and file system is appended to it.
set -euo pipefail
cd "$(dirname "$0")/../.."

systems=(ext4 xfs btrfs tmpfs)
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --locked --test contract -- --color never | tee "$log" || status=1
for system in "${systems[@]}"; do
  count() { # OUTCOME
    grep -cE "^test $system::.* \.\.\. $1\$" "$log" || true
  }
  passed=$(count ok) failed=$(count FAILED)
  echo "$(uname -r) $system: $passed passed, $failed failed"
  [ -z "${FAST_COPY_RESULTS-}" ] ||
    printf '%s %s\tpassed=%s\tfailed=%s\n' "$(uname -r | cut -d. -f1-2)" "$system" "$passed" "$failed" \
      >>"$FAST_COPY_RESULTS"
  [ "$passed" -gt 0 ] || status=1
done
tests/vm/file-systems.sh "$@" -k 6.1 -k 6.12 "${systems[@]}" || status=1
exit $status
