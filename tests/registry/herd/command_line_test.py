# SPDX-License-Identifier: Apache-2.0
"""hagring-herd-sim as a person runs it: what it prints, and its exit codes."""

import json
import os
import subprocess
import unittest

PROGRAM = os.environ["HAGRING_HERD_SIM"]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120)


class CommandLine(unittest.TestCase):
    def test_help_names_every_exit_code(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("--nodes", "--seed", "--fault", "0 done", "1 something", "2 wrong usage"):
            self.assertIn(word, result.stdout)

    def test_refuses_bad_usage(self):
        for arguments in (
            ["--nodes", "0"],
            ["--nodes", "many"],
            ["--seed", "-1"],
            ["--layers", "0"],
            ["--layers"],
            ["--slow", "2"],
            ["--missing", "1"],
            ["--fault", "flood"],
            ["--rate-mbit", "0"],
            ["--unknown"],
            ["a word"],
        ):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stdout, "", arguments)
            self.assertNotEqual(result.stderr, "", arguments)

    def test_reports_and_repeats_a_run_from_its_seed(self):
        arguments = ["--nodes", "20", "--layers", "4", "2", "--spread-ms", "30", "--slow", "0.1",
                     "--missing", "0.1", "--fault", "kill-middle", "--json", "--seed", "12"]
        reports = []
        for _ in range(2):
            result = run(*arguments)
            self.assertEqual(result.returncode, 0, result.stdout)
            reports.append(json.loads(result.stdout))
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(reports[0]["seed"], 12)
        self.assertEqual(reports[0]["broken"], [])
        self.assertGreaterEqual(reports[0]["origin_images"], 1)
        self.assertGreater(reports[0]["last_by_single"], 0.9)
        text = run(*[each for each in arguments if each != "--json"]).stdout
        for name in ("last_by_single", "origin_images", "messages_per_node", "depth"):
            self.assertIn(name, text)


if __name__ == "__main__":
    unittest.main()
