#!/usr/bin/env bash
# The main job on what comes with the repository: zero-shot CLIP, CoOp and CoCoOp from base to new classes,
# three seeds, on real handwritten digits and on rendered shapes. Needs Python; downloads only its packages.
# Usage: bash scripts/demo.sh [options of tools/sweep.py]
# From the environment: OUTPUT, JOBS (2, runs at a time).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
install requirements.txt
exec "$PYTHON" "$ROOT/tools/sweep.py" base2new CoOp,CoCoOp,ZeroshotCLIP digits,shapes --jobs "${JOBS:-2}" \
    --output "${OUTPUT:-$ROOT/output/demo/$(date +%Y%m%d-%H%M%S)}" "$@"
