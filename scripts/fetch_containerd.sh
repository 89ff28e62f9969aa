#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches what the lab runs but doesn't install: containerd 1.6, 1.7 and 2.1 of three suites of Debian, nginx,
# docker-registry and tinyproxy, into build/lab-cache. The host's own apt isn't touched. The second run is instant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHONPATH=tests/support PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -c \
  'from lab import binaries; binaries.fetch_all()'
