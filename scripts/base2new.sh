#!/usr/bin/env bash
# Base-to-new generalization of a trainer on a dataset.
# Usage: bash scripts/base2new.sh TRAINER DATASET [CFG] [options of tools/base2new.py]
# From the environment: DATA (folder of the datasets), OUTPUT, SEEDS ("1 2 3"), SHOTS (16), JOBS (1, runs at a time).
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" "$ROOT/tools/base2new.py" "$@" --root "${DATA:-}" --output "${OUTPUT:-$ROOT/output/base2new}" \
    --seeds ${SEEDS:-1 2 3} --shots "${SHOTS:-16}" --jobs "${JOBS:-1}"
