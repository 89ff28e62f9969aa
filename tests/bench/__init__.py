# SPDX-License-Identifier: Apache-2.0
"""Benchmarks, in the lab (tests/support/lab): scripts/bench.sh runs them."""
