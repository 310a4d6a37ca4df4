#!/usr/bin/env bash
# Checks the style and runs the tests.
# Usage: bash scripts/test.sh [quick] [options and files of pytest]
#   quick    only unit tests, in under a minute on two cores, with the Python that is there
#   (none)   all tests; uses .venv, which is made on first use, if the active environment has no test tools
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
selected=()
case "${1:-}" in
    quick) shift; selected=(-m "not integration and not slow and not zoo and not gpu") ;;
    "" | -*) ;;
    *) [ -e "${1%%::*}" ] || { echo "Error: '$1' is not a file. Usage: bash scripts/test.sh [quick] [options and files of pytest]" >&2; exit 2; } ;;
esac
if [ ${#selected[@]} -gt 0 ]; then
    find_python requirements-dev.txt || { echo "Error: no Python here has the packages of requirements-dev.txt. Run bash scripts/test.sh once, which installs them." >&2; exit 2; }
else
    install requirements-dev.txt
fi
cd "$ROOT"
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"   # the tests run in parallel; the golden numbers need one thread
exec "$PYTHON" -m pytest -n "${JOBS:-2}" ${selected[@]+"${selected[@]}"} "$@"
