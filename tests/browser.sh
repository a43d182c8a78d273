#!/usr/bin/env bash
# The pages in Chromium, with the hub's CA trusted through NSS.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
node=$1
start_hub --with-agent
"$node" "$top/tests/browser/run.mjs" "$LINK" "$HTTPS" "$DATA/ca.pem" "$TOKEN" "${SCREENSHOTS:-$WORK/screenshots}"
