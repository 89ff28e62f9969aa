#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo, in one command on a fresh Debian 12 as root: installs what is needed, builds the agent, and pulls
# on one node an image that only another node has, with an unchanged containerd.
#
#   scripts/demo.sh                    with containerd 2.1
#   scripts/demo.sh --containerd 1.6   or 1.7
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $EUID != 0 ]]; then
  echo "demo.sh: run as root: it makes network namespaces and loads BPF programs." >&2
  exit 1
fi

scripts/install_packages.sh
scripts/fetch_containerd.sh

echo "build: release"
mkdir -p build
cmake --preset release > build/demo-configure.log || { cat build/demo-configure.log >&2; exit 1; }
ninja -C build/release --quiet hagring

binary=$(find build/release -type f -name hagring -perm -u+x -print -quit)
[[ -n $binary ]] || { echo "demo.sh: build/release has no program hagring" >&2; exit 1; }
HAGRING_BINARY=$PWD/$binary PYTHONPATH=tests/support PYTHONDONTWRITEBYTECODE=1 \
  exec /usr/bin/python3 -m lab.demo "$@"
