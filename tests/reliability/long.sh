#!/usr/bin/env bash
# Runs the long form of the tests named, and keeps the figures in tests/reliability/results. As root.
#
#   tests/reliability/long.sh KIND...
#
# docs/reliability.md describes the kinds, and shows the figures. Put new ones into it:
#
#   cargo test --test reliability -- --report
#
# A kind whose test fails keeps its old results.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Prints the command of a kind.
command_of() { # KIND
  case $1 in
    power-cut) echo "cargo test --test reliability -- ::power_cut::" ;;
    crowds | errors | exhaustion | layouts | model | writers)
      echo "cargo test --test reliability -- ::$1::"
      ;;
    missing-calls-enosys) echo "tests/reliability/missing_calls.sh ENOSYS" ;;
    missing-calls-eperm) echo "tests/reliability/missing_calls.sh EPERM" ;;
    kernel-6.1 | kernel-6.12 | kernel-running) echo "tests/reliability/kernels.sh ${1#kernel-}" ;;
    schedules) echo "cargo test --package fast-copy-schedules" ;;
    fuzz) echo fuzz/long.sh ;;
    sanitizers) echo tests/reliability/sanitizers.sh ;;
    mutations) echo tests/mutations/run.py ;;
    *)
      echo "tests/reliability/long.sh: no tests named $1" >&2
      exit 2
      ;;
  esac
}

[ $# -gt 0 ] || { sed -n 's/^# \{0,1\}//p' "$0" | sed -n 2,5p >&2; exit 2; }
for kind in "$@"; do command_of "$kind" >/dev/null; done
status=0
for kind in "$@"; do
  rows=$(mktemp)
  started=$SECONDS
  commit=$(git describe --always --dirty=+)
  command=$(command_of "$kind")
  if FAST_COPY_LONG=1 FAST_COPY_RESULTS=$rows bash -c "$command"; then
    {
      printf 'date\t%s\n' "$(date +%F)"
      printf 'kernel\t%s\n' "$(uname -r)"
      printf 'commit\t%s\n' "$commit"
      printf 'seconds\t%s\n' $((SECONDS - started))
      printf 'command\t%s\n' "tests/reliability/long.sh $kind"
      cat "$rows"
    } >"tests/reliability/results/$kind.tsv"
  else
    echo "tests/reliability/long.sh: $kind failed" >&2
    status=1
  fi
  rm -f "$rows"
done
exit $status
