# What the examples share.  A run.sh sets `example` to its folder, sources this file, and calls begin, broker_start and user, then
# watcher, publisher, tell ... and at the end ladder or trace, and expect.  Everything happens in a temporary folder, on a port of
# 127.0.0.1 that the system chooses; every process that was started is ended by its pid.
#
# Environment: HERALD and HERALDD, the programs (default: those of ../build, which `make all` makes).
set -eu
top=$(cd "$example/../.." && pwd)
full=
keep=
stable=
for word; do
    case $word in
    --full) full=--full ;;
    --keep) keep=1 ;;
    --stable) stable=--stable ;;
    *)
        echo "usage: $0 [--full] [--keep] [--stable]
  --full    show every SIP message under its line of the ladder
  --keep    leave the temporary folder (traces, logs) in place
  --stable  print the trace alone, with names that are the same in every run (doc/stories)" >&2
        exit 2
        ;;
    esac
done
[ -z "$stable" ] || exec 9>&1 >/dev/null

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
    exec 3>&- 4>&- 5>&- 6>&- || :
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

# watcher NAME RESOURCE OPTION...: a program that subscribes; what it prints is in NAME.out.
watcher() {
    name=$1 resource=$2
    shift 2
    (
        exec 3>&- 4>&- 5>&- 6>&-
        exec "$HERALD" sub "$resource" --user "$name" --password-file "$dir/$name.password" --trace-to "$dir/$name.trace" "$@"
    ) >"$dir/$name.out" 2>"$dir/$name.err" &
    eval "pid_$name=$!"
    pids="$pids $!"
}

# publisher NAME FD RESOURCE OPTION...: a program that publishes each line that is written to FD (3 to 6), and takes back the last
# one when FD is closed.
publisher() {
    name=$1 fd=$2 resource=$3
    shift 3
    mkfifo "$dir/$name.in"
    (
        exec 3>&- 4>&- 5>&- 6>&-
        exec "$HERALD" pub "$resource" --user "$name" --password-file "$dir/$name.password" --trace-to "$dir/$name.trace" "$@" -
    ) <"$dir/$name.in" >"$dir/$name.out" 2>"$dir/$name.err" &
    eval "pid_$name=$! fd_$name=$fd"
    pids="$pids $!"
    eval "exec $fd>\"\$dir/\$name.in\""
}

# tell NAME TEXT: it publishes a line.  published NAME COUNT: until so many were answered with 200.
tell() {
    eval "printf '%s\\n' \"\$2\" >&\$fd_$1"
}
published() {
    wait_for "$dir/$1.trace" '^20.* 200 OK (.*PUBLISH' "$2"
}

# finish NAME: a publisher removes its publication; a watcher has seen enough; it ends.
finish() {
    eval "fd=\${fd_$1:-}"
    [ -z "$fd" ] || eval "exec $fd>&-"
    eval "wait_end \"\$pid_$1\" \"\$1\""
}

# trace WORD: what the broker recorded of a resource or of somebody: messages and decisions.
trace() {
    say "What the broker recorded of $1:"
    echo
    if [ -n "$stable" ]; then
        "$HERALD" trace "$1" --stable >&9
    else
        "$HERALD" trace "$1" $full
    fi
}

# show NAME TITLE: what a watcher was shown.
show() {
    say "$2"
    echo
    cat "$dir/$1.out"
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
