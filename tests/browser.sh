#!/usr/bin/env bash
# The pages in Chromium, with the hub's CA trusted through NSS. SCREENSHOTS names a folder to keep the pictures in.
set -euo pipefail
source "$(dirname "$0")/hub.sh"
node=$1
start_hub --with-agent
"$node" "$top/tests/browser/run.mjs" --link "$LINK" --https "$HTTPS" --shots "${SCREENSHOTS:-$WORK/screenshots}"
