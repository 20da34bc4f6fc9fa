#!/usr/bin/env bash
# Runs the contract tests as an ordinary user without a name: in a user namespace, and where none can be made.
# As root, because it changes to this user.
#
#   tests/as_user.sh
#
# Leaves out what root tests more thoroughly: guests, whose components need a toolchain, and hundreds of copies
# under strace.
set -euo pipefail
cd "$(dirname "$0")/.."

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT

# The user need not be able to read this checkout, so the test programs are copied.
copy() { # TEST
  local program
  program=$(cargo test --locked --quiet --test "$1" --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep "/$1-[^/]*$")
  cp "$program" "$files/$1"
}
copy contract
copy clean_up
chown -R 12345:12345 "$files"

as_user() { # COMMAND...
  setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all \
    env -u CI HOME=/nonexistent TMPDIR="$files" "$@" 2>&1 | tee "$files/log"
}
# The kernel counts namespaces within namespaces: in this one, no other can be made.
without_namespaces() { # COMMAND...
  # shellcheck disable=SC2016
  as_user unshare --user --map-current-user --keep-caps sh -c '
    echo 0 >/proc/sys/user/max_user_namespaces
    exec setpriv --ambient-caps=-all --inh-caps=-all "$@"' sh "$@"
}

skipped=()
for module in clone_disk errors guest host_policy hostile preopens without_openat2 \
  contention descriptors quota strategies wasi_0_3 workers; do
  skipped+=(--skip "::$module::")
done
as_user "$files/contract" "${skipped[@]}"
grep -qE '^  [1-9][0-9]* tests ran on directory' "$files/log"
grep -qE '^  [1-9][0-9]* tests ran on tmpfs' "$files/log"
as_user "$files/clean_up"

without_namespaces "$files/contract" ::obstacles::
grep -qE '^  [1-9][0-9]* tests ran on directory' "$files/log"
grep -qE '^  0 tests ran on tmpfs' "$files/log"
without_namespaces "$files/clean_up"
