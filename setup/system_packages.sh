#!/bin/sh
# setup/system_packages.sh PROGRAM:PACKAGE…
# Installs the Debian packages of those programs that are missing, where that is possible and wanted. Elsewhere names
# them in one line and goes on; with CI=true a missing one is an error, because tests would be skipped.
set -eu

missing=
for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=env
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    as_root=
fi

if [ "${SKIP_SYSTEM_PACKAGES:-}" != 1 ] && [ -n "$as_root" ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing system packages:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # both are lists of words
    if { $as_root DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log" >&2
    rm -f "$log"
fi

echo "Missing system packages, please install them:$missing" >&2
[ "${CI:-}" != true ]
