#!/usr/bin/env bash
# The guide for applications over MQTT, run as written; then what its clients must be able to do, and what must be refused.
# Arguments: a Python with paho-mqtt, a Node with npm's mqtt beside tests/mqtt.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
python=$1 node=$2

start_hub
MQTT_HOST=localhost
# A device, by its own guide.
made=$(api POST /claims '{"name":"lamp"}')
HUB=$DEVICES PASSWORD=$(field "$made" password) FINGERPRINT=$(field "$made" hub)
mkdir "$WORK/device" "$WORK/application" && cd "$WORK/device"
blocks enrol-with-curl.md >guide.sh
set +u; source ./guide.sh; set -u
device() { (cd "$WORK/device" && publish "$@"); }
# The device hears what it is asked.
(cd "$WORK/device" && exec stdbuf -oL mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile root.pem --cert device.pem \
  --key device.key -V 5 -i lamp-hears -t "things/$ID/actions/#" -v) >"$WORK/heard" 2>&1 &
ears=$!
sleep 0.5

cd "$WORK/application"
blocks mqtt.md >guide.sh
source ./guide.sh
holds
for _ in $(seq 50); do grep -q "actions/identify {}" "$WORK/heard" && break; sleep 0.1; done
kill "$ears"
grep -q "things/$ID/actions/identify {}" "$WORK/heard" || fails "the device was not asked: $(cat "$WORK/heard")"
holds

# hears NAME OPTION...: a subscriber that writes to NAME, once it is subscribed
hears() {
  local name=$1; shift
  stdbuf -oL mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile hub.pem -u token -P "$SECRET" -d "$@" >"$name" 2>&1 &
  EARS=$!
  for _ in $(seq 100); do grep -q 'Subscribed\|SUBACK' "$name" && return; sleep 0.05; done
  fails "no subscription: $(cat "$name")"
}
# until_in FILE TEXT: waits for it
until_in() {
  for _ in $(seq 100); do grep -qF -- "$2" "$1" && return; sleep 0.05; done
  fails "no $2 in $(cat "$1")"
}

# What a device publishes reaches a program, in both versions and every quality.
for version in 311 5; do
  for quality in 0 1 2; do
    hears heard -V $version -q $quality -t 'things/+/properties/#' -v
    VERSION=$version device -t "things/$ID/properties/load1" -m "$version.$quality"
    until_in heard "things/$ID/properties/load1 $version.$quality"
    kill $EARS
    hears heard -V $version -q $quality -t "lab/$version/#" -v
    say -V $version -q $quality -t "lab/$version/$quality" -m hello
    until_in heard "lab/$version/$quality hello"
    kill $EARS
    holds
  done
done

# An action's result reaches who asked for it.
hears heard -V 5 -q 1 -t 'things/+/actions/+/result' -v
device -t "things/$ID/actions/identify/result" -m '{"done":true}'
until_in heard "things/$ID/actions/identify/result {\"done\":true}"
kill $EARS
holds

# A shared subscription hands each message to one of the group.
hears one -V 5 -q 1 -t '$share/g/lab/jobs' -v; first=$EARS
hears two -V 5 -q 1 -t '$share/g/lab/jobs' -v; second=$EARS
for number in $(seq 10); do say -V 5 -q 1 -t lab/jobs -m "job $number."; done
for number in $(seq 10); do
  for _ in $(seq 100); do grep -qF "job $number." one two && break; sleep 0.05; done
done
kill $first $second
[ "$(cat one two | grep -c '^lab/jobs job')" = 10 ] || fails "not each job once: $(cat one two)"
grep -q '^lab/jobs' one && grep -q '^lab/jobs' two || fails "one of the group got all"
holds

