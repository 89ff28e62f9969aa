# SPDX-License-Identifier: Apache-2.0
"""Secrets of every kind pass through two agents that log all they can, one as text, one as JSON; then they
are looked for wherever somebody could read: logs, pages, the command line, maps, files."""

import base64
import contextlib
import json
import pathlib
import unittest
import urllib.parse

from expectations import assert_came_by_mirror, blob_sources, wait_for_trust
from lab import image
from lab.agent import ADMIN_SOCKET
from lab.cdn import SIGNATURE
from lab.registry_client import RegistryClient
from lab.testing import AgentTest

USER, PASSWORD = "alice", "pl4nted-pa55word"
BASIC_PASSWORD = "pl4nted-ba5ic"
PROXY = "proxyuser:pl4nted-pr0xy"
BEARER = "pl4nted-b3arer"
QUERY = "pl4nted-qu3ry"
BASIC = "basic.lab.test"
#: How a signed token of a registry begins: {" in base64 (RFC 7519).
TOKEN = "eyJ"
PRIVATE = "docker.io/team/private:1"
#: Files that hold a secret because that is what they are for.
KEY_FILES = ("ca.key", "next.key", "identity", "mesh.key")


def forms(secret: str) -> set[str]:
    """What a secret looks like where it is handed on."""
    raw = secret.encode()
    # In base64 a text looks in three ways, by its place; a few characters at the ends depend on what is next.
    shifted = [base64.b64encode(b"\0" * i + raw).decode()[4 if i else 0:].rstrip("=")[:-1] for i in range(3)]
    return {secret, urllib.parse.quote(secret, safe=""), raw.hex(), *shifted}


