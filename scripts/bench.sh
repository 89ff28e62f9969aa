#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Benchmarks on a fresh Debian 12 as root: installs what is needed, builds the agent, and prints how it
# compares with nginx, with iptables, and with pulls without an agent, all in the same run.
#
#   scripts/bench.sh                  all
#   scripts/bench.sh connect relay    some
#   scripts/bench.sh --gib 100 memory what memory relays, 20 GiB otherwise
#   scripts/bench.sh --json …         for programs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $EUID != 0 ]]; then
  echo "bench.sh: run as root: it makes network namespaces and loads BPF programs." >&2
  exit 1
fi

{
  scripts/install_packages.sh
  scripts/fetch_containerd.sh
  mkdir -p build
  cmake --preset release > build/bench-configure.log || { cat build/bench-configure.log; exit 1; }
  ninja -C build/release --quiet hagring hagring-dht-sim hagring_load_client hagring_mesh_nodes
} >&2

HAGRING_BINARY=$PWD/build/release/userspace/cli/hagring \
  HAGRING_LOAD_CLIENT=$PWD/build/release/tests/bench/libhagring_load_client.so \
  HAGRING_DHT_SIM=$PWD/build/release/dht/sim/hagring-dht-sim \
  HAGRING_MESH_NODES=$PWD/build/release/tests/bench/hagring_mesh_nodes \
  PYTHONPATH=tests:tests/support PYTHONDONTWRITEBYTECODE=1 \
  exec /usr/bin/python3 -m bench "$@"
