#!/usr/bin/env bash
# Runs every test and ends with one line, `N passed, N failed`. Needs .ws/env.sh sourced.
#
#   scripts/test.sh [ONLY] [-x]       ONLY: a part of the test files' names;  -x: stop at the first failure
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/ros_env.sh"
cd "$ROOT"
exec python scripts/run_tests.py "$@"
