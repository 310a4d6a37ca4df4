#!/usr/bin/env bash
# What base2new_train.sh learned, its last epoch, on the new classes, with upstream's arguments and folders.
# Usage: bash scripts/cocoop/base2new_test.sh DATASET SEED
# Output: OUTPUT/base2new/test_new/DATASET/shots_16/CoCoOp/CFG/seedSEED.
# From the environment: DATA, OUTPUT, CFG, TRAINER (CoCoOp).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 SEEDS=$2
shift 2
sweep base2new "${TRAINER:-CoCoOp}" "$DATASET" ${CFG:+"$CFG"} "$@" --part test --no-report
