#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed, builds everything and runs all tests, on a fresh Debian 12 as root.
#
#   scripts/test.sh          everything: release build with all tests, interop with go-libp2p and js-libp2p,
#                            ASan/UBSan, a short fuzz run
#   scripts/test.sh --quick  release build with all its tests only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  *)
    echo "usage: scripts/test.sh [--quick]" >&2
    exit 2
    ;;
esac

step() { printf '\n=== %s (%s)\n' "$1" "$(date +%T)"; }

# tests PRESET LABELS [TARGET]: builds a preset, or one target of it, and runs its tests of these
# labels.
tests() {
  step "build: $1"
  cmake --preset "$1" > "build/$1-configure.log" || { cat "build/$1-configure.log"; return 1; }
  ninja -C "build/$1" --quiet "${3:-all}"
  step "tests: $1, labels $2"
  ctest --test-dir "build/$1" -L "$2" -j "$(nproc)" --output-on-failure --no-tests=error
}

# Our node beside go-libp2p's and js-libp2p's. Without Go or Node these tests are skipped, loudly; with
# them a skip is a failure.
interop() {
  step "tests: release, label interop"
  local log=build/interop.log peer skipped
  ctest --test-dir build/release -L 'interop$' -j "$(nproc)" --output-on-failure --no-tests=error | tee "$log"
  for peer in go js; do
    grep -q "interop.build_${peer}_peer .*Passed" "$log" ||
      echo "interop: SKIPPED what needs a ${peer}-libp2p peer: it can't be built here (above)"
  done
  skipped=$(grep -E ' interop\..*\*\*\*Skipped' "$log" | grep -v 'build_' || true)
  grep -q 'interop.build_js_peer .*Passed' "$log" || skipped=$(grep -v Js <<< "$skipped" || true)
  grep -q 'interop.build_go_peer .*Passed' "$log" || skipped=
  [[ -z $skipped ]] || { printf 'interop: skipped although the peers are there:\n%s\n' "$skipped"; return 1; }
}

step "packages"
scripts/install_packages.sh
mkdir -p build

step "format"
git ls-files -- '*.cpp' '*.hpp' '*.h' '*.c' | xargs --no-run-if-empty clang-format-19 --dry-run -Werror

step "containerd 1.6, 1.7 and 2.1"
scripts/fetch_containerd.sh

tests release 'unit|root|sim'
interop
if [[ $quick == no ]]; then
  tests asan 'unit'
  tests fuzz 'fuzz' fuzzers
fi
