#!/usr/bin/env bash
# Few-shot learning: learn on 1, 2, 4, 8 and 16 images of each class, test on the same dataset.
# Usage: bash scripts/few_shot.sh [TRAINERS [DATASETS|all [CFG]]] [options of tools/sweep.py]
# Lists have commas. Without arguments: ZeroshotCLIP,CoOp,CoCoOp on all datasets; without DATA, all that are embedded.
# From the environment: DATA (folder of the datasets), OUTPUT (output), SEEDS ("1 2 3"), SHOTS (1 2 4 8 16),
# JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
sweep few_shot "$@"
