#!/usr/bin/env bash
# Base-to-new generalization: learn on the first half of the classes, test on it and on the other half.
# Usage: bash scripts/base2new.sh [TRAINERS [DATASETS|all [CFG]]] [options of tools/sweep.py]
# Lists have commas. Without arguments: ZeroshotCLIP,CoOp,CoCoOp on all datasets; without DATA, all that are embedded.
# From the environment: DATA (folder of the datasets), OUTPUT (output), SEEDS ("1 2 3"), SHOTS (16),
# JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
sweep base2new "$@"
