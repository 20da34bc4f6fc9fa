#!/usr/bin/env bash
# The long form of the tests `storm`: 400,000 raced resolutions and 20,000 raced copies on each file
# system, and guests beside attackers for ten rounds. As root; takes some minutes, prints its figures.
set -euo pipefail
cd "$(dirname "$0")/../.."
FAST_COPY_LONG=1 exec cargo test --release --test storm -- "$@"
