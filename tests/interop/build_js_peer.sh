#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the js-libp2p peer: build_js_peer.sh FOLDER makes FOLDER/js_peer/main.mjs, with its
# packages beside it. Exit code 77: this machine has no Node, or one that is too old. With Node and
# npm, anything that goes wrong is a failure.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/js_peer" && pwd)
mkdir -p "$1/js_peer"
folder=$(cd "$1" && pwd)
needed=20

skip() {
  echo "SKIPPED: no js-libp2p peer: $1. Install Node $needed or newer (https://nodejs.org)." >&2
  exit 77
}

command -v node > /dev/null && command -v npm > /dev/null || skip "there is no node and npm in PATH"
found=$(node --print 'process.versions.node')
((${found%%.*} >= needed)) || skip "Node $found is too old"
cp "$source"/*.mjs "$source"/package.json "$folder/js_peer/"
cd "$folder/js_peer"
if ! cmp --silent "$source/package-lock.json" installed-lock.json; then
  cp "$source/package-lock.json" .
  npm ci --ignore-scripts --no-audit --no-fund --cache "$folder/npm-cache" --loglevel error
  cp "$source/package-lock.json" installed-lock.json
fi
