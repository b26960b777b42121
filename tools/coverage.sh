#!/bin/sh
# The report of a build with coverage after its tests have run: tools/coverage.sh BUILD
set -eu
build=$1
root=$(cd "$(dirname "$0")/.." && pwd)
lcov --quiet --capture --directory "$build" --base-directory "$root" --output-file "$build/all.info" --rc geninfo_auto_base=1
lcov --quiet --extract "$build/all.info" "$root/src/*" --output-file "$build/src.info"
lcov --quiet --remove "$build/src.info" '*_test.c' --output-file "$build/src.info"
genhtml --quiet --prefix "$root" --output-directory "$build/report" "$build/src.info"
for folder in "$root"/src/*/; do
    name=$(basename "$folder")
    rate=$(awk -v folder="/src/$name/" '/^SF:/ { take = index($0, folder) } take && /^DA:/ { split($0, a, ","); n++; if (a[2] > 0) hit++ }
        END { if (n) printf "%5.1f %% of %5d lines", 100 * hit / n, n }' "$build/src.info")
    [ -n "$rate" ] && printf '%-10s %s\n' "$name" "$rate"
done
echo "$build/report/index.html has them line by line"
