#!/usr/bin/env bash
# The Linux agent as a program: enrolled, offline and back, asked to identify itself, renewed before its time, taken over
# by a new issuing CA.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
agent=${AGENT:-$top/target/debug/hedgerow-agent}

start_hub
made=$(api POST /claims '{"name":"server"}')
agent enroll --hub "$DEVICES" --claim "$(field "$made" code)" --key file >"$WORK/agent0.log" || fails "enrolment"
ID=$(field "$(agent status --json)" id)
[ "$(field "$(api GET "/devices/$ID")" name)" = server ] || fails "the hub does not know it"
said=$(agent enroll --hub "$DEVICES" --claim "$(field "$made" code)" 2>&1) && fails "enrolled twice"
grep -q 'is enrolled at' <<<"$said" || fails "enrolled twice"
holds "it enrols once"

"$agent" run --state "$WORK/agent" --seal "$WORK/config/agent.key" --every 1 >"$WORK/agent1.log" 2>&1 &
AGENT_PID=$!
trap 'kill "$AGENT_PID" "$HUB_PID" 2>/dev/null; wait 2>/dev/null; rm -rf "$WORK"' EXIT
has() { api GET "/devices/$ID/values" | grep -q "\"$1\""; }
soon has cpuPercent || fails "no readings"
soon has reported || fails "it did not say what it is"
grep -q 'landlock' "$WORK/agent1.log" && grep -q 'seccomp' "$WORK/agent1.log" || fails "it is not fenced in"
is_sealed() { [ "$(field "$(api GET "/devices/$ID")" key_storage)" = sealed-file ]; }
soon is_sealed || fails "the registry does not know where its key is"
holds "it publishes what it measures"

