#!/usr/bin/env bash
# Tests what CoOp learned on ImageNet on another dataset, with upstream's arguments and folders, seeds 1 2 3.
# Usage: bash scripts/coop/eval.sh DATASET CFG
# A CFG called *_ctxv1 starts from words, which are 4 tokens: give NCTX=4.
# Of a CFG such as rn50, the model that was learned for ImageNet's 50 epochs (rn50_ep50) is found too; its last epoch.
# Output: OUTPUT/evaluation/CoOp/CFG_16shots/nctx16_cscFalse_ctpend/DATASET/seedS.
# From the environment: DATA, OUTPUT, SEEDS, JOBS, SOURCE (imagenet), NCTX (16).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
[ $# -ge 2 ] || usage
DATASET=$1 CFG=$2
shift 2
SHOTS=16 NCTX="${NCTX:-16}" CSC=False CTP=end SOURCE="${SOURCE:-imagenet}"
VARIANT="nctx${NCTX}_csc${CSC}_ctp${CTP}"
# A file is taken as it is, a name may stand for the member of its family with the source's epochs.
[ ! -d "${OUTPUT:-$ROOT/output}/$SOURCE/CoOp/${CFG}_${SHOTS}shots/$VARIANT" ] || CFG="$ROOT/configs/trainers/CoOp/$CFG.yaml"
WORDS=(TRAINER.COOP.CTX_INIT "")
[[ $CFG != *_ctxv1* ]] || WORDS=()
sweep cross_dataset CoOp "$DATASET" "$CFG" "$@" --part test --no-report --source "$SOURCE" --variant "$VARIANT" \
    --set TRAINER.COOP.N_CTX "$NCTX" TRAINER.COOP.CSC "$CSC" TRAINER.COOP.CLASS_TOKEN_POSITION "$CTP" \
    ${WORDS[@]+"${WORDS[@]}"}
