# SPDX-License-Identifier: Apache-2.0
"""hagring-dht-sim as a person runs it: what it prints, and its exit codes."""

import json
import os
import subprocess
import unittest

PROGRAM = os.environ["HAGRING_DHT_SIM"]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120)


class CommandLine(unittest.TestCase):
    def test_help_names_every_exit_code(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("--nodes", "--seed", "--latency", "0 done", "1 something", "2 wrong usage"):
            self.assertIn(word, result.stdout)

    def test_refuses_bad_usage(self):
        for arguments in (
            ["--nodes", "0"],
            ["--nodes", "many"],
            ["--nodes", "-5"],
            ["--seed", "-1"],
            ["--seed", "x"],
            ["--latency", "mars"],
            ["--loss", "2"],
            ["--kill", "1"],
            ["--churn", "0.1"],  # without --steady
            ["--kill", "0.1", "--keys-per-node", "0"],
            ["--partition", "1", "--nodes", "1"],
            ["--unknown"],
            ["a word"],
        ):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stdout, "", arguments)
            self.assertNotEqual(result.stderr, "", arguments)

    def test_reports_and_repeats_a_run_from_its_seed(self):
        arguments = ["--nodes", "30", "--keys-per-node", "3", "--latency", "lan", "--wire",
                     "--steady", "16", "--churn", "0.02", "--kill", "0.1", "--partition", "2",
                     "--rolling-restart", "--searches", "100", "--json", "--seed",
                     str(2**64 - 1)]
        reports = []
        for _ in range(2):
            result = run(*arguments)
            self.assertEqual(result.returncode, 0, result.stdout)
            report = json.loads(result.stdout)
            self.assertGreater(report["run"].pop("wall_time_s"), 0)
            self.assertGreater(report["run"].pop("peak_memory_MiB"), 1)
            reports.append(report)
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(report["seed"], 2**64 - 1)
        self.assertEqual(report["broken"], [])
        self.assertEqual(report["searches_for_one"]["searches"], 100)
        self.assertGreater(report["steady"]["messages_per_node_and_second"], 0)
        self.assertGreater(report["steady"]["bytes_per_node_and_second"], 0)
        self.assertLessEqual(report["rolling_restart"]["longest_gap_s"], 5)

    def test_prints_a_seed_from_the_clock(self):
        seeds = {run("--nodes", "3", "--searches", "0").stdout.splitlines()[0] for _ in range(2)}
        self.assertEqual(len(seeds), 2)
        self.assertTrue(all(seed.startswith("seed ") for seed in seeds))

    def test_very_small_networks(self):
        for arguments in (
            ["--nodes", "1"],
            ["--nodes", "1", "--steady", "1", "--churn", "0.5"],
            ["--nodes", "2", "--kill", "0.95", "--partition", "1", "--rolling-restart"],
        ):
            result = run(*arguments, "--seed", "1")
            self.assertIn(result.returncode, (0, 1), arguments)
            self.assertIn("table_mean", result.stdout, arguments)

    def test_says_what_did_not_hold(self):
        result = run("--nodes", "30", "--loss", "0.9", "--seed", "1", "--searches", "0")
        self.assertEqual(result.returncode, 1)
        self.assertIn("BROKEN: ", result.stdout)


if __name__ == "__main__":
    unittest.main()
