# Sourced by the other scripts: sets ROOT (the repository) and PYTHON, and stays in the caller's folder.
# `install FILE` makes .venv and installs a requirements file, once; it does so again only when the file changes.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

install() {
    local stamp="$ROOT/.venv/.installed-$1" base="${BASE_PYTHON:-python3}" state
    state=$(cd "$ROOT" && cat requirements*.txt engine/pyproject.toml | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
        echo "Setting up .venv from $1 (once; PyTorch is large, this takes some minutes)"
        "$base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
            { echo "Error: Python 3.10 or newer is needed, $base is older or missing; set BASE_PYTHON" >&2; exit 2; }
        [ -x "$ROOT/.venv/bin/python" ] || "$base" -m venv "$ROOT/.venv"
        (cd "$ROOT" && .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1")
        echo "$state" | tee "$stamp" > "$ROOT/.venv/.installed-requirements.txt"   # the other files include this one
    fi
    PYTHON="$ROOT/.venv/bin/python"
}

# Without `install`: the environment that is active, or else .venv.
if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] || [ ! -x "$ROOT/.venv/bin/python" ]; then
    PYTHON=python
else
    PYTHON="$ROOT/.venv/bin/python"
fi

# `usage` prints the head of the script and ends with status 2.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# `sweep PROTOCOL ARGUMENTS` runs tools/sweep.py, and takes from the environment: DATA (folder of the datasets; the
# embedded ones need none), OUTPUT (output), SEEDS ("1 2 3"), SHOTS, JOBS (runs at a time), LAUNCHER (local, ray, slurm).
sweep() {
    exec "$PYTHON" "$ROOT/tools/sweep.py" "$@" ${DATA:+--root "$DATA"} ${OUTPUT:+--output "$OUTPUT"} \
        ${SEEDS:+--seeds ${SEEDS//,/ }} ${SHOTS:+--shots ${SHOTS//,/ }} ${JOBS:+--jobs "$JOBS"} \
        ${LAUNCHER:+--launcher "$LAUNCHER"}
}