class SecretsTest(AgentTest):
    """Nodes a and b behind a proxy with a password, a registry with tokens, its CDN with signed queries, a
    registry with Basic authentication."""

    @classmethod
    def build(cls):
        cls.proxy = cls.lab.egress_proxy(credentials=PROXY)
        cls.tokens = cls.lab.token_service(users={USER: PASSWORD}, private={"team/private": [USER]})
        cls.cdn = cls.lab.cdn()
        cls.origin = cls.lab.origin(tokens=cls.tokens, cdn=cls.cdn)
        cls.basic = cls.lab.origin("basic", names=[BASIC], plain_names=[], plain_ports=[])
        (cls.basic.folder / "users").write_text(f"{USER}:{{PLAIN}}{BASIC_PASSWORD}\n")
        cls.basic.set_faults(f'location /v2/ {{ auth_basic lab; auth_basic_user_file '
                             f'"{cls.basic.folder}/users"; {cls.basic.location()} }}')
        for repository, origin in (("team/private", cls.origin), ("team/basic", cls.basic)):
            origin.publish(image.synthetic((50_000, 5 << 20), seed=repository), repository, "1")
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b")
        cls.tokens.introduce(cls.proxy)
        for node, other, form in ((cls.a, cls.b, "text"), (cls.b, cls.a, "json")):
            cls.proxy.be_the_only_way(node, cls.origin, cls.basic, cls.cdn)
            node.start_agent(peers=[other], registries=[BASIC],
                             arguments=["--log-level", "trace", "--log-format", form])
            node.start_containerd("2.1", env={"HTTPS_PROXY": cls.proxy.url()})
            wait_for_trust(node)
        cls.a.agent.wait_for_mesh(1)
        cls.use()

    @classmethod
    def use(cls) -> None:
        """Makes all of them pass."""
        for name, password in ((PRIVATE, PASSWORD), (f"{BASIC}/team/basic:1", BASIC_PASSWORD)):
            cls.a.pull(name, username=USER, password=password)
            cls.a.agent.wait_until_told(name)
            cls.b.pull(name, username=USER, password=password)
        # What containerd never does: its secrets where mirrors may not expect them.
        cls.c = cls.lab.node("c")
        client = RegistryClient(cls.c)
        cls.c.start_agent(peers=[cls.a], arguments=["--log-level", "trace", "--log-format", "json"])
        wait_for_trust(cls.c, client.pid)
        digest = "sha256:" + "0" * 64
        for path in (f"/v2/team/private/manifests/1?token={QUERY}", f"/v2/team/private/blobs/{digest}?sig={QUERY}",
                     f"/v2/team/private/tags/list?access_token={QUERY}", f"/v2/?{QUERY}", f"/%zz?{QUERY}",
                     f"/v2/team/private/blobs/uploads/?_state={QUERY}"):
            for scheme in ("Bearer", "Basic", "bearer", "Digest"):
                # Some are answered by the connection's end.
                with contextlib.suppress(RuntimeError):
                    client.ask("message", address=cls.origin.ipv4, host="registry-1.docker.io", path=path,
                               headers={"Authorization": f"{scheme} {BEARER}"})
        cls.nodes = (cls.a, cls.b, cls.c)

    def test_1_they_have_passed(self):
        assert_came_by_mirror(self, self.a, PRIVATE, "origin")
        self.assertTrue(any(s.startswith("peer") for s in blob_sources(self.b, "team/private").values()))
        self.assertTrue(any(s.startswith("peer") for s in blob_sources(self.b, "team/basic").values()))
        asked = {r.authorization.partition(" ")[0] for r in self.origin.requests()}
        self.assertLessEqual({"Bearer", "Basic", "Digest"}, asked)
        basic = base64.b64encode(f"{USER}:{BASIC_PASSWORD}".encode()).decode()
        self.assertTrue(any(form in basic for form in forms(BASIC_PASSWORD)), "the search finds nothing")
        self.assertIn(f"Basic {basic}", {r.authorization for r in self.basic.requests()})
        self.assertTrue(self.cdn.requests())
        self.assertTrue(self.proxy.server.requests("CONNECT registry-1.docker.io:443"))
        self.assertTrue([r for r in self.tokens.requests() if r.user == USER and r.granted])
        for node in self.nodes:
            # Whoever looks into the wrong place finds nothing, too.
            self.assertIn("team/private", node.agent.process.log_text())
            self.assertIn("team/private", json.dumps(node.agent.status()))
        self.assertIn('"level":"debug"', self.b.agent.process.log_text())

    def secrets(self, node) -> set[str]:
        """All that nobody must read on `node`."""
        key = node.read(f"{node.agent.state_dir}/ca.key")
        pem_lines = {line for line in key.splitlines() if line and not line.startswith("-----")}
        self.assertTrue(pem_lines)
        host_key = node.path(f"{node.agent.state_dir}/identity").read_bytes()
        plain = (PASSWORD, BASIC_PASSWORD, PROXY, PROXY.partition(":")[2], BEARER, QUERY,
                 f"{USER}:{PASSWORD}", f"{USER}:{BASIC_PASSWORD}", SIGNATURE.partition("=")[2])
        mesh = bytes.fromhex(self.lab.mesh_key)
        return set().union(*map(forms, plain)) | pem_lines | {
            TOKEN, "X-Amz-", self.lab.mesh_key, base64.b64encode(mesh).decode().rstrip("="),
            host_key.hex()[-40:], base64.b64encode(host_key[-30:]).decode().rstrip("=")}

    def assert_nothing_in(self, place: str, text: str, node) -> None:
        self.assertGreater(len(text), 20, f"{place} is empty")
        for secret in self.secrets(node):
            at = text.find(secret)
            self.assertEqual(at, -1, f"{node.name}: {place} has {secret!r}: "
                                     f"…{text[max(0, at - 100):at + len(secret) + 20]!r}")

    def test_2_logs(self):
        for node in self.nodes:
            self.assert_nothing_in("the log", node.agent.process.log_text(), node)

    def test_3_pages_and_commands(self):
        for node in self.nodes:
            socket = node.agent.admin_socket
            for page in ("/status", "/explain?reference=" + urllib.parse.quote(PRIVATE),
                         "/lookup?key=" + urllib.parse.quote(PRIVATE), "/log-level"):
                done = node.curl("--unix-socket", socket, f"http://localhost{page}")
                self.assert_nothing_in(page, done.stdout, node) if page != "/log-level" else None
            self.assert_nothing_in("/metrics", node.curl("http://127.0.0.1:9090/metrics").stdout, node)
            for command in (["status"], ["status", "--json"], ["lookup", PRIVATE], ["explain", PRIVATE],
                            ["preflight"]):
                done = node.agent.hagring(*command, ADMIN_SOCKET, socket, check=False)
                self.assert_nothing_in(" ".join(command), done.stdout + done.stderr, node)

    def test_4_maps(self):
        for node in self.nodes:
            pins = sorted(p.name for p in node.path(node.agent.pin_dir).iterdir())
            self.assertIn("flows", pins)
            for name in pins:
                text = node.run("bpftool", "map", "dump", "pinned", f"{node.agent.pin_dir}/{name}").stdout
                self.assert_nothing_in(f"the map {name}", text + " " * 21, node)

    def test_5_files(self):
        for node in self.nodes:
            # Its clients first: it waits for connections that they keep open.
            for process in node.processes:
                if process is not node.agent.process:
                    process.kill()
            self.assertEqual(node.agent.stop(), 0)
            self.assert_nothing_in("the log's end", node.agent.process.log_text(), node)
            found = self.files(node)
            self.assertIn("records", {path.name for path in found})
            for path in found:
                self.assert_nothing_in(str(path), path.read_bytes().decode("latin-1") + " " * 21, node)

    @staticmethod
    def files(node) -> list[pathlib.Path]:
        """All that the agent has written, but for keys."""
        folders = [node.agent.state_dir, "/run/hagring", "/etc/ssl/certs", "/tmp"]
        return [path for folder in folders if node.path(folder).exists()
                for path in node.path(folder).rglob("*")
                if path.is_file() and path.name not in KEY_FILES]


if __name__ == "__main__":
    unittest.main()
