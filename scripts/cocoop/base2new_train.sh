#!/usr/bin/env bash
# CoCoOp, or TRAINER, on the base classes of a dataset, with upstream's arguments and folders. 16 shots, or the method's
# own number. MaPLe and PromptSRC have scripts of this name with the same arguments.
# Usage: bash scripts/cocoop/base2new_train.sh DATASET SEED
# Output: OUTPUT/base2new/train_base/DATASET/shots_16/CoCoOp/CFG/seedSEED.
# From the environment: DATA, OUTPUT, CFG, TRAINER (CoCoOp).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 SEEDS=$2
shift 2
sweep base2new "${TRAINER:-CoCoOp}" "$DATASET" ${CFG:+"$CFG"} "$@" --part train --no-report
