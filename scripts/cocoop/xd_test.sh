#!/usr/bin/env bash
# What xd_train.sh learned, its last epoch, on another dataset, with upstream's arguments and folders.
# Usage: bash scripts/cocoop/xd_test.sh DATASET SEED
# Output: OUTPUT/evaluation/CoCoOp/CFG_16shots/DATASET/seedSEED. From the environment: DATA, OUTPUT, CFG, SOURCE (imagenet).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 SEEDS=$2 SHOTS=16
shift 2
sweep cross_dataset CoCoOp "$DATASET" "${CFG:-vit_b16_c4_ep10_batch1_ctxv1}" "$@" --part test --no-report \
    --source "${SOURCE:-imagenet}"
