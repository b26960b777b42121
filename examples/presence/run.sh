#!/bin/sh
# Alice has a desk phone and a laptop, Bob may see her, Carol may not.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user alice
user bob
user carol

say "Alice lets Bob see her presence; she says nothing about Carol."
"$HERALD" policy allow alice bob --package presence

say "Bob subscribes: nobody has published for Alice, so she is shown as closed."
"$HERALD" sub sip:alice@example.test --user bob --password-file "$dir/bob.password" --count 4 \
    --trace-to "$dir/bob.trace" $full >"$dir/bob.out" 2>"$dir/bob.err" &
bob=$!
pids="$pids $bob"
wait_for "$dir/bob.out" '<basic>closed<'

say "Carol subscribes, and is refused."
code=0
"$HERALD" sub sip:alice@example.test --user carol --password-file "$dir/carol.password" --count 1 \
    --trace-to "$dir/carol.trace" $full >"$dir/carol.out" 2>"$dir/carol.err" || code=$?
[ "$code" -eq 1 ] || fail "Carol's herald sub ended with exit code $code, not 1"
grep -q 'refused with 403' "$dir/carol.err" || fail "Carol was not told why"

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

say "She leaves the desk: the phone removes its publication, the laptop's stays."
exec 3>&-
wait_end "$desk" "the desk phone"
wait_end "$bob" "Bob's program"
exec 4>&-
wait_end "$laptop" "the laptop"

ladder "desk phone=desk.trace" "Bob=bob.trace" "Carol=carol.trace" "laptop=laptop.trace"
say "What Bob saw:"
echo
cat "$dir/bob.out"

# Bob: closed, desk, desk and laptop, laptop.  Carol: nothing.
expect 4 '^[0-9:.]*  active' bob.out
expect 2 'At the desk' bob.out
expect 2 'Writing' bob.out
[ ! -s "$dir/carol.out" ] || fail "Carol saw something"
expect 1 '^20.* 403 ' carol.trace
say "As expected: Bob saw both devices of Alice come and one go, Carol saw nothing."
