#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the go-libp2p peer: build_go_peer.sh FOLDER makes FOLDER/go_peer. What Go downloads and
# compiles stays below FOLDER/go. Exit code 77: this machine has no Go, or one that is too old. With
# Go, anything that goes wrong is a failure.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/go_peer" && pwd)
mkdir -p "$1/go"
folder=$(cd "$1" && pwd)
PATH=$PATH:/usr/local/go/bin:/usr/lib/go/bin

skip() {
  echo "SKIPPED: no go-libp2p peer: $1. Install Go $needed or newer (https://go.dev/dl)." >&2
  exit 77
}

needed=$(awk '$1 == "go" { print $2; exit }' "$source/go.mod")
command -v go > /dev/null || skip "there is no Go in PATH or /usr/local/go"
export GOTOOLCHAIN=local GOPATH=$folder/go GOCACHE=$folder/go/cache GOMODCACHE=$folder/go/modules
export GOFLAGS='-modcacherw -mod=readonly -buildvcs=false -trimpath' CGO_ENABLED=0
found=$(go env GOVERSION)
found=${found#go}
oldest=$(printf '%s\n' "$needed" "${found%% *}" | sort --version-sort | head -n 1)
[[ $oldest == "$needed" ]] || skip "Go $found is older than its modules need"
cd "$source"
go build -o "$folder/go_peer" .
