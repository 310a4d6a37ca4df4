#!/usr/bin/env bash
# Linear probe: a logistic regression on CLIP's image features of 1, 2, 4, 8 and 16 images of each class.
# Usage: bash scripts/linear_probe.sh [TRAINERS [DATASETS|all [CFG]]] [options of tools/sweep.py]
# Lists have commas. Without arguments: LinearProbe on all datasets; without DATA, all that are embedded. TRAINERS may be
# left out (linear_probe.sh digits).
# From the environment: DATA (folder of the datasets), OUTPUT (output), SEEDS ("1 2 3"), SHOTS (1 2 4 8 16),
# JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
case "${1:-}" in
    "" | -* | all | *.yaml | *.yml) set -- LinearProbe "$@" ;;
    *) [ ! -f "$ROOT/configs/datasets/${1%%,*}.yaml" ] || set -- LinearProbe "$@" ;;
esac
sweep few_shot "$@"
