#!/usr/bin/env bash
# The pages in Chromium, with the hub's CA trusted through NSS. SCREENSHOTS names a folder to keep the pictures in.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
node=$1
start_hub --with-agent --mqtts-weak 127.0.0.1:0

# Devices that enrolled and never connected, so that there is more than one to tick.
openssl x509 -in "$DATA/ca.pem" -out "$WORK/root.pem"
for name in Kettle Lamp; do
  made=$(api POST /claims "{\"name\":\"$name\"}")
  openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/$name.key"
  openssl req -new -key "$WORK/$name.key" -subj "/CN=$name" -outform DER | openssl base64 |
    curl --silent --show-error --fail --output /dev/null --cacert "$WORK/root.pem" --user "claim:$(field "$made" password)" \
      --header "Content-Type: application/pkcs10" --data-binary @- "$DEVICES/.well-known/est/simpleenroll"
done

# A program that may say and hear what is below lab/.
bench=$(field "$(api POST /tokens '{"name":"bench","allow":["publish lab/#","subscribe lab/#"]}')" secret)

"$node" "$top/tests/browser/run.mjs" --link "$LINK" --https "$HTTPS" --mqtts "$MQTT_PORT" --token "$bench" --shots "${SCREENSHOTS:-$WORK/screenshots}"
