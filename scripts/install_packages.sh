#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of scripts/packages.txt on Debian 12. Does nothing, and needs neither root nor
# the network, where all of them are installed already.
#
#   scripts/install_packages.sh          all of them
#   scripts/install_packages.sh build    one section: build, checks or lab
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'install_packages.sh: %s\n' "$*" >&2
  exit 1
}

command -v dpkg-query > /dev/null || fail "this machine has no dpkg: Debian 12 is what this is for."

section=${1:-}
mapfile -t packages < <(awk -v only="$section" '
  /^# == / { section = $3; next }
  !/^#/ && NF && (only == "" || section == only) { print $1 }' packages.txt)
[[ ${#packages[@]} -gt 0 ]] || fail "packages.txt has no section '$section'"

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2> /dev/null || true)
  grep -qx installed <<< "$status" || missing+=("$package")
done
if [[ ${#missing[@]} == 0 ]]; then
  echo "packages: all ${#packages[@]} are installed"
  exit 0
fi

[[ $EUID == 0 ]] || fail "run as root to install: ${missing[*]}"
# shellcheck source=/dev/null
. /etc/os-release
[[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]] ||
  fail "this is ${PRETTY_NAME:-unknown}, not Debian 12; install what answers to: ${missing[*]}"

echo "packages: installing ${#missing[@]} of ${#packages[@]}: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
options=(-y -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold)
if ! { apt-get update -q && apt-get install "${options[@]}" --no-install-recommends "${missing[@]}"; } \
  > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  fail "apt-get failed (above). Check that it reaches the archive of /etc/apt/sources.list, then run this again."
fi
echo "packages: done"
