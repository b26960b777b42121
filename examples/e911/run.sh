#!/bin/sh
# An emergency call comes in: who responds in that area is told the caller's number and position and the nearest camera, others are not.
example=$(cd "$(dirname "$0")" && pwd)
. "$example/../lib.sh"
begin "$@"
broker_start
user psap
user engine_13
user engine_88

incidents=sip:incidents@psap.example
say "The engines are responders; each wants to know of new incidents within five kilometres of its station."
"$HERALD" policy list add responders sip:engine_13@psap.example sip:engine_88@psap.example
"$HERALD" policy allow $incidents @responders --package x-incident
watcher engine_13 $incidents --package x-incident --count 3 --when 'incident changed and within 5km of 41.8858,-87.6181'
wait_for "$dir/engine_13.out" '^[0-9:.]*  active'
watcher engine_88 $incidents --package x-incident --count 2 --when 'incident changed and within 5km of 41.7508,-87.6256'
wait_for "$dir/engine_88.out" '^[0-9:.]*  active'

say "4711: a caller downtown; the service adds the nearest camera.  Engine 13 is told."
publisher psap 3 $incidents --package x-incident --type application/json --priority esnet.1
# incident NUMBER TEL LAT LON CAMERA
incident() {
    tell psap "{\"incident\":\"$1\",\"caller\":{\"tel\":\"$2\"},\"lat\":$3,\"lon\":$4,\"acc\":18,\"cameras\":[{\"id\":\"$5\",\"stream\":\"https://cctv.example/$5\"}]}"
}
incident 4711 +13125550123 41.8827 -87.6233 state-lake
wait_for "$dir/engine_13.out" '"4711"'

say "4712: ten miles to the south.  Engine 88 is told, and engine 13 is not."
incident 4712 +17735550142 41.7366 -87.6243 cermak-87
wait_for "$dir/engine_88.out" '"4712"'

say "4713: downtown again.  A second call from the same area is a second incident."
incident 4713 +13125550177 41.8790 -87.6360 franklin
wait_for "$dir/engine_13.out" '"4713"'
finish engine_13
finish engine_88
finish psap

trace $incidents
show engine_13 "What engine 13 was told:"

expect 1 '"4711"' engine_13.out
expect 0 '"4712"' engine_13.out
expect 1 '"4713"' engine_13.out
expect 1 '"4712"' engine_88.out
expect 0 '"471[13]"' engine_88.out
expect 2 'priority esnet.1' engine_13.out
expect 1 'priority esnet.1' engine_88.out
grep -q '+13125550123.*state-lake' "$dir/engine_13.out" || fail "engine 13 was not told the caller's number and the camera"
say "As expected: who is near was told number, position and camera; who is not was not."
