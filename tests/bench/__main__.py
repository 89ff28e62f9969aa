# SPDX-License-Identifier: Apache-2.0
"""scripts/bench.sh: runs benchmarks and prints a table, or JSON."""

import argparse
import sys
import time

from lab import preflight

from . import (connect, fail_open, first_byte, herd, herd_faults, herd_spread, memory, pull, relay, serve,
               start)
from .report import Report

BENCHMARKS = {
    "connect": connect.run, "serve": serve.run, "relay": relay.run, "first-byte": first_byte.run,
    "pull": pull.run, "herd": herd.run, "herd-faults": herd_faults.run,
    "herd-spread": herd_spread.run, "memory": memory.run, "start": start.run, "fail-open": fail_open.run}


def main() -> int:
    """0, or 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="bench.sh", description=(
        "Each figure is a ratio to something measured in the same run. Exit code: 0 if all goals are "
        "reached, 1 if one is missed, 2 for a wrong command line, 77 where the lab can't run."))
    parser.add_argument("name", nargs="*", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--gib", type=int, default=memory.RELAY_GIB, metavar="N",
                        help="what memory relays before it takes the growth (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.name if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    why = preflight.missing()
    if why:
        print(f"bench.sh: {why}", file=sys.stderr)
        return 77
    report = Report()
    benchmarks = BENCHMARKS | {"memory": lambda report: memory.run(report, arguments.gib)}
    for name in arguments.name or benchmarks:
        begun = time.monotonic()
        benchmarks[name](report)
        print(f"bench.sh: {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    print(report.json() if arguments.json else report.table())
    return 0 if all(line.reached is not False for line in report.lines) else 1


sys.exit(main())
