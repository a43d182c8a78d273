#!/usr/bin/env bash
# The guide for curl and openssl, run as written, and what must be refused to such a device.
set -euo pipefail
source "$(dirname "$0")/hub.sh"

start_hub
made=$(api POST /claims '{"name":"lamp"}')
HUB=$DEVICES
PASSWORD=$(field "$made" password)
FINGERPRINT=$(field "$made" hub)
MQTT_HOST=localhost
guide() { sed -n '/^```sh$/,/^```$/p' "$top/docs/guide/enrol-with-curl.md" | grep -v '^```'; }
mkdir "$WORK/device" && cd "$WORK/device"
guide >guide.sh
set +u
source ./guide.sh
set -u
holds

device=$(api GET "/devices/$ID")
[ "$(field "$device" state)" = active ] || fails "the device is not active: $device"
[ "$(field "$device" name)" = lamp ] || fails "the device has another name"
values=$(api GET "/devices/$ID/values")
for value in cpuPercent load1 uptimeSeconds; do
  grep -q "\"$value\"" <<<"$values" || fails "$value did not arrive: $values"
done
holds

# refused TOPIC VALUE WORD: MQTT 5 says why
refused() {
  out=$(publish -t "$1" -m "$2" -d 2>&1) || true
  grep -qiE "$3" <<<"$out" || fails "$1 $2 was not refused with $3: $out"
  holds
}
other=$(tr 0-9a-z 1-9a-z0 <<<"$ID")
refused "things/$other/properties/cpuPercent" 1 'RC:135|not authorized'
refused "things/$ID/properties/colour" 1 'RC:1(35|44|53)|not authorized|invalid'
refused "things/$ID/properties/cpuPercent" '"warm"' 'RC:153|payload format invalid'
refused "things/$ID/properties/cpuPercent" 101 'RC:153|payload format invalid'
refused "things/$ID/properties/cpuPercent" NaN 'RC:153|payload format invalid'
refused "elsewhere" 1 'RC:135|not authorized'

# The code is used up: another key is refused with it.
openssl ecparam -name prime256v1 -genkey -noout -out thief.key
openssl req -new -key thief.key -subj /CN=thief -outform DER | openssl base64 >thief.csr
said=$(curl --silent --cacert root.pem --user "claim:$PASSWORD" --header "Content-Type: application/pkcs10" \
  --data-binary @thief.csr --write-out '%{http_code}' "$HUB/.well-known/est/simpleenroll")
grep -q 'used by another device' <<<"$said" && grep -q '403$' <<<"$said" || fails "a used code was taken: $said"
holds

# A key of a weaker kind is refused by its kind.
made=$(api POST /claims '{"name":"weak"}')
openssl req -new -newkey rsa:2048 -nodes -keyout weak.key -subj /CN=weak -outform DER 2>/dev/null | openssl base64 >weak.csr
said=$(curl --silent --cacert root.pem --user "claim:$(field "$made" password)" \
  --header "Content-Type: application/pkcs10" --data-binary @weak.csr "$HUB/.well-known/est/simpleenroll")
grep -q 'the key is RSA' <<<"$said" || fails "an RSA key was taken: $said"
holds

# The renewal of the guide, with a certificate that expired a day ago. Then the clock goes back to where it was.
api POST /claims '{"name":"drawer"}' >"$WORK/drawer.json"
mkdir drawer && cp root.pem drawer/ && cd drawer
PASSWORD=$(field "$(cat "$WORK/drawer.json")" password)
block() { awk -v want="$1" '/^## /{at = $2 == want} at' "$top/docs/guide/enrol-with-curl.md" | sed -n '/^```sh$/,/^```$/p' | grep -v '^```'; }
block 3. >enrol.sh
source ./enrol.sh >/dev/null
cp device.pem first.pem
clock="LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+31d"
printf '#!/bin/sh\nexec env %s "%s" "$@"\n' "$clock" "${HEDGEROW:-$top/target/debug/hedgerow}" >later && chmod +x later
kill "$HUB_PID"
wait "$HUB_PID" || true
HEDGEROW="$PWD/later" start_hub
block 5. >renew.sh
source ./renew.sh
cmp -s first.pem device.pem && fails "the expired certificate was not replaced"
api GET "/devices/$ID/timeline" | grep -q '"rescued"' || fails "the timeline does not say that it was rescued"
holds
kill "$HUB_PID"
wait "$HUB_PID" || true
start_hub
cd ..
ID=$(openssl x509 -in device.pem -noout -ext subjectAltName | grep -o 'device:.*' | cut -d: -f2)

# Subscribing to what is its own is allowed; retiring closes the open session in under a second.
stdbuf -oL mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile root.pem --cert device.pem --key device.key -V 5 -i sub \
  -t "things/$ID/actions/+" -d >sub.log 2>&1 &
sub=$!
for _ in $(seq 50); do grep -q 'SUBACK' sub.log && break; sleep 0.1; done
grep -q 'SUBACK' sub.log || fails "subscribing to its own actions failed: $(cat sub.log)"
begun=$(date +%s%N)
api POST "/devices/$ID/retire" '{"reason":"test"}' >/dev/null
for _ in $(seq 200); do grep -qE 'DISCONNECT|disconnect|Error' sub.log && break; sleep 0.01; done
took=$((($(date +%s%N) - begun) / 1000000))
kill "$sub" 2>/dev/null || true
[ "$took" -lt 1000 ] || fails "retiring took $took ms to close the session: $(cat sub.log)"
echo "retire closed the open session after $took ms, as the client saw it"
holds

# A revoked certificate gets through TLS and is told why.
out=$(publish -t "things/$ID/properties/cpuPercent" -m 1 -d 2>&1) || true
grep -qiE 'not authori[sz]ed|RC:?\(?135' <<<"$out" || fails "a revoked certificate was not refused with a reason: $out"
api GET "/devices/$ID" | grep -q '"state":"retired"' || fails "the device is not retired"
serial=$(openssl x509 -in device.pem -noout -serial | cut -d= -f2)
curl --silent --cacert root.pem "$HUB/crl/issuing.crl" | openssl crl -inform DER -noout -text | grep -q "$serial" ||
  fails "the revoked certificate is not on the list"
holds

verified=$(api POST /audit/verify)
[ "$(field "$verified" sound)" = true ] || fails "the audit log is not sound: $verified"
holds
echo "$passed passed, 0 failed"
