#!/bin/sh
# setup/virtual_environment.sh PYTHON FOLDER LOCK_FILE
# Creates the virtual environment, unless a working one is there, and installs exactly what the lock file names.
set -eu
python=$1 folder=$2 lock=$3
here=$(dirname "$0")

command -v "$python" >/dev/null 2>&1 || {
    echo "$python was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Knowrithm needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Name another: make PYTHON=/path/to/python3" >&2
    exit 1
}

if ! "$folder/bin/python" -c 'import pip' >/dev/null 2>&1; then
    if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        CI='' "$here/system_packages.sh" "no-such-program:python3-venv"
        "$python" -c 'import ensurepip' >/dev/null 2>&1 || {
            echo "$python cannot make virtual environments; on Debian install the package python3-venv." >&2
            exit 1
        }
    fi
    echo "Creating the virtual environment $folder"
    "$python" -m venv --clear "$folder"
fi

echo "Installing the pinned dependencies of $lock (the first time takes a minute or two)"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$lock"
