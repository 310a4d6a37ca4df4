#!/usr/bin/env bash
# What xd_train.sh learned, its last epoch, on another dataset, with upstream's arguments and folders.
# Usage: bash scripts/cocoop/xd_test.sh DATASET SEED
# Output: OUTPUT/evaluation/CoCoOp/CFG_16shots/DATASET/seedSEED.
# From the environment: DATA, OUTPUT, CFG, TRAINER (CoCoOp), SOURCE (imagenet).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 SEEDS=$2
shift 2
sweep cross_dataset "${TRAINER:-CoCoOp}" "$DATASET" ${CFG:+"$CFG"} "$@" --part test --no-report \
    --source "${SOURCE:-imagenet}"
