#!/usr/bin/env bash
# Linear probe: a logistic regression on CLIP's image features of 1, 2, 4, 8 and 16 images of each class.
# Usage: bash scripts/linear_probe.sh [DATASETS|all [CFG]] [options of tools/sweep.py]
# Lists have commas. Without arguments: all datasets; without DATA, all that are embedded.
# From the environment: DATA (folder of the datasets), OUTPUT (output), SEEDS ("1 2 3"), SHOTS (1 2 4 8 16),
# JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
sweep few_shot LinearProbe "$@"
