#!/usr/bin/env bash
# Runs the contract tests without system calls, as on an older kernel or under a seccomp filter. As root.
#
#   tests/reliability/missing_calls.sh [-s] [ENOSYS|EPERM]...
#
# Each call is missing alone, then all are, with each error named (default: both). Tests that need a missing call are
# not applicable: the program finds out what the kernel does. With -s only a few modules run, without any of the calls.
# The output of each run is in target/missing-calls.
set -euo pipefail
cd "$(dirname "$0")/../.."

short=
if [ "${1-}" = -s ]; then
  short=1
  shift
fi
[ $# -gt 0 ] || set -- ENOSYS EPERM

calls=(openat2 statx renameat2 O_TMPFILE copy_file_range FIEMAP name_to_handle_at)
all=$(IFS=,; echo "${calls[*]}")

program() { # TEST
  cargo test --locked --quiet --test "$1" --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep "/$1-[^/]*$"
}
launcher=$(program reliability)
contract=$(program contract)
mkdir -p target/missing-calls

status=0
# Tests that are not applicable are ignored, which CI forbids elsewhere.
without() { # CALLS ERROR [FILTER...]
  local missing=$1 error=$2 log summary
  log=$(printf '%s-' "$@")
  log=target/missing-calls/${log%-}.log
  shift 2
  env -u CI "$launcher" --without "$missing" "$error" "$contract" "$@" >"$log" 2>&1 || {
    status=1
    grep -E 'FAILED$|panicked' -A 1 "$log" | cut -c 1-300 | head -60
  }
  summary=$(sed -n 's/^test result: [^ ]* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/passed=\1 failed=\2 not-applicable=\3/p' "$log")
  echo "missing-calls: $missing $error: ${summary:-no result}"
  [ -n "$summary" ] || { status=1; tail -20 "$log"; }
  if [ -n "${FAST_COPY_RESULTS:-}" ] && [ -n "$summary" ]; then
    local row=$missing
    [ "$missing" = "$all" ] && row="all"
    printf '%s, %s\t%s\n' "$row" "$error" "$(sed 's/not-applicable/not applicable/; s/ \([pfn]\)/\t\1/g' <<<"$summary")" \
      >>"$FAST_COPY_RESULTS"
  fi
}

for error in "$@"; do
  if [ -n "$short" ]; then
    # The program takes one filter a run.
    for module in obstacles staged_names fallback; do
      without "$all" "$error" "::$module::"
    done
    continue
  fi
  for call in "${calls[@]}" "$all"; do
    without "$call" "$error"
  done
done
exit $status
