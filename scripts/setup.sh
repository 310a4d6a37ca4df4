# Sourced by the other scripts: sets ROOT (the repository), and stays in the caller's folder.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# `find_python FILE` sets PYTHON to the first Python that has the packages of a requirements file: that of the active
# environment, that of .venv, python3 or python. Fails if there is none.
find_python() {
    local candidate
    for candidate in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${CONDA_PREFIX:+$CONDA_PREFIX/bin/python}" \
        "$ROOT/.venv/bin/python" python3 python; do
        if command -v "$candidate" > /dev/null && "$candidate" "$ROOT/clip_prompts/common/environment.py" "$1" 2> /dev/null; then
            PYTHON=$candidate
            return 0
        fi
    done
    return 1
}

# `install FILE` finds such a Python, or makes .venv and installs the requirements file there.
install() {
    find_python "$1" && return
    local base="${BASE_PYTHON:-$(command -v python3 || command -v python || echo python3)}"
    echo "Setting up .venv from $1, once: 2 to 10 minutes, 1.5 GB of disk with PyTorch for the CPU, 6 GB with CUDA"
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { echo "Error: Python 3.10 or newer is needed, $base is older or missing; set BASE_PYTHON" >&2; exit 2; }
    [ -x "$ROOT/.venv/bin/python" ] || "$base" -m venv "$ROOT/.venv"
    local pip=("$ROOT/.venv/bin/python" -m pip --quiet --disable-pip-version-check)
    # Without an NVIDIA GPU, PyTorch's builds for the CPU will do; their other packages come from the usual index. Where
    # there are none, or the two do not fit each other, the ordinary builds take their place.
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi > /dev/null; then
        "${pip[@]}" install --no-deps --retries 1 --timeout 15 torch torchvision \
            --index-url https://download.pytorch.org/whl/cpu 2> /dev/null || true
    fi
    (cd "$ROOT" && "${pip[@]}" install -r "$1")
    if ! "$ROOT/.venv/bin/python" -c "import torchvision" 2> /dev/null; then
        "${pip[@]}" uninstall --yes torch torchvision
        (cd "$ROOT" && "${pip[@]}" install -r "$1")
    fi
    PYTHON="$ROOT/.venv/bin/python"
    echo "For python train.py in this shell: source $ROOT/.venv/bin/activate"
}

# `usage` prints the head of the script and ends with status 2.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# `sweep PROTOCOL ARGUMENTS` runs tools/sweep.py, and takes from the environment: DATA (folder of the datasets; the
# embedded ones need none), OUTPUT (output), SEEDS ("1 2 3"), SHOTS, JOBS (runs at a time), LAUNCHER (local, ray, slurm).
sweep() {
    find_python requirements.txt || {
        echo "Error: no Python here has the packages of requirements.txt. Run bash scripts/demo.sh, which sets up .venv," \
            "or activate an environment and run: python -m pip install -r requirements.txt" >&2
        exit 2
    }
    exec "$PYTHON" "$ROOT/tools/sweep.py" "$@" ${DATA:+--root "$DATA"} ${OUTPUT:+--output "$OUTPUT"} \
        ${SEEDS:+--seeds ${SEEDS//,/ }} ${SHOTS:+--shots ${SHOTS//,/ }} ${JOBS:+--jobs "$JOBS"} \
        ${LAUNCHER:+--launcher "$LAUNCHER"}
}
