#!/bin/sh
# Two warehouses hold bolts; the supplier is told when both together have too few, once per crossing.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user north
user south
user supplier

bolts=sip:bolts@parts.example
say "The supplier may watch the bolts, and wants to know when fewer than 20 are left; again only after there were 40."
"$HERALD" policy allow $bolts sip:supplier@parts.example --package x-stock
watcher supplier $bolts --package x-stock --count 3 --when 'stock below 20 clear 40'
wait_for "$dir/supplier.out" '^[0-9:.]*  active'

say "The warehouse in the north has 30, the one in the south 25: together 55."
publisher north 3 $bolts --package x-stock --type application/json
publisher south 4 $bolts --package x-stock --type application/json
# has NAME COUNT: what a warehouse has now; waits for the broker's word, so that the order is that of the story.
north_said=0 south_said=0
has() {
    tell "$1" "{\"part\":\"bolt M8\",\"stock\":$2}"
    eval "${1}_said=\$((${1}_said + 1)); published $1 \$${1}_said"
}
has north 30
has south 25

say "The north sells 18, the south 20: together 17.  The supplier is told."
has north 12
has south 5
wait_for "$dir/supplier.out" 'fired: 1;seq=1 '

say "Two more go, one comes back: 15, 16.  He knows that already."
has north 10
has north 11

say "He delivers 40 to the south: 56.  Then a builder takes nearly all: 12 are left, and he is told again."
has south 45
has north 2
has south 10
wait_for "$dir/supplier.out" 'fired: 1;seq=2 '
finish supplier
finish north
finish south

trace $bolts
show supplier "What the supplier was told:"

expect 3 '^[0-9:.]*  active' supplier.out
[ "$(sed -n 's/.*"stock": *\([0-9]*\).*/\1/p' "$dir/supplier.out" | tr '\n' ' ')" = "17 12 " ] || fail "he was not told of 17 and of 12"
say "As expected: two crossings, two alerts, both with the sum of the warehouses."
