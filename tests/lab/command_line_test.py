# SPDX-License-Identifier: Apache-2.0
"""`hagring` as a person meets it."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from expectations import two_nodes
from lab import agent
from lab.process import clean_environment


class CommandLineTest(unittest.TestCase):
    """Help, settings and their mistakes."""

    def hagring(self, *arguments, **environment):
        return subprocess.run([agent.binary(), *arguments], capture_output=True, text=True, timeout=20,
                              env=clean_environment() | environment, check=False)

    def refused(self, done, *words) -> None:
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)

    def test_help(self):
        done = self.hagring("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("agent", "status", "lookup", "explain", "trust", "version", "Exit codes"):
            self.assertIn(word, done.stdout)
        done = self.hagring("agent", "--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--registry", "--bootstrap", "--containerd-socket", "--heartbeat-timeout", "500ms",
                     "HAGRING_", "CAP_BPF"):
            self.assertIn(word, done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 120)

    def test_version(self):
        self.assertRegex(self.hagring("version").stdout, r"^hagring \d+\.\d+\.\d+")

    def test_unknown_settings_are_refused_by_name(self):
        self.refused(self.hagring("agent", "--no-such-flag"), "--no-such-flag")
        self.refused(self.hagring("agent", "--print-config", HAGRING_NO_SUCH="1"), "HAGRING_NO_SUCH")
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "hagring.toml"
            file.write_text('no-such-key = "1"\n', encoding="utf-8")
            self.refused(self.hagring("agent", "--print-config", "--config", str(file)),
                         "no-such-key", str(file))
        self.refused(self.hagring("agent", "--print-config", "--stall-timeout", "soon"),
                     "stall-timeout", "soon")
        self.refused(self.hagring("agent", "--print-config", "--config", "/no/such/file"),
                     "/no/such/file")
        self.refused(self.hagring())
        self.refused(self.hagring("no-such-command"))

    def test_every_key_that_is_wrong_is_named_with_its_file_and_line(self):
        shown = self.hagring("agent", "--print-config").stdout
        keys = [line.split(" = ")[0] for line in shown.splitlines()]
        self.assertIn("exclude", keys)
        self.assertGreater(len(keys), 40)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "hagring.toml"
            for key in keys:
                # Of no type that is meant; with a character that no value has; what looks like a word.
                for value in ("1.5", '"no such thing!"', '"???"', '["a b", 7]', "{ a = 1 }"):
                    file.write_text(f"# line 1\n\n{key} = {value}\n", encoding="utf-8")
                    with self.subTest(key=key, value=value):
                        done = self.hagring("agent", "--print-config", "--config", str(file))
                        self.refused(done, str(file), "line 3", f"'{key}'")
                        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                variable = "HAGRING_" + key.upper().replace("-", "_")
                with self.subTest(variable):
                    self.refused(self.hagring("agent", "--print-config", **{variable: "???"}), variable)

    def test_print_config_tells_values_and_where_they_come_from(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "hagring.toml"
            file.write_text('stall-timeout = "7s"\norigin-timeout = "6s"\nbootstrap = ["10.0.0.7"]\n',
                            encoding="utf-8")
            done = self.hagring("agent", "--print-config", "--config", str(file), "--registry",
                                "registry.example.com", "--stall-timeout", "9s",
                                HAGRING_STALL_TIMEOUT="8s", HAGRING_ORIGIN_TIMEOUT="4s")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("stall-timeout = 9s  (flag)", "origin-timeout = 4s  (environment)",
                     "bootstrap = 10.0.0.7  (file)", "registry = registry.example.com  (flag)",
                     "heartbeat-timeout = 500ms  (default)"):
            self.assertIn(line, done.stdout.replace("environment HAGRING", "environment"))

    def test_status_and_lookup_without_an_agent(self):
        for command in (("status",), ("lookup", "nginx"), ("explain", "nginx")):
            done = self.hagring(*command, "--admin-socket", f"/run/hagring-none-{os.getpid()}.sock")
            self.assertEqual(done.returncode, 3)
            self.assertIn("hagring-none", done.stderr)

    def test_lookup_of_what_is_no_name(self):
        for what in ("", "sha256:", "UPPER/case", "a b"):
            self.refused(self.hagring("lookup", what), "neither a digest", what)
        self.refused(self.hagring("lookup"), "required")


    def test_explain_by_a_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "hagring.toml"
            file.write_text('rule = ["docker.io/library/* tags=peers-first", "ghcr.io/** mirror=no"]\n',
                            encoding="utf-8")
            config = ("--config", str(file))
            done = self.hagring("explain", *config, "nginx")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("peers-first   rule 1: docker.io/library/* tags=peers-first", done.stdout)
            done = self.hagring("explain", *config, "ghcr.io/a/b")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("rule 2 excludes it", done.stdout)
        done = self.hagring("explain", "--rule", "**:1 authorize=open", "nginx:1",
                            HAGRING_REGISTRY="registry.test")
        self.assertIn("open          rule 1: **:1 authorize=open", done.stdout)
        self.refused(self.hagring("explain", "--rule", "nginx tags=fast", "nginx"), "number 1",
                     "'nginx tags=fast'")
        self.refused(self.hagring("explain", "UPPER/case"), "no image's name")

    def test_rules_that_make_no_sense(self):
        self.refused(self.hagring("agent", "--print-config", "--rule", "docker.io/** mirror=no",
                                  "--rule", "docker.io tags=peers-only"),
                     "--rule: number 2, 'docker.io tags=peers-only'", "write docker.io/**")


class StatusTest(unittest.TestCase):
    """`hagring status` after a pull."""

    def test_text_says_who_why_and_whence(self):
        with two_nodes("2.1") as (_, origin, a, b):
            b.pull("docker.io/library/only-here:1")
            layer = next(x for x in b.verify_content("only-here:1", origin) if x.kind == "layer")
            shown = b.agent.hagring("status", agent.ADMIN_SOCKET, b.agent.admin_socket).stdout
            for words in (f"containerd pid {b.containerd.pid}, /run/containerd/containerd.sock",
                          f"{b.containerd.cgroup_path}\n", "intercepted  yes",
                          "trust        trusted: containerd", "pulled the probe through us",
                          a.agent.status()["mesh"]["peer_id"],
                          f"/ip4/{a.ipv4}/tcp/5001", "redirected ", "terminated ", "passed_no_rule",
                          layer.digest[:26], f"from peer {a.ipv4}:5000", "verified",
                          "docker.io/library/only-here"):
                self.assertIn(words, shown)
            status = b.agent.status()
            self.assertLessEqual({"access", "clients", "mesh", "recent", "kernel", "connections", "sources"},
                                 set(status))


if __name__ == "__main__":
    unittest.main()
