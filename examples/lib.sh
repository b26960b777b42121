# What the examples share.  A run.sh sets `example` to its folder, sources this file, and calls in order
# begin, broker_start, user, phone, service, say, heard ... end.  Everything happens in a temporary folder, on a port of
# 127.0.0.1 that the system chooses; every process that was started is ended by its pid.
#
# Environment: HERALD and HERALDD, the programs (default: those of ../build, which `make all` makes).
set -eu
top=$(cd "$example/../.." && pwd)
full=
keep=
for word; do
    case $word in
    --full) full=--full ;;
    --keep) keep=1 ;;
    *)
        echo "usage: $0 [--full] [--keep]
  --full  show every SIP message under its line of the ladder
  --keep  leave the temporary folder (traces, logs) in place" >&2
        exit 2
        ;;
    esac
done

say() {
    printf '\n%s\n' "$*"
}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    for log in "$dir"/*.err "$dir"/broker.log; do
        [ -s "$log" ] || continue
        echo "--- ${log##*/}" >&2
        tail -n 20 "$log" >&2
    done
    exit 1
}

pids=
cleanup() {
    status=$?
    trap - EXIT INT TERM
    exec 3>&- 4>&- || :
    for pid in $pids; do
        kill "$pid" 2>/dev/null || :
    done
    for pid in $pids; do
        wait "$pid" 2>/dev/null || :
    done
    if [ -n "$keep" ]; then
        echo "what the processes wrote is in $dir" >&2
    else
        rm -rf "$dir"
    fi
    exit "$status"
}

begin() {
    if [ -z "${HERALD:-}" ] || [ -z "${HERALDD:-}" ]; then
        HERALD=$top/build/src/herald/herald
        HERALDD=$top/build/src/heraldd/heraldd
        if [ ! -x "$HERALD" ] || [ ! -x "$HERALDD" ]; then
            echo "building herald first (make all) ..."
            make -C "$top" all >/dev/null
        fi
    fi
    dir=$(mktemp -d)
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    unset HERALD_SOCKET HERALD_SERVER HERALD_PASSWORD
}

# wait_for FILE PATTERN [COUNT]: until COUNT lines match, at most 20 s.
wait_for() {
    tries=0
    until [ "$(grep -c -e "$2" "$1" 2>/dev/null || :)" -ge "${3:-1}" ] 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || fail "no \"$2\" in ${1##*/} within 20 s"
        sleep 0.05
    done
}

# wait_end PID NAME: a program that must end by itself with exit code 0, within 40 s.
wait_end() {
    tries=0
    until ! grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 800 ] || fail "$2 did not end within 40 s"
        sleep 0.05
    done
    code=0
    wait "$1" || code=$?
    [ "$code" -eq 0 ] || fail "$2 ended with exit code $code"
}

broker_start() {
    "$HERALDD" -c "$example/herald.conf" --run-dir "$dir/run" >"$dir/broker.log" 2>&1 &
    pids="$pids $!"
    wait_for "$dir/broker.log" 'is running'
    HERALD_SERVER=$(sed -n 's/^ *UDP \([^ ]*\).*/\1/p' "$dir/broker.log" | head -n 1)
    HERALD_SOCKET=$dir/run/herald.sock
    export HERALD_SERVER HERALD_SOCKET
    echo "herald listens on $HERALD_SERVER"
}

# user NAME: a user of the broker; its password is kept for `as`.
user() {
    printf 'secret-of-%s\n' "$1" >"$dir/$1.password"
    "$HERALD" user add "$1" --password-file "$dir/$1.password"
}

# ladder NAME=FILE...: the call flow of all that was traced.
ladder() {
    say "The call flow:"
    echo
    (cd "$dir" && "$HERALD" ladder $full "$@")
}

# expect COUNT PATTERN FILE: how often something must have been seen.
expect() {
    seen=$(grep -c -e "$2" "$dir/$3" || :)
    [ "$seen" -eq "$1" ] || fail "\"$2\" is there $seen times in $3, not $1 times"
}
