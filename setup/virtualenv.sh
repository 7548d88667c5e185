#!/usr/bin/env bash
# Make the virtual environment $2 with the interpreter $1, or say in one line what is missing.
set -u
python=$1 target=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "Knowrithm needs Python 3.11 or newer, and '$python' is not. Name one: make PYTHON=/path/to/python3.11 …" >&2
    exit 1
fi

echo "Creating $target"
"$python" -m venv "$target" > /dev/null 2>&1 && exit 0

# Debian and Ubuntu keep ensurepip in a package of its own.
version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo -n"
if [ "${SKIP_SYSTEM_PACKAGES:-}" != 1 ] && command -v apt-get > /dev/null 2>&1; then
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq > /dev/null 2>&1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$version" > /dev/null 2>&1
fi
rm -rf "$target"
"$python" -m venv "$target" > /dev/null 2>&1 && exit 0
rm -rf "$target"
echo "A virtual environment cannot be made. Install the package for it: apt-get install $version" >&2
exit 1
