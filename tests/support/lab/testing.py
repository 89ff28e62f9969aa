# SPDX-License-Identifier: Apache-2.0
"""What the lab's unittest files share.

    class Pull(LabTest):
        @classmethod
        def build(cls):              # once for the class, on a lab of its own
            cls.origin = cls.lab.origin()
            cls.node = cls.lab.node("a", containerd="2.1")

        def test_…(self): …

    if __name__ == "__main__":
        main()

As a program (`/usr/bin/python3 -m lab.testing pull_test.Pull`, in tests/lab) it runs the named tests of
any unittest file. It exits with 77 (CTest's SKIP_RETURN_CODE) where the machine can't run the lab, and
where all tests were skipped.
"""

import os
import pathlib
import sys
import unittest
from typing import Optional

from . import agent, preflight
from .lab import Lab

SKIPPED = 77


class LabTest(unittest.TestCase):
    """Tests that share one lab, `self.lab`."""

    lab: Lab

    @classmethod
    def setUpClass(cls) -> None:
        logs = os.environ.get("HAGRING_LAB_LOGS")
        cls.lab = cls.enterClassContext(Lab(
            pathlib.Path(logs) / f"{cls.__module__}.{cls.__name__}" if logs else None))
        cls.build()

    @classmethod
    def build(cls) -> None:
        """Makes the class's machines."""

    def setUp(self) -> None:
        self.addCleanup(self._show_logs_of_failure)

    def _show_logs_of_failure(self) -> None:
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors) or \
                not self._outcome.success:
            self.show_logs()

    def show_logs(self) -> None:
        """Prints what helps to see why a test failed."""
        self.lab.show_logs()


@unittest.skipUnless(agent.binary(), f"{agent.BINARY_VARIABLE} doesn't name the agent's binary")
class AgentTest(LabTest):
    """Tests that need the agent."""


def main(module: Optional[str] = "__main__") -> None:
    """Runs the tests of `module`, or those named on the command line."""
    why = preflight.missing()
    if why:
        print(f"SKIPPED: {' '.join(sys.argv[1:])}: {why}", file=sys.stderr)
        sys.exit(SKIPPED)
    result = unittest.main(module=module, exit=False, verbosity=2).result
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}", file=sys.stderr)
    ran = result.testsRun - len(result.skipped)
    if not result.wasSuccessful() or result.testsRun == 0 and not result.skipped:
        sys.exit(1)
    if ran <= 0:
        sys.exit(SKIPPED)


if __name__ == "__main__":
    main(module=None)