api POST "/devices/$ID/actions/identify" '{}' >/dev/null || fails "identify was refused"
soon grep -q "IDENTIFY: this is device $ID" "$WORK/agent1.log" || fails "it was not heard"
soon has result/identify || fails "its answer did not arrive"
said=$(curl --silent --request POST --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' \
  --data '{}' "$LOCAL/api/v1/devices/$ID/actions/dance")
grep -q 'does not declare' <<<"$said" || fails "an undeclared action was taken: $said"
holds "it answers the one action that it declares"

before=$(date -u +%Y-%m-%dT%H:%M:%SZ)
kill -9 "$HUB_PID"
wait "$HUB_PID" 2>/dev/null || true
sleep 6
start_hub
after=$(date -u +%Y-%m-%dT%H:%M:%SZ)
filled() {
  readings=$(api GET "/devices/$ID/readings?property=uptimeSeconds&since=$before&until=$after")
  [ "$(grep -o '"timestamp"' <<<"$readings" | wc -l)" -ge 4 ]
}
soon filled || fails "readings of the time without a hub are missing: $readings"
python3 -c 'import json,sys
times = [item["timestamp"] for item in json.loads(sys.argv[1])["items"]]
assert times == sorted(set(times)), times' "$readings" || fails "readings are out of order or stored twice"
holds "what it measured while the hub was away arrives afterwards, in order and once"

kill "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null || true
old=$(openssl x509 -inform DER -in "$WORK/agent/certificate.der" -noout -serial)
# Its clock says that two thirds of the certificate's life are over.
LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+21d "$agent" run --state "$WORK/agent" \
  --seal "$WORK/config/agent.key" --every 60 >"$WORK/agent2.log" 2>&1 &
AGENT_PID=$!
soon grep -q 'the new certificate works; the old one is dropped' "$WORK/agent2.log" || fails "it did not renew"
new=$(openssl x509 -inform DER -in "$WORK/agent/certificate.der" -noout -serial)
[ "$old" != "$new" ] && [ ! -e "$WORK/agent/certificate.next.der" ] || fails "the old certificate is still there"
holds "it renews at two thirds of the life and proves the new certificate before it drops the old"

kill "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null || true
sloth() { "$agent" "$1" --state "$WORK/sloth" --seal "$WORK/config/sloth.key" "${@:2}"; }
made=$(api POST /claims '{"name":"sloth"}')
sloth enroll --hub "$DEVICES" --claim "$(field "$made" code)" --key file >/dev/null || fails "the second enrolment"
SLOTH=$(field "$(sloth status --json)" id)
hedgerow ca rotate >"$WORK/rotated" || fails "a new issuing CA could not be made"
grep -q '2 devices and 0 programs have yet to' "$WORK/rotated" || fails "wrong count: $(cat "$WORK/rotated")"
"$agent" run --state "$WORK/sloth" --seal "$WORK/config/sloth.key" --every 1 >"$WORK/agent-sloth.log" 2>&1 &
SLOTH_PID=$!
trap 'kill "$AGENT_PID" "$SLOTH_PID" "$HUB_PID" 2>/dev/null; wait 2>/dev/null; rm -rf "$WORK"' EXIT
soon grep -q 'connected to' "$WORK/agent-sloth.log" || fails "a certificate of the earlier CA is refused too soon"
LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+21d "$agent" run --state "$WORK/agent" \
  --seal "$WORK/config/agent.key" --every 60 >"$WORK/agent3.log" 2>&1 &
AGENT_PID=$!
soon grep -q 'the new certificate works; the old one is dropped' "$WORK/agent3.log" || fails "it did not renew"
issuer=$(openssl x509 -inform DER -in "$WORK/agent/certificate.der" -noout -issuer)
grep -q 'issuing CA 2' <<<"$issuer" || fails "the new issuing CA did not sign: $issuer"
holds "it takes a new issuing CA with the certificate that it signed"

kill "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null || true
"$agent" run --state "$WORK/agent" --seal "$WORK/config/agent.key" --every 1 >"$WORK/agent4.log" 2>&1 &
AGENT_PID=$!
soon grep -q 'connected to' "$WORK/agent4.log" || fails "it does not connect with what the new issuing CA signed"
said=$(hedgerow ca distrust 2>&1) && fails "the earlier CA was given up without a word"
grep -q '1 devices and 0 programs' <<<"$said" || fails "wrong count: $said"
hedgerow ca distrust --yes >/dev/null || fails "the earlier CA could not be given up"
soon grep -q 'certificate was revoked' "$WORK/agent-sloth.log" || fails "the one that did not renew is not told why"
soon grep -q 'does not trust the issuing CA' "$WORK/agent-sloth.log" || fails "it is not told how to come back"
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
goes_on() { api GET "/devices/$ID/readings?property=uptimeSeconds&since=$now" | grep -q '"timestamp"'; }
soon goes_on || fails "the one that renewed does not publish any more"
[ "$(grep -c 'connected to' "$WORK/agent4.log")" = 1 ] || fails "its connection was dropped"
holds "when the earlier CA is given up the one that renewed goes on and the other is told why it is out"

kill "$SLOTH_PID"
wait "$SLOTH_PID" 2>/dev/null || true
rm "$WORK/sloth/certificate.der"
made=$(api POST /claims '{"name":"sloth"}')
sloth enroll --hub "$DEVICES" --claim "$(field "$made" code)" >/dev/null || fails "it can't be claimed again"
[ "$(field "$(sloth status --json)" id)" = "$SLOTH" ] || fails "it is another device now"
"$agent" run --state "$WORK/sloth" --seal "$WORK/config/sloth.key" --every 1 >"$WORK/agent-sloth2.log" 2>&1 &
SLOTH_PID=$!
soon grep -q 'connected to' "$WORK/agent-sloth2.log" || fails "it does not connect after it was claimed again"
holds "the one that is out comes back with a new claim code, its key and its id"

# In the drawer until its certificate has expired: by the clock of the hub alone, then by its own as well.
rescued() { [ "$(api GET "/devices/$SLOTH/timeline" | grep -o '"rescued"' | wc -l)" = "$1" ]; }
for turn in 1 2; do
  kill "$SLOTH_PID" "$HUB_PID"
  wait "$SLOTH_PID" "$HUB_PID" 2>/dev/null || true
  clock=(env LD_PRELOAD="$(ls /usr/lib/*/faketime/libfaketime.so.1)" FAKETIME=+$((31 * turn + 1))d)
  HEDGEROW_PLAIN=${HEDGEROW:-$top/target/debug/hedgerow}
  printf '#!/bin/sh\nexec %s "%s" "$@"\n' "${clock[*]}" "$HEDGEROW_PLAIN" >"$WORK/later" && chmod +x "$WORK/later"
  HEDGEROW="$WORK/later" start_hub
  [ "$turn" = 2 ] || clock=(env)
  "${clock[@]}" "$agent" run --state "$WORK/sloth" --seal "$WORK/config/sloth.key" --every 1 \
    >"$WORK/agent-drawer$turn.log" 2>&1 &
  SLOTH_PID=$!
  soon grep -q 'rescued: the hub gave this device its next certificate' "$WORK/agent-drawer$turn.log" ||
    fails "it was not rescued"
  soon grep -q 'connected to' "$WORK/agent-drawer$turn.log" || fails "it does not connect with what it got"
  soon rescued "$turn" || fails "its timeline does not say so"
  [ ! -e "$WORK/sloth/certificate.next.der" ] || fails "the expired certificate is still there"
done
holds "a certificate that expired in the drawer is replaced by itself, whatever the device's clock says"
echo "$passed passed, 0 failed"
