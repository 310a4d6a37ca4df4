#!/usr/bin/env bash
# The main job on what comes with the repository: zero-shot CLIP, CoOp and CoCoOp from base to new classes,
# three seeds, on real handwritten digits and on rendered shapes. Uses the active environment if it has the packages,
# else .venv, which it makes on first use. Downloads only packages. The same command continues after Ctrl-C.
# Usage: bash scripts/demo.sh [options of tools/sweep.py]
# From the environment: OUTPUT (output/demo), JOBS (2, runs at a time), VIEWS (10, random views of a training image,
# whose features are computed once for all epochs and methods; 0: fresh views in every epoch, as in the protocols' own
# scripts).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
install requirements.txt
echo "36 runs, two at a time: about 90 seconds on two cores, and 10 MB in ${OUTPUT:-output/demo}" >&2
exec "$PYTHON" "$ROOT/tools/sweep.py" base2new CoOp,CoCoOp,ZeroshotCLIP digits,shapes --jobs "${JOBS:-2}" \
    --set FEATURES.TRAIN_VIEWS "${VIEWS:-10}" --output "${OUTPUT:-$ROOT/output/demo}" "$@"
