#!/usr/bin/env bash
# The papers' ablations, as base-to-new runs: context length 4, 8 and 16 (context); words against random vectors at the
# start (init); CoOp with 60 context vectors against CoCoOp, which learns as many numbers (capacity); what was learned on
# base classes, tested on base and new classes together (joint).
# Usage: bash scripts/ablations.sh [TRAINERS [DATASETS|all [CFG]]] [options of tools/sweep.py]
# Lists have commas. Without arguments: ZeroshotCLIP,CoOp,CoCoOp on all datasets; without DATA, all that are embedded.
# From the environment: STUDIES ("context init capacity joint"), DATA (folder of the datasets), OUTPUT (output),
# SEEDS ("1 2 3"), SHOTS (16), JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only
# what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
sweep ablation "$@" ${STUDIES:+--studies ${STUDIES//,/ }}
