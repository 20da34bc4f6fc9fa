#!/usr/bin/env bash
# Runs the contract tests on kernels. As root.
#
#   tests/reliability/kernels.sh [-l] [running|6.1|6.12]...
#
#   -l  all tests in QEMU too; see tests/vm/file-systems.sh
#
# The default is all three. `running` is the kernel of this machine; the others run in QEMU.
#
# If FAST_COPY_RESULTS names a file, a row for each kernel and file system is appended to it.
set -euo pipefail
cd "$(dirname "$0")/../.."

in_qemu=()
if [ "${1-}" = -l ]; then
  in_qemu=(-l)
  shift
fi
[ $# -gt 0 ] || set -- running 6.1 6.12

systems=(ext4 xfs btrfs tmpfs)
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

on_this_kernel() {
  cargo test --locked --test contract -- --color never | tee "$log" || status=1
  local system passed failed
  count() { # OUTCOME
    grep -cE "^test +$system::.* \.\.\. $1\$" "$log" || true
  }
  for system in "${systems[@]}"; do
    passed=$(count ok) failed=$(count FAILED)
    echo "$(uname -r) $system: $passed passed, $failed failed"
    [ -z "${FAST_COPY_RESULTS-}" ] ||
      printf '%s %s\tpassed=%s\tfailed=%s\n' "$(uname -r | cut -d. -f1-2)" "$system" "$passed" "$failed" \
        >>"$FAST_COPY_RESULTS"
    [ "$passed" -gt 0 ] || status=1
  done
}

for kernel in "$@"; do
  case $kernel in
    running) on_this_kernel ;;
    *) tests/vm/file-systems.sh "${in_qemu[@]}" -k "$kernel" "${systems[@]}" || status=1 ;;
  esac
done
exit $status
