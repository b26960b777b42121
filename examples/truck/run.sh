#!/bin/sh
# A truck says where it is, the whole drive; the warehouse is told when it is within ten miles, and when it has left again.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user truck_88
user dock

say "The warehouse may watch truck 88, and wants to know when it comes within ten miles of the dock, and when it goes."
"$HERALD" policy allow truck_88 sip:dock@fleet.example --package x-position
watcher dock sip:truck_88@fleet.example --package x-position --count 5 --when 'within 10mi of 41.9742,-87.9073 clear 10.5mi as near clear-notify'
wait_for "$dir/dock.out" '^[0-9:.]*  active'

say "The truck drives: $(wc -l <"$example/drive.jsonl") positions that were recorded on the way to the dock, back, and there once more."
publisher truck_88 3 sip:truck_88@fleet.example --package x-position --type application/json
cat "$example/drive.jsonl" >&3
published truck_88 200
finish dock
finish truck_88

trace dock
show dock "What the warehouse was told:"

# The positions jump by some hundred metres at the border, and stay once for a while between ten miles and ten and a half.
expect 5 '^[0-9:.]*  active' dock.out
[ "$(sed -n 's/.*fired: \([^ ]*\) .*/\1/p' "$dir/dock.out" | tr '\n' ' ')" = "near;seq=1 near;seq=2;cleared near;seq=3 near;seq=4;cleared " ] ||
    fail "the truck did not come, go, come and go"
say "As expected: it came twice and went twice."
