#!/bin/sh
# A voicemail service switches the lamp of a desk phone on and off.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user 2001
user voicemail

say "Phone 2001 asks for its own message-summary: there is none, so the lamp is off."
"$HERALD" sub sip:2001@example.test --package message-summary --user 2001 --password-file "$dir/2001.password" \
    --count 4 --trace-to "$dir/phone.trace" $full >"$dir/phone.out" 2>"$dir/phone.err" &
phone=$!
pids="$pids $phone"
wait_for "$dir/phone.out" '^Messages-Waiting: no'

say "Somebody leaves two messages: the service publishes 2 new, 0 old.  The lamp goes on."
mkfifo "$dir/service.in"
"$HERALD" pub sip:2001@example.test --package message-summary --user voicemail \
    --password-file "$dir/voicemail.password" --trace-to "$dir/service.trace" $full - \
    <"$dir/service.in" >"$dir/service.out" 2>"$dir/service.err" &
service=$!
pids="$pids $service"
exec 3>"$dir/service.in"
echo 2/0 >&3
wait_for "$dir/phone.out" '^Voice-Message: 2/0'

say "The user listens to one of them: 1 new, 1 old."
echo 1/1 >&3
wait_for "$dir/phone.out" '^Voice-Message: 1/1'

say "And to the other: 0 new, 2 old.  The lamp goes off; the phone has seen enough and unsubscribes."
echo 0/2 >&3
wait_for "$dir/phone.out" '^Voice-Message: 0/2'
wait_end "$phone" "the phone"

say "The service ends and removes its publication."
exec 3>&-
wait_end "$service" "the service"

ladder "voicemail service=service.trace" "phone 2001=phone.trace"
trace sip:2001@example.test
say "What the phone showed:"
echo
cat "$dir/phone.out"

# Four notifications, in this order, and the service was believed each time.
expect 4 '^Messages-Waiting: ' phone.out
[ "$(sed -n 's/^Messages-Waiting: //p' "$dir/phone.out" | tr -d '\r' | tr '\n' ' ')" = "no yes yes no " ] ||
    fail "the lamp was not off, on, on, off"
expect 4 '^20.* 200 OK (.*PUBLISH' service.trace
expect 1 '^20.* SUBSCRIBE .*Expires 0' phone.trace
expect 1 '^20.* NOTIFY terminated;reason=timeout' phone.trace
say "As expected: the lamp was off, on, on, off."
