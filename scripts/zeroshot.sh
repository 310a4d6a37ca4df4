#!/usr/bin/env bash
# Zero-shot: CLIP with hand-crafted prompts. ZeroshotCLIP2 is a prompt ensemble.
# Usage: bash scripts/zeroshot.sh [TRAINERS [DATASETS|all [CFG]]] [options of tools/sweep.py]
# Lists have commas. Without arguments: ZeroshotCLIP on all datasets; without DATA, all that are embedded.
# From the environment: DATA (folder of the datasets), OUTPUT (output), SEEDS ("1 2 3"), SHOTS (no part),
# JOBS (runs at a time), LAUNCHER (local, ray or slurm). The same command again runs only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
sweep zeroshot "$@"
