#!/usr/bin/env bash
# Runs the long form of the stress tests `storm`: 400,000 raced resolutions and 20,000 raced copies on
# each file system, and ten rounds of guests beside hostile ones. Needs root, takes some minutes, and
# prints its figures.
set -euo pipefail
cd "$(dirname "$0")/../.."
FAST_COPY_LONG=1 exec cargo test --release --test storm -- "$@"
