#!/usr/bin/env bash
# Install the system packages named as arguments where this may be done (apt, and root or passwordless sudo);
# elsewhere say in one line what is missing and what will not work. With CI=true something missing is a failure.
set -u

declare -A commands=([tesseract-ocr]=tesseract [chromium]=chromium)
declare -A purposes=([tesseract-ocr]="scanned pages cannot be read" [chromium]="browser tests are skipped")

missing=()
for package in "$@"; do
    command -v "${commands[$package]}" > /dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo > /dev/null 2>&1 && sudo -n true 2> /dev/null; then as_root="sudo -n"; else as_root="none"; fi
fi

if [ "${SKIP_SYSTEM_PACKAGES:-}" != 1 ] && [ "$as_root" != none ] && command -v apt-get > /dev/null 2>&1; then
    echo "Installing ${missing[*]} (takes up to a minute)"
    log=$(mktemp)
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq > "$log" 2>&1
    if $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >> "$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log" >&2
    rm -f "$log"
fi

for package in "${missing[@]}"; do
    echo "Not installed: $package (${purposes[$package]}). Install it with: apt-get install $package" >&2
done
[ "${CI:-}" = true ] && exit 1
exit 0
