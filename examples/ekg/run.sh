#!/bin/sh
# A bedside monitor speaks ten times a second; the doctor's phone rings when it is serious, and when it is over.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user monitor
user doctor

say "The doctor may watch bed 12, and wants to know of a heart rate above 140 or below 40 that lasts, and when it is over."
"$HERALD" policy allow sip:bed-12@icu.example sip:doctor@icu.example --package x-ekg
watcher doctor sip:bed-12@icu.example --package x-ekg --count 5 \
    --when 'hr above 140 clear 120 for 1s as fast clear-notify or hr below 40 clear 50 for 1s as slow clear-notify'
wait_for "$dir/doctor.out" '^[0-9:.]*  active'

say "The monitor publishes ten readings a second: calm, then 168 for two seconds, calm, then 34 for two seconds, calm."
publisher monitor 3 sip:bed-12@icu.example --package x-ekg --type application/json
# reading BPM COUNT: that many readings, a tenth of a second apart.
reading() {
    left=$2
    while [ "$left" -gt 0 ]; do
        tell monitor "{\"patient\":\"A. Example\",\"room\":\"12\",\"hr\":$1,\"lead_off\":false}"
        left=$((left - 1))
        sleep 0.1
    done
}
reading 72 10
reading 168 3
reading 72 5
reading 168 20
wait_for "$dir/doctor.out" 'fired: fast;seq=1 '
reading 96 8
wait_for "$dir/doctor.out" 'fired: fast;seq=2;cleared '
reading 34 20
wait_for "$dir/doctor.out" 'fired: slow;seq=3 '
reading 71 8
wait_for "$dir/doctor.out" 'fired: slow;seq=4;cleared '
finish doctor
finish monitor

trace doctor
show doctor "What the doctor's phone showed:"

# Two problems, two alarms, two all-clears; the three readings of 168 in the beginning were too short to be one.
expect 5 '^[0-9:.]*  active' doctor.out
expect 2 'fired: [a-z]*;seq=[13] ' doctor.out
expect 2 'fired: [a-z]*;seq=[24];cleared ' doctor.out
expect 75 '^20.* 200 OK (.*PUBLISH' monitor.trace
say "As expected: 74 readings, two problems, two alarms, two all-clears."
