#!/usr/bin/env bash
# The agent as a program with its key in a TPM 2.0 (swtpm): enrolled, fenced in, renewed, and what it says when the TPM is
# another one.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
agent=${AGENT:-$top/target/debug/hedgerow-agent}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start_tpm NAME: sets PORT and TPM_PID
start_tpm() {
  mkdir -p "$WORK/$1"
  for _ in 1 2 3; do
    PORT=$(free_port)
    swtpm socket --tpm2 --tpmstate "dir=$WORK/$1" --flags not-need-init,startup-clear \
      --server "type=tcp,bindaddr=127.0.0.1,port=$PORT" >/dev/null 2>&1 &
    TPM_PID=$!
    soon bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT" && kill -0 "$TPM_PID" 2>/dev/null && return 0
  done
  return 1
}

# ends PID...: those that were started
ends() { for pid in "$@"; do kill "$pid" 2>/dev/null || true; done; }
trap 'ends ${AGENT_PID:-} ${RELAY_PID:-} ${FIRST_PID:-} ${SECOND_PID:-} ${HUB_PID:-}; wait 2>/dev/null; rm -rf "$WORK"' EXIT
start_tpm tpm1 || { echo "swtpm does not start"; exit 1; }
FIRST=$PORT FIRST_PID=$TPM_PID
start_tpm tpm2 || { echo "swtpm does not start"; exit 1; }
SECOND=$PORT SECOND_PID=$TPM_PID
# A device file, as the kernel would have one. The relay ends when this script closes its standard input.
mkfifo "$WORK/relay"
python3 "$top/tests/tpm_device.py" "$WORK/tpm0" "$FIRST" <"$WORK/relay" &
RELAY_PID=$!
exec 9>"$WORK/relay"
soon test -e "$WORK/tpm0" || fails "no device file"
DEVICE=$(readlink "$WORK/tpm0")

start_hub
made=$(api POST /claims '{"name":"gate"}')
agent enroll --hub "$DEVICES" --claim "$(field "$made" code)" --key "tpm:$DEVICE" >"$WORK/agent0.log" || fails "enrolment"
grep -q "the key is in the TPM at tpm:$DEVICE" "$WORK/agent0.log" || fails "it does not say where the key is"
ID=$(field "$(agent status --json)" id)
[ "$(field "$(agent status --json)" keyStorage)" = tpm ] || fails "its status does not say where the key is"
agent status | grep -q "key in the TPM at tpm:$DEVICE" || fails "its status does not say where the key is"
[ -e "$WORK/agent/device.tpm" ] && [ ! -e "$WORK/agent/device.sealed" ] && [ ! -e "$WORK/config/agent.key" ] ||
  fails "there is more than the wrapped key"
holds "it enrols with a key that was made in the TPM, and says so"

said=$(agent status --key file 2>&1) && fails "it took another key"
grep -q 'stays there' <<<"$said" || fails "it does not say that the key stays: $said"
said=$(agent status --key "tpm:swtpm:127.0.0.1:$SECOND" 2>&1) && fails "another TPM has the key"
grep -q 'another TPM made it' <<<"$said" || fails "another TPM is not told: $said"
said=$(agent status --key tpm:/nowhere/tpmrm0 2>&1) && fails "a TPM that is not there has the key"
grep -q "can't be reached" <<<"$said" || fails "a TPM that is not there is not told: $said"
[ "$(field "$(agent status --json)" id)" = "$ID" ] || fails "it is another device now"
holds "nothing but this TPM will do, and it says what to do"

"$agent" run --state "$WORK/agent" --every 1 >"$WORK/agent1.log" 2>&1 &
AGENT_PID=$!
has() { api GET "/devices/$ID/values" | grep -q "\"$1\""; }
soon has cpuPercent || fails "no readings"
is_in_tpm() { [ "$(field "$(api GET "/devices/$ID")" key_storage)" = tpm ]; }
soon is_in_tpm || fails "the hub does not know where the key is"
grep -q 'landlock' "$WORK/agent1.log" && grep -q 'seccomp' "$WORK/agent1.log" || fails "it is not fenced in"
holds "it publishes over mutual TLS with that key, and the hub shows where the key is"

kill "$AGENT_PID"
wait "$AGENT_PID" 2>/dev/null || true
old=$(openssl x509 -inform DER -in "$WORK/agent/certificate.der" -noout -serial)
# Its clock says that two thirds of the certificate's life are over.
LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=+21d "$agent" run --state "$WORK/agent" --every 60 \
  >"$WORK/agent2.log" 2>&1 &
AGENT_PID=$!
soon grep -q 'the new certificate works; the old one is dropped' "$WORK/agent2.log" || fails "it did not renew"
new=$(openssl x509 -inform DER -in "$WORK/agent/certificate.der" -noout -serial)
[ "$old" != "$new" ] || fails "the old certificate is still there"
[ "$(field "$(agent status --json)" id)" = "$ID" ] || fails "it is another device now"
holds "fenced in, it renews its certificate with the key in the TPM"
echo "$passed passed, 0 failed"
