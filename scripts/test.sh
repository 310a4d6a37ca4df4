#!/usr/bin/env bash
# Sets up .venv with the test tools, checks the style and runs the tests.
# Usage: bash scripts/test.sh [options of pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
install requirements-dev.txt
cd "$ROOT"
.venv/bin/ruff check .
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"   # the tests run in parallel; the golden numbers need one thread
exec "$PYTHON" -m pytest -n "${JOBS:-2}" "$@"
