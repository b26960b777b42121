#!/bin/sh
# Makes sure that the Debian packages of packaging/debian-packages.txt are there.
#   tools/deps.sh build|test|bench
# Asks dpkg once when nothing is missing.  As root it installs what is missing without a question; anyone else is told the
# one command to run.
set -eu
part=${1:?build, test or bench}
list=$(dirname "$0")/../packaging/debian-packages.txt
case $part in
build) kinds="build console" ;;
test) kinds="build console test" ;;
bench) kinds="build console bench" ;;
*) echo "deps.sh: build, test or bench, not $part" >&2; exit 2 ;;
esac
wanted=$(awk -v kinds=" $kinds " 'index(kinds, " " $1 " ") { print $2 }' "$list")
console=$(awk '$1 == "console" { printf "%s ", $2 }' "$list")

# Packages whose program somebody has from elsewhere.
have=$(awk '$3 != "" && $1 !~ /^#/ { print $2, $3 }' "$list" | while read -r package program; do
    command -v "$program" >/dev/null 2>&1 && echo "$package" || true
done)
for package in $have; do
    wanted=$(echo "$wanted" | grep -vx "$package" || true)
done

# The npm packages of the tests, when their list has changed.
javascript() {
    [ "$part" = test ] || return 0
    js=$(dirname "$0")/../test/system/js
    if [ "$js/node_modules/.package-lock.json" -nt "$js/package-lock.json" ] || ! command -v npm >/dev/null 2>&1; then
        return 0
    fi
    (cd "$js" && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/.package-lock.json)
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps.sh: this is not a Debian system; herald needs what these packages hold:" $wanted >&2
    exit 0 # meson says what it does not find
fi

# Of the packages asked for, those that are not installed.
missing=$(
    {
        # shellcheck disable=SC2086
        dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true
        for package in $wanted; do echo "wanted $package"; done
    } | awk '$1 == "installed" { there[$2] = 1 }
             $1 == "wanted" && !($2 in there) { printf "%s ", $2 }'
)
if [ -z "$missing" ]; then
    javascript
    exit 0
fi

# The console alone is no reason to stop.
needed=$(echo "$missing" | tr ' ' '\n' | awk -v console=" $console" '$1 != "" && !index(console, " " $1 " ") { printf "%s ", $1 }')

if [ "$(id -u)" != 0 ] && [ -z "$needed" ]; then
    echo "deps.sh: without $missing herald is built without its console; sudo apt-get install $missing, then: make console" >&2
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "Some Debian packages are missing.  Please run this, and then the same make again:" >&2
    echo "    sudo apt-get install -y --no-install-recommends $missing" >&2
    exit 1
fi
echo "installing: $missing"
export DEBIAN_FRONTEND=noninteractive
install() {
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing </dev/null
}
# The package lists may be old or not there at all: then they are fetched, once.
install || { apt-get update -q </dev/null && install; } || {
    missing=$needed
    [ -z "$needed" ] || install
}
javascript
