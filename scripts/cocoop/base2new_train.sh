#!/usr/bin/env bash
# CoCoOp on the base classes of a dataset, 16 shots, with upstream's arguments and folders.
# Usage: bash scripts/cocoop/base2new_train.sh DATASET SEED
# Output: OUTPUT/base2new/train_base/DATASET/shots_16/CoCoOp/CFG/seedSEED. From the environment: DATA, OUTPUT, CFG.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 SEEDS=$2
shift 2
sweep base2new CoCoOp "$DATASET" ${CFG:+"$CFG"} "$@" --part train --no-report