# refused WORD COMMAND...: it is refused, and the client says so with WORD
refused() {
  local word=$1; shift
  local out
  out=$("$@" 2>&1) || true
  grep -qiE "$word" <<<"$out" || fails "$* was not refused with $word: $out"
  holds
}
refused 'RC:135|not authori[sz]ed' say -V 5 -q 1 -d -t elsewhere -m 1
refused 'RC:135|not authori[sz]ed' say -V 5 -q 2 -d -t elsewhere -m 1
refused 'RC:135|not authori[sz]ed' say -V 5 -q 1 -d -t "things/$ID/desired" -m '{}'
refused 'requests were denied' hear -V 5 -d -W 2 -t 'things/#'
refused 'requests were denied' hear -V 311 -d -W 2 -t '#'
refused 'requests were denied' hear -V 5 -d -W 2 -t '$SYS/#'
anybody() { mosquitto_pub -h localhost -p "$MQTT_PORT" --cafile hub.pem "$@"; }
refused 'not authori[sz]ed' anybody -V 5 -t lab/x -m 1
refused 'not authori[sz]ed' anybody -V 311 -t lab/x -m 1
refused 'bad user ?name or password' anybody -V 311 -u token -P wrong -t lab/x -m 1
refused 'bad user ?name or password|not authori[sz]ed' anybody -V 5 -u token -P "${SECRET}x" -t lab/x -m 1
refused 'needs|scope|Authorization|not allowed' curl --silent --header "Authorization: Bearer $SECRET" "$LOCAL/api/v1/devices"

# The broker's own numbers are for those who were granted them by name.
numbers=$(hedgerow token create --name numbers --allow 'subscribe $SYS/#' 2>/dev/null)
version=$(mosquitto_sub -h localhost -p "$MQTT_PORT" --cafile hub.pem -u token -P "$numbers" -t '$SYS/broker/version' -C 1 -W 5)
grep -q '^hedgerow ' <<<"$version" || fails "no version in \$SYS: $version"
holds

# Other people's clients.
export MQTT_PORT SECRET ID CA="$WORK/application/hub.pem"
"$python" "$top/tests/mqtt/client.py" || fails "paho-mqtt"
holds
HTTPS=$HTTPS LOCAL=$LOCAL "$node" "$top/tests/mqtt/client.mjs" || fails "npm's mqtt"
holds

# A device's certificate is the device, whatever is said beside it.
device -t "things/$ID/properties/load1" -m 1 -u token -P wrong || fails "a device was judged by its password"
refused 'RC:135|not authori[sz]ed' device -t lab/x -m 1 -d -u token -P "$SECRET"
holds

# The hub knows the token after a restart, and what waits for its program.
hear -V 311 -c -i durable -q 1 -t lab/kept -E
say -V 5 -q 1 -t lab/kept -m kept
kill "$HUB_PID"
wait "$HUB_PID" || true
start_hub
[ "$(hear -V 311 -c -i durable -q 1 -t lab/kept -C 1 -W 5)" = kept ] || fails "nothing waited for the program"
refused 'RC:135|not authori[sz]ed' say -V 5 -q 1 -d -t elsewhere -m 1
holds

# The grants are shown, and removing the token ends its session within a second.
listed=$(hedgerow token list --json)
grep -qF 'subscribe things/+/properties/#' <<<"$listed" || fails "no grants in the list: $listed"
number=$(python3 -c 'import json,sys; print(next(t["id"] for t in json.loads(sys.argv[1])["items"] if t["name"] == "dashboard"))' "$listed")
holds
hears heard -V 5 -q 1 -t 'lab/#' -v
begun=$(date +%s%N)
hedgerow token remove "$number"
for _ in $(seq 200); do grep -qE 'DISCONNECT|disconnect|Error' heard && break; sleep 0.01; done
took=$((($(date +%s%N) - begun) / 1000000))
kill $EARS 2>/dev/null || true
[ "$took" -lt 1000 ] || fails "removing the token took $took ms to end its session: $(cat heard)"
echo "removing the token ended its session after $took ms, as the client saw it"
holds
refused 'bad user ?name or password|not authori[sz]ed' say -V 311 -q 1 -t lab/x -m 1

# So does its end.
SECRET=$(field "$(api POST /tokens '{"name":"brief","allow":["subscribe lab/#"],"expires_in":2}')" secret)
hears heard -V 5 -q 1 -t 'lab/#' -v
for _ in $(seq 350); do grep -qE 'DISCONNECT|disconnect|Error' heard && break; sleep 0.01; done
kill $EARS 2>/dev/null || true
grep -qE 'DISCONNECT|disconnect|Error' heard || fails "the session outlived its token: $(cat heard)"
holds

status=$(api GET /status)
grep -q 'wrong-token' <<<"$status" || fails "wrong tokens were not counted: $status"
audit=$(api GET '/audit?action=token.mqtt')
grep -q 'elsewhere' <<<"$audit" || fails "the first refusal was not recorded: $audit"
holds
echo "$passed passed, 0 failed"
