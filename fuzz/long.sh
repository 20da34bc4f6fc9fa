#!/usr/bin/env bash
# Fuzzes each target for ten minutes, and appends a row for each to the file $FAST_COPY_RESULTS, if it is set.
#
#   fuzz/long.sh [SECONDS]
#
# It needs a nightly toolchain, and cargo-fuzz: cargo install --locked cargo-fuzz
#
# Inputs that reach new code are kept in fuzz/found, and those that fail in fuzz/artifacts. To run one of them:
#
#   cargo +nightly fuzz run TARGET FILE
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
status=0
cargo +nightly fuzz build
for target in acl calls fiemap paths; do
  mkdir -p "fuzz/found/$target"
  log=$(mktemp)
  violations=0
  # No leaks are looked for: a thread of a slot may still run as the process ends.
  cargo +nightly fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=2048 -detect_leaks=0 -print_final_stats=1 2>&1 |
    tee "$log" | { grep -v -E '^#[0-9]+|^INFO|^\s+(#|NEW_FUNC)' || true; } || violations=1
  figures="runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  figures+=$'\t'"corpus=$(find "fuzz/corpus/$target" -type f | wc -l)"
  figures+=$'\t'"violations=$violations"
  echo "fuzz: $target: $figures"
  [ -z "${FAST_COPY_RESULTS-}" ] || printf '%s\t%s\n' "$target" "$figures" >>"$FAST_COPY_RESULTS"
  [ "$violations" = 0 ] || status=1
  rm -f "$log"
done
exit $status
