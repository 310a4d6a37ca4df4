#!/usr/bin/env bash
# CoCoOp on all classes of ImageNet, 16 shots, for the transfers, with upstream's arguments and folders.
# Usage: bash scripts/cocoop/xd_train.sh SEED
# Output: OUTPUT/imagenet/CoCoOp/CFG_16shots/seedSEED. From the environment: DATA, OUTPUT, CFG, SOURCE (imagenet).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 1 ] || usage
SEEDS=$1 SHOTS=16
shift
sweep few_shot CoCoOp "${SOURCE:-imagenet}" "${CFG:-vit_b16_c4_ep10_batch1_ctxv1}" "$@" --no-report
