#!/usr/bin/env bash
# The guide for devices as they are, run as written with mosquitto's clients: the device, a program that knows it, and
# what Home Assistant would hear.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
hedgerow() { "${HEDGEROW:-$top/target/debug/hedgerow}" --data "$DATA" "$@" 2>/dev/null; }

# Whoever still listens ends with the test, before the hub does.
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$WORK"' EXIT
start_hub --home-assistant --mqtts-weak 127.0.0.1:0
MQTT_HOST=localhost
made=$(hedgerow device claim --name "Kitchen plug" --profile tasmota-plug --set topic=plug1 --json)
HUB=$DEVICES PASSWORD=$(field "$made" password) FINGERPRINT=$(field "$made" hub)
cd "$WORK"
# The guide for enrolment publishes to the topics of another profile at its end.
blocks enrol-with-curl.md | sed '/^publish -t/,$d' >enrol.sh
set +u; source ./enrol.sh; set -u

# hears NAME SECRET OPTION...: a program that writes to NAME, once it is subscribed
hears() {
  local name=$1 secret=$2; shift 2
  stdbuf -oL mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile root.pem -u token -P "$secret" -V 5 -q 1 -d -v "$@" >"$name" 2>&1 &
  for _ in $(seq 100); do grep -qs 'Subscribed\|SUBACK' "$name" && return; sleep 0.05; done
  fails "no subscription: $(cat "$name")"
}
# until_in FILE TEXT: waits for it
until_in() {
  for _ in $(seq 200); do grep -qF -- "$2" "$1" && return; sleep 0.05; done
  fails "no $2 in $(cat "$1")"
}

hears all "$(hedgerow token create --name all --allow 'subscribe tele/#' --allow 'subscribe homeassistant/#' \
  --allow 'subscribe things/+/properties/#')" -t 'tele/#' -t 'homeassistant/#' -t 'things/+/properties/#'
stdbuf -oL mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile root.pem --cert device.pem --key device.key \
  -V 311 -q 1 -i DVES_3D5E26 -t 'cmnd/plug1/#' -d -v >heard 2>&1 &
for _ in $(seq 100); do grep -qs 'Subscribed\|SUBACK' heard && break; sleep 0.05; done

blocks interop.md >guide.sh
source ./guide.sh >shown
holds
until_in heard 'cmnd/plug1/POWER ON'
holds
for _ in $(seq 100); do [ "$(grep -c '^cmnd/plug1/POWER ON' heard)" -ge 2 ] && break; sleep 0.05; done
[ "$(grep -c '^cmnd/plug1/POWER ON' heard)" = 2 ] || fails "the property was not written as the action was asked: $(cat heard)"
holds
grep -q 'power  *5' shown || fails "the page of the command line has no power: $(cat shown)"
holds
until_in all 'tele/plug1/LWT Online'
until_in all "things/$ID/properties/power 5"
until_in all "things/$ID/properties/online true"
until_in all 'tele/plug2/LWT Online'
holds

# The program that knows Tasmota: it hears, it commands, it does not speak for the device.
hears raw "$RAW" -t 'tele/plug1/#'
publish -t tele/plug1/SENSOR -m '{"ENERGY":{"Power":6}}'
until_in raw 'tele/plug1/SENSOR {"ENERGY":{"Power":6}}'
say() { mosquitto_pub -h localhost -p "$MQTT_PORT" --cafile root.pem -u token -P "$RAW" -V 5 -q 1 -d "$@" 2>&1; }
say -t cmnd/plug1/POWER -m OFF >said
until_in heard 'cmnd/plug1/POWER OFF'
holds
say -t cmnd/plug1/Upgrade -m 1 >said
say -t cmnd/plug1/POWER -m TOGGLE >said
until_in heard 'cmnd/plug1/POWER TOGGLE'
if grep -q Upgrade heard; then fails "the device heard what its profile has not: $(cat heard)"; fi
say -t tele/plug1/SENSOR -m '{}' >said || true
grep -qiE 'RC:135|not authori[sz]ed' said || fails "a program spoke for the device: $(cat said)"
holds

# Home Assistant, with the grants of the guide: what was told before is there, retained.
hears assistant "$ASSISTANT" -t 'homeassistant/#' -t 'things/+/properties/#'
until_in assistant "homeassistant/sensor/$ID/power/config {"
told=$(grep "^homeassistant/sensor/$ID/power/config {" assistant | head -1 | cut -d' ' -f2-)
[ "$(field "$told" state_topic)" = "things/$ID/properties/power" ] || fails "another state topic: $told"
[ "$(field "$told" unit_of_measurement)" = W ] || fails "another unit: $told"
[ "$(field "$told" device.name)" = "Kitchen plug" ] || fails "another name: $told"
publish -t tele/plug1/SENSOR -m '{"ENERGY":{"Power":7}}'
until_in assistant "things/$ID/properties/power 7"
publish -t "things/$ID/properties/power" -m 8
until_in assistant "things/$ID/properties/power 8"
[ "$(grep -c "^things/$ID/properties/power 8" assistant)" = 1 ] || fails "what the device said itself was said twice: $(cat assistant)"
holds
# A plug that can do no better than TLS 1.2 and a password, on its own topics.
made=$(hedgerow device admit-weak --name "Old plug" --profile tasmota-plug --set topic=plug3 --json)
OLD=$(field "$made" username) OLD_PASSWORD=$(field "$made" password) DOOR=$(field "$made" mqtts)
weakly() {
  mosquitto_pub -h localhost -p "${DOOR##*:}" --cafile root.pem --tls-version tlsv1.2 -u "$OLD" -P "$OLD_PASSWORD" -V 311 -q 1 "$@"
}
weakly -t tele/plug3/SENSOR -m '{"ENERGY":{"Power":9}}'
until_in all 'tele/plug3/SENSOR {"ENERGY":{"Power":9}}'
until_in all "things/$OLD/properties/power 9"
weakly -t tele/plug1/SENSOR -m '{"ENERGY":{"Power":10}}' || true
hedgerow device show "$OLD" >shown
grep -q 'power  *9' shown || fails "the weak device has no power: $(cat shown)"
if grep -q 'SENSOR {"ENERGY":{"Power":10}}' all; then fails "a weak device spoke for another"; fi
if hedgerow device admit-weak --name "Twin" --profile tasmota-plug --set topic=plug3 >/dev/null; then fails "a topic was given twice"; fi
holds
# What is withheld, and what is gone, is taken back.
hedgerow profile narrow tasmota-plug --without voltage
until_in all "homeassistant/sensor/$ID/voltage/config (null)"
hedgerow device retire "$ID" --reason sold >/dev/null
until_in all "homeassistant/sensor/$ID/power/config (null)"
holds

echo "$passed passed"
