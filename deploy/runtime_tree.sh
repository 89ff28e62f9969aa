#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the file tree that the agent needs to run, on the Debian machine that it was built on: the program without
# debug information, the shared libraries that it is linked to or loads, and what says whose they are.
#
#   deploy/runtime_tree.sh build/release/userspace/cli/hagring build/runtime-tree
#
# The tree is a file system of its own: `chroot build/runtime-tree /usr/bin/hagring version` works.
set -euo pipefail

fail() {
  printf 'runtime_tree.sh: %s\n' "$*" >&2
  exit 1
}

[[ $# == 2 ]] || fail "usage: runtime_tree.sh PROGRAM FOLDER"
program=$1
tree=$2
[[ -x $program ]] || fail "$program isn't there: build it first (cmake --preset release && ninja -C build/release hagring)"
[[ ! -e $tree ]] || fail "$tree is there already: remove it first"

# Loaded when systemd is to be asked for something (userspace/systemd/sd_bus.cpp).
# awk reads to the end: ldconfig would die of SIGPIPE, and this script with it.
loaded=$(/sbin/ldconfig -p | awk '$1 == "libsystemd.so.0" && !found++ { print $NF }')
[[ -n $loaded ]] || fail "libsystemd.so.0 isn't on this machine: scripts/install_packages.sh build installs it"

libraries() {
  local listing
  listing=$(ldd "$program" && ldd "$loaded" && echo "$loaded (0x") || fail "ldd can't read $program"
  if grep 'not found' <<< "$listing" >&2; then fail "libraries of $program are missing on this machine (above)"; fi
  # "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)"
  grep -oE '/[^ ]+ \(0x' <<< "$listing" | sed 's/ (0x$//' | sort -u
}

# The package that a library came with: dpkg knows it below /lib or below /usr/lib, which are one folder.
package_of() {
  local path found
  for path in "$1" "/usr$1" "${1#/usr}"; do
    if found=$(dpkg-query -S "$path" 2> /dev/null); then
      printf '%s\n' "${found%%:*}"
      return
    fi
  done
  fail "no package has $1: is this Debian?"
}

# Debian's merged /usr: the dynamic linker looks in /lib, the files are in /usr/lib.
mkdir -p "$tree/usr/bin"
for folder in lib lib64; do
  [[ -L /$folder ]] || continue
  mkdir -p "$tree/usr/$folder"
  ln -s "usr/$folder" "$tree/$folder"
done

strip --strip-debug -o "$tree/usr/bin/hagring" "$program"
chmod 0755 "$tree/usr/bin/hagring"

for library in $(libraries); do
  target=$tree$(realpath "$(dirname "$library")")/$(basename "$library")
  mkdir -p "$(dirname "$target")"
  cp --dereference --preserve=mode "$library" "$target"
  real=$(realpath "$library")
  package=$(package_of "$real")
  # Licences, and versions where scanners of images look for them.
  mkdir -p "$tree/usr/share/doc/$package" "$tree/var/lib/dpkg/status.d"
  cp --dereference "/usr/share/doc/$package/copyright" "$tree/usr/share/doc/$package/copyright"
  dpkg-query -s "$package" > "$tree/var/lib/dpkg/status.d/$package"
done
