#!/bin/sh
# Runs every libFuzzer target of a build: tools/fuzz.sh BUILD SECONDS JOBS.  What a target finds is left in BUILD/found/ and fails
# the run; what it learned stays in BUILD/work/NAME, and the next run goes on from there.
set -u
build=$1 seconds=$2 jobs=$3
folder=$(dirname "$0")/../fuzz
mkdir -p "$build/found"
one() {
    name=$(basename "$1" | sed 's/^fuzz_//')
    mkdir -p "$build/work/$name"
    case $name in
    evt_*) how="-entropic=0 -max_len=4096" ;; # doc/fuzzing.md says why
    *) how="-use_value_profile=1 -max_len=65536" ;;
    esac
    "$1" $how -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$build/found/$name-" -print_final_stats=1 -dict="$folder/sip.dict" \
        "$build/work/$name" "$folder/corpus/$name" >"$build/work/$name.log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/work/$name.log")
    echo "$name: ${runs:-0} inputs, $([ $status -eq 0 ] && echo nothing found || echo "FAILED, see $build/work/$name.log")"
    return $status
}
status=0 running=0
for target in "$build"/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    one "$target" &
    pids="${pids:-} $!"
    running=$((running + 1))
    if [ $running -ge "$jobs" ]; then
        for pid in $pids; do wait "$pid" || status=1; done
        pids= running=0
    fi
done
for pid in ${pids:-}; do wait "$pid" || status=1; done
exit $status
