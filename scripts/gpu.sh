#!/usr/bin/env bash
# Tests and measures this checkout on the GPU of this machine, in under 8 minutes: the tests that need a GPU, the golden
# cases in fp32, a training step of every method (50 and 1,000 classes; fp32, bf16, fp16), and one epoch of CoCoOp of
# ImageNet's size on generated images. Needs no network, and installs nothing: it takes the Python and the PyTorch that
# are there. Writes gpu.md and gpu.json into OUT (default: output/gpu).
# Usage: bash scripts/gpu.sh [--device cpu --small] [OUT]
#   --small    small cases, with the backbone `tiny`; with --device cpu, a look at the program without a GPU
#   --parts    only some of: tests golden steps epoch
# Exit status: 0; 1 if a case failed, which the tables name; 2 for bad input, or without a GPU.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# The repository's own packages need not be installed.
export PYTHONPATH="$ROOT:$ROOT/engine:$ROOT/tools${PYTHONPATH:+:$PYTHONPATH}"
find_python requirements.txt || {
    python3 "$ROOT/clip_prompts/common/environment.py" requirements.txt || true
    exit 2
}
export NVIDIA_TF32_OVERRIDE=0   # fp32 is fp32, in convolutions too
exec "$PYTHON" -W ignore -m tests.gpu "$@"
