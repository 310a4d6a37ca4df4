#!/usr/bin/env bash
# CoOp few-shot, with upstream's arguments and folders: learns and tests, seeds 1 2 3.
# Usage: bash scripts/coop/main.sh DATASET CFG CTP NCTX SHOTS CSC
#   CTP: end, middle or front (place of the class name); NCTX: context vectors; CSC: True or False (class-specific)
# NCTX and CSC are about random vectors. A CFG called *_ctxv1 starts from the words of its file: NCTX is then their
# number of tokens (4 for "a photo of a"), and CSC is False.
# Output: OUTPUT/DATASET/CoOp/CFG_SHOTSshots/nctxNCTX_cscCSC_ctpCTP/seedS. From the environment: DATA, OUTPUT, SEEDS, JOBS.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 6 ] || usage
DATASET=$1 CFG=$2 CTP=$3 NCTX=$4 SHOTS=$5 CSC=$6
shift 6
WORDS=(TRAINER.COOP.CTX_INIT "")
[[ $CFG != *_ctxv1 ]] || WORDS=()
sweep few_shot CoOp "$DATASET" "$ROOT/configs/trainers/CoOp/$CFG.yaml" "$@" --no-report \
    --variant "nctx${NCTX}_csc${CSC}_ctp${CTP}" \
    --set TRAINER.COOP.N_CTX "$NCTX" TRAINER.COOP.CSC "$CSC" TRAINER.COOP.CLASS_TOKEN_POSITION "$CTP" \
    ${WORDS[@]+"${WORDS[@]}"}
