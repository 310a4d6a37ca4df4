#!/usr/bin/env bash
# Checks the style and runs the tests, in the active environment if it has the test tools, else in .venv, which it makes
# on first use.
# Usage: bash scripts/test.sh [options of pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
install requirements-dev.txt
cd "$ROOT"
"$PYTHON" -m ruff check .
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"   # the tests run in parallel; the golden numbers need one thread
exec "$PYTHON" -m pytest -n "${JOBS:-2}" "$@"
