#!/usr/bin/env bash
# Install what the lock file $2 names into the environment of the interpreter $1, and show meanwhile how far that is.
# The locks are complete. Without --no-deps pip would resolve `google-auth[requests]` for itself, find a release that is
# newer than the lock, and refuse it for its missing hash.
set -u
python=$1 lock=$2

total=$(grep -c '^[a-zA-Z0-9].*==' "$lock")
log=$(mktemp)
echo "Installing $total dependencies (once; takes a minute or two)"
"$python" -m pip install --disable-pip-version-check --no-color --progress-bar off --require-hashes --no-deps -r "$lock" \
    > "$log" 2>&1 &
pip=$!
# A program in the background does not hear Ctrl-C by itself.
trap 'kill "$pip" 2> /dev/null; wait "$pip"; rm -f "$log"; echo; exit 130' INT TERM HUP

[ -t 1 ] && end=$'\r' || end=$'\n'
next=5
while kill -0 "$pip" 2> /dev/null; do
    if grep -q '^Installing collected packages' "$log"; then
        step="installing all of them"
    else
        step="fetched $(grep -cE '^(Collecting|Processing|Requirement already)' "$log") of $total"
    fi
    # In a terminal one line that counts, elsewhere a line now and then.
    if [ -t 1 ] || [ "$SECONDS" -ge "$next" ]; then
        printf '  %3d s: %-24s%s' "$SECONDS" "$step" "$end"
        next=$((SECONDS + 10))
    fi
    sleep 1
done
wait "$pip"
status=$?
[ -t 1 ] && printf '%-40s\r' ""
if [ "$status" -eq 0 ]; then echo "Installed in $SECONDS s"; else tail -n 20 "$log" >&2; fi
rm -f "$log"
exit "$status"
