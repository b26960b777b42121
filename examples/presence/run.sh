#!/bin/sh
# Alice has a desk phone and a laptop.  Bob may see her, Carol may not, Dave is not to notice that he may not, and Erin has to ask.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user alice
user bob
user carol
user dave
user erin

say "Alice lets Bob see her presence.  Dave is blocked politely, Erin has to wait for her word; she says nothing about Carol."
"$HERALD" policy allow alice bob --package presence
"$HERALD" policy polite alice dave --package presence
"$HERALD" policy confirm alice erin --package presence

say "Alice watches who watches her (watcher information, RFC 3857)."
watcher alice sip:alice@example.test --package presence.winfo
wait_for "$dir/alice.out" '<watcherinfo'

say "Bob subscribes: nobody has published for Alice, so she is shown as closed.  So does Dave, and sees the same."
watcher bob sip:alice@example.test --count 4 $full
wait_for "$dir/bob.out" '<basic>closed<'
watcher dave sip:alice@example.test $full
wait_for "$dir/dave.out" '<basic>closed<'

say "Carol subscribes, and is refused."
code=0
"$HERALD" sub sip:alice@example.test --user carol --password-file "$dir/carol.password" --count 1 \
    --trace-to "$dir/carol.trace" $full >"$dir/carol.out" 2>"$dir/carol.err" || code=$?
[ "$code" -eq 1 ] || fail "Carol's herald sub ended with exit code $code, not 1"
grep -q 'refused with 403' "$dir/carol.err" || fail "Carol was not told why"

say "Erin subscribes, and waits: her subscription is pending.  Alice sees that at once."
watcher erin sip:alice@example.test $full
wait_for "$dir/erin.out" '^[0-9:.]*  pending'
wait_for "$dir/alice.out" 'status="pending"'

say "Alice's desk phone goes on line, over TCP, and then her laptop."
mkfifo "$dir/desk.in" "$dir/laptop.in"
tcp=$(sed -n 's/^ *TCP \([^ ]*\).*/\1/p' "$dir/broker.log" | head -n 1)
"$HERALD" pub sip:alice@example.test --user alice --password-file "$dir/alice.password" --server "$tcp" --tcp \
    --trace-to "$dir/desk.trace" $full - <"$dir/desk.in" >"$dir/desk.out" 2>"$dir/desk.err" &
desk=$!
pids="$pids $desk"
exec 3>"$dir/desk.in"
echo 'open At the desk' >&3
wait_for "$dir/bob.out" 'At the desk'
"$HERALD" pub sip:alice@example.test --user alice --password-file "$dir/alice.password" \
    --trace-to "$dir/laptop.trace" $full - <"$dir/laptop.in" >"$dir/laptop.out" 2>"$dir/laptop.err" 3>&- &
laptop=$!
pids="$pids $laptop"
exec 4>"$dir/laptop.in"
echo 'open Writing' >&4
wait_for "$dir/bob.out" 'Writing'

say "Alice lets Erin see her: what was pending is active in the same second, with the state."
"$HERALD" policy allow alice erin --package presence
wait_for "$dir/erin.out" 'Writing'
wait_for "$dir/alice.out" 'event="approved"'

say "She leaves the desk: the phone removes its publication, the laptop's stays.  Dave has noticed nothing of all this."
exec 3>&-
wait_end "$desk" "the desk phone"
finish bob
exec 4>&-
wait_end "$laptop" "the laptop"

trace sip:alice@example.test
show bob "What Bob saw:"
show dave "What Dave saw:"

# Bob: closed, desk, desk and laptop, laptop.  Carol: nothing.  Dave: closed, once.  Erin: pending, then what holds.
expect 4 '^[0-9:.]*  active' bob.out
expect 2 'At the desk' bob.out
expect 2 'Writing' bob.out
[ ! -s "$dir/carol.out" ] || fail "Carol saw something"
expect 1 '^20.* 403 ' carol.trace
expect 1 '^[0-9:.]*  active' dave.out
expect 1 '<basic>closed<' dave.out
expect 0 '<basic>open<' dave.out
expect 1 '^[0-9:.]*  pending' erin.out
expect 0 'Dave\|polite' alice.out
say "As expected: Bob saw both devices of Alice come and one go, Carol saw nothing, Dave believes that nobody is there, and Erin had to ask."
