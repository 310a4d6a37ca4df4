#!/usr/bin/env bash
# Zero-shot CLIP with upstream's arguments and folder.
# Usage: bash scripts/coop/zeroshot.sh DATASET CFG
# Output: OUTPUT/ZeroshotCLIP/CFG/DATASET. From the environment: DATA, OUTPUT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 CFG=$2
shift 2
sweep zeroshot ZeroshotCLIP "$DATASET" "$CFG" "$@" --no-report
