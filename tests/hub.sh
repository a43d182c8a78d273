# Starts a hub for a test in a folder of its own, on free ports, and ends it with the test.
# Sets: WORK, DATA, TOKEN, LOCAL (http://localhost:PORT), DEVICES (https://localhost:PORT), HTTPS, MQTT_PORT, LINK, HUB_PID.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(mktemp -d)
DATA="$WORK/data"
export XDG_CONFIG_HOME="$WORK/config"
trap 'kill "$HUB_PID" 2>/dev/null; wait "$HUB_PID" 2>/dev/null; rm -rf "$WORK"' EXIT

HTTPS=:0 DEVICES=:0 MQTT_PORT=0 LOCAL=:0

# start_hub [OPTION...]: on free ports; after the first time on the ports that it had
start_hub() {
  "${HEDGEROW:-$top/target/debug/hedgerow}" --data "$DATA" up --https "127.0.0.1:${HTTPS##*:}" \
    --devices "127.0.0.1:${DEVICES##*:}" --mqtts "127.0.0.1:$MQTT_PORT" --local "127.0.0.1:${LOCAL##*:}" \
    "$@" >"$WORK/out" 2>"$WORK/err" &
  HUB_PID=$!
  for _ in $(seq 300); do
    grep -q 'Sign in' "$WORK/out" && break
    kill -0 "$HUB_PID" || { cat "$WORK/err"; return 1; }
    sleep 0.1
  done
  LINK=$(grep -o 'http://localhost:[0-9]*/sign-in#[^ ]*' "$WORK/out" || true)
  LOCAL=$(grep -o 'http://localhost:[0-9]*' "$WORK/out" | head -1)
  HTTPS="https://localhost:$(sed -n 's/.*people and programs.*:\([0-9]*\)$/\1/p' "$WORK/out")"
  DEVICES="https://localhost:$(sed -n 's/.*devices enrol at.*:\([0-9]*\)$/\1/p' "$WORK/out")"
  MQTT_PORT=$(sed -n 's/.*devices publish to.*:\([0-9]*\)$/\1/p' "$WORK/out")
  TOKEN=$(cat "$DATA/admin.token")
}

# api METHOD PATH [JSON]: the answer's body; fails when the hub refuses
api() {
  curl --silent --show-error --fail-with-body --request "$1" --header "Authorization: Bearer $TOKEN" \
    --header "Content-Type: application/json" ${3:+--data "$3"} "$LOCAL/api/v1$2"
}

# field JSON NAME: a member of an object, by dots
field() {
  python3 -c 'import json,sys
value = json.loads(sys.argv[1])
for name in sys.argv[2].split("."):
    value = value[int(name)] if name.isdigit() else value[name]
print(value if not isinstance(value, bool) else str(value).lower())' "$1" "$2"
}

passed=0
# holds [WHAT]: one more thing was seen
holds() { passed=$((passed + 1)); [ -z "${1:-}" ] || echo "ok    $1"; }
# fails WHY: ends the test, with what agents said
fails() { echo "FAILED: $1"; cat "$WORK"/agent*.log 2>/dev/null || true; echo "$passed passed, 1 failed"; exit 1; }
# soon COMMAND...: repeats it until it works, for half a minute
soon() { for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done; return 1; }
# blocks FILE: what a guide says
blocks() { sed -n '/^```sh$/,/^```$/p' "$top/docs/guide/$1" | grep -v '^```'; }
hedgerow() { "${HEDGEROW:-$top/target/debug/hedgerow}" --data "$DATA" "$@"; }
agent=${AGENT:-$top/target/debug/hedgerow-agent}
agent() { "$agent" "$1" --state "$WORK/agent" --seal "$WORK/config/agent.key" "${@:2}"; }
