# SPDX-License-Identifier: Apache-2.0
"""What benchmarks report: each line is a ratio to something that was measured in the same run."""

import json
import sys
from typing import NamedTuple, Optional, Sequence


class Line(NamedTuple):
    """One figure."""

    benchmark: str
    what: str
    value: float
    unit: str
    against: str  #: what else was measured; "" where there is nothing to compare with
    reference: Optional[float]
    reach: Optional[float]  #: the ratio, or without a reference the value, that isn't to be exceeded

    @property
    def ratio(self) -> Optional[float]:
        """Of the value to the reference."""
        return self.value / self.reference if self.reference else None

    @property
    def reached(self) -> Optional[bool]:
        """Whether the goal is reached; None where there is none."""
        if self.reach is None:
            return None
        return (self.value if self.reference is None else self.ratio) <= self.reach


class Report:
    """The lines of a run."""

    def __init__(self):
        self.lines: list[Line] = []

    def add(self, benchmark: str, what: str, value: float, unit: str, *, against: str = "",
            reference: Optional[float] = None, reach: Optional[float] = None) -> None:
        """Adds a line, and says so on standard error at once: some runs take minutes."""
        self.lines.append(Line(benchmark, what, value, unit, against, reference, reach))
        print("bench.sh:", "  ".join(filter(None, _cells(self.lines[-1]))), file=sys.stderr)

    def json(self) -> str:
        """All of it, for programs."""
        return json.dumps([line._asdict() | {"ratio": line.ratio, "reached": line.reached}
                           for line in self.lines], indent=1)

    def table(self) -> str:
        """All of it, for people."""
        rows = [("benchmark", "what", "measured", "against", "measured", "ratio", "reach", "")]
        rows += [_cells(line) for line in self.lines]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                         for row in rows)


def _cells(line: Line) -> Sequence[str]:
    def number(value: Optional[float]) -> str:
        return "" if value is None else f"{value:.4g}"
    verdict = {None: "", True: "reached", False: "MISSED"}[line.reached]
    return (line.benchmark, line.what, f"{number(line.value)} {line.unit}", line.against,
            f"{number(line.reference)} {line.unit}" if line.reference is not None else "",
            number(line.ratio), f"≤ {number(line.reach)}" if line.reach is not None else "", verdict)
