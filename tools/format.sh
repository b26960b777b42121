#!/bin/sh
# tools/format.sh check|fix: whether every source is laid out as .clang-format says, or makes it so.
set -eu
cd "$(dirname "$0")/.."
sources=$(find src fuzz test examples bench -name '*.[ch]' 2>/dev/null | sort)
[ -n "$sources" ] || { echo "format.sh: no sources found" >&2; exit 1; }
case ${1:-check} in
fix) echo "$sources" | xargs clang-format -i ;;
check) echo "$sources" | xargs clang-format --dry-run -Werror ;;
*) echo "format.sh: check or fix" >&2; exit 2 ;;
esac
