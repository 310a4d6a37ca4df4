#!/usr/bin/env bash
# CoCoOp, or TRAINER, on all classes of ImageNet, for the transfers, with upstream's arguments and folders. 16 shots, or
# the method's own number.
# Usage: bash scripts/cocoop/xd_train.sh SEED
# Output: OUTPUT/imagenet/CoCoOp/CFG_16shots/seedSEED.
# From the environment: DATA, OUTPUT, CFG, TRAINER (CoCoOp), SOURCE (imagenet).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 1 ] || usage
SEEDS=$1
shift
sweep cross_dataset "${TRAINER:-CoCoOp}" all ${CFG:+"$CFG"} "$@" --part train --no-report --source "${SOURCE:-imagenet}"
