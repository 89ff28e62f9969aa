#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How many of the DHT parsers' lines their fuzz targets reach.
#
#   scripts/fuzz_coverage.sh [SECONDS [TARGET...]]
#
# Builds the fuzz targets with llvm's source coverage in build/fuzz-coverage, runs each of them (or
# those named) over its corpus and for SECONDS more (default: 0, the corpus alone), and prints each
# parser file's line coverage. Fails when a file is below 90 %.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

goal=90
seconds=${1:-0}
shift || true
if [[ ! $seconds =~ ^[0-9]+$ ]]; then
  echo "usage: scripts/fuzz_coverage.sh [SECONDS [TARGET...]]" >&2
  exit 2
fi

# What each target is there to read: files, or FILE:FUNCTION|FUNCTION for a part of one.
declare -A parsers=(
  [bootstrap_peers]="dht/bootstrap.cpp:parse_bootstrap_peers|take_peer"
  [delimited]="dht/net/exact.cpp"
  [herd_batch]="registry/herd/batch.cpp:decode_batch|read_hash registry/herd/codec.hpp:FieldReader"
  [herd_stripe]="registry/herd/data_frame.cpp:parse_stripe_request|decode_about"
  [herd_message]="registry/herd/message.cpp registry/herd/frame.cpp"
  [host_certificate]="dht/net/host_certificate.cpp"
  [host_key]="dht/public_key.cpp"
  [identify]="dht/net/identify.cpp dht/net/exact.cpp"
  [kad_message]="dht/kad/message_read.cpp dht/kad/peer.cpp"
  [kad_snapshot]="dht/kad/kad_node.cpp:restore|snapshot dht/kad/told_snapshot.cpp
                  dht/kad/provider_snapshot.cpp dht/kad/snapshot_bytes.hpp"
  [membership]="dht/net/membership.cpp"
  [multiformats]="dht/multiformats/varint.cpp dht/multiformats/multiaddr.cpp
                  dht/multiformats/cid.cpp dht/multiformats/peer_id.cpp
                  dht/multiformats/base58.cpp"
  [multistream]="dht/net/multistream.cpp"
  [pnet]="dht/net/pnet.cpp"
  [provider_snapshot]="dht/kad/provider_snapshot.cpp"
  [wire]="userspace/base/wire.cpp"
  [yamux]="dht/net/yamux_frame.cpp dht/net/yamux_entry.cpp dht/net/yamux_liveness.cpp
           dht/net/yamux_state.cpp dht/net/yamux.cpp"
)
if (($# == 0)); then
  mapfile -t targets < <(printf '%s\n' "${!parsers[@]}" | sort)
else
  targets=("$@")
fi
for target in "${targets[@]}"; do
  [[ -n ${parsers[$target]:-} ]] || { echo "no such target: $target" >&2; exit 2; }
done

build=build/fuzz-coverage
mkdir -p "$build"
cmake --preset fuzz -B "$build" -DHAGRING_SANITIZE= \
  -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping" > "$build/configure.log" ||
  { cat "$build/configure.log"; exit 1; }
ninja -C "$build" --quiet "${targets[@]/%/_fuzz}"

# covered BINARY PROFILE FILE[:FUNCTIONS]: the share of the lines that ran, in percent.
covered() {
  local file=${3%%:*} functions=
  [[ $3 == "$file" ]] || functions=${3#*:}
  # A function's columns: name, regions, missed, share, lines, missed, share, ...; a file's have the
  # functions between the two.
  llvm-cov-19 report "$1" -instr-profile="$2" ${functions:+-show-functions} "$file" |
    awk -v functions="$functions" '
      functions == "" && $1 == "TOTAL" { print $10 + 0 }
      functions != "" && $1 != "TOTAL" && $1 ~ functions { lines += $5; missed += $6 }
      END { if (functions != "") print lines ? 100 * (lines - missed) / lines : 0 }'
}

# measure TARGET: runs it and prints its files' coverage.
measure() {
  local found="$build/corpus/$1" profile="$build/$1" binary="$build/tests/fuzz/$1_fuzz"
  local limit=(-runs=0)
  ((seconds == 0)) || limit=(-max_total_time="$seconds")
  mkdir -p "$found"
  rm -f "$profile".profraw
  LLVM_PROFILE_FILE="$profile.profraw" "$binary" -timeout=5 -seed=1 "${limit[@]}" "$found" \
    "tests/fuzz/corpus/$1" 2> "$profile.log" || { tail -n 40 "$profile.log"; return 1; }
  llvm-profdata-19 merge -sparse "$profile.profraw" -o "$profile.profdata"
  local file cover low=no
  for file in ${parsers[$1]}; do
    cover=$(covered "$binary" "$profile.profdata" "$file")
    printf '%-18s %-52s %6.2f %%\n' "$1" "$file" "${cover:=0}"
    [[ ${cover%.*} -ge $goal ]] || low=yes
  done
  [[ $low == no ]]
}

failed=no
for target in "${targets[@]}"; do
  measure "$target" || failed=yes
done
if [[ $failed == yes ]]; then
  echo "a target failed, or reaches less than $goal % of a file: add what it misses to its corpus" >&2
  exit 1
fi
