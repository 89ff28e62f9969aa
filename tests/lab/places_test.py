# SPDX-License-Identifier: Apache-2.0
"""containerd where Kubernetes distributions put it, found without being told; addresses of one family."""

import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import Lab, image

#: distribution → (socket, root, state): k3s pkg/agent/containerd (RKE2 runs K3s' agent), k0s
#: docs/runtime.md, MicroK8s' args/containerd.
PLACES = {
    "K3s or RKE2": ("/run/k3s/containerd/containerd.sock",
                    "/var/lib/rancher/k3s/agent/containerd", "/run/k3s/containerd"),
    "K0s": ("/run/k0s/containerd.sock", "/var/lib/k0s/containerd", "/run/k0s/containerd"),
    "MicroK8s": ("/var/snap/microk8s/common/run/containerd.sock",
                 "/var/snap/microk8s/common/var/lib/containerd",
                 "/var/snap/microk8s/common/run/containerd"),
}

#: A /var of the node's own, below which what was mounted stays.
OWN_VAR = """
set -e
mkdir -p /run/own-var/upper /run/own-var/work /run/kept
mount --rbind /var/lib /run/kept
mount -t overlay overlay -o lowerdir=/var,upperdir=/run/own-var/upper,workdir=/run/own-var/work /var
mount --rbind /run/kept /var/lib
"""


class PlacesTest(unittest.TestCase):
    """A real containerd at a distribution's own paths."""

    def test_is_found_by_itself(self):
        for flavour, (socket, root, state) in PLACES.items():
            with self.subTest(flavour), Lab() as lab:
                origin = lab.origin()
                origin.publish(image.synthetic(seed=flavour), "library/demo", "1")
                node = lab.node("n")
                node.run("sh", "-c", OWN_VAR)
                # On disk: overlayfs can't have its upper layer on overlayfs.
                node.run("sh", "-c", 'mkdir -p "$1" "$2" && mount --bind /var/lib/containerd "$1"',
                         "sh", root, socket.rsplit("/", 1)[0])
                node.start_agent()
                node.start_containerd("1.7", socket=socket, root=root, state=state)
                status = wait_for_trust(node)
                self.assertEqual((status["clients"][0]["flavour"], status["clients"][0]["socket"]),
                                 (flavour, socket))
                node.pull("docker.io/library/demo:1")
                assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")
                status = node.agent.wait_for(lambda s: s["store"]["blobs"] >= 4, 20,
                                             "the agent sees the content")
                self.assertTrue(status["store"]["root"].startswith(root), status["store"])


class FamilyTest(unittest.TestCase):
    """A registry with addresses of one family only."""

    def test_pull_by_either_family(self):
        with Lab() as lab:
            origin = lab.origin()
            node = lab.node("n")
            node.start_agent()
            node.start_containerd("2.1")
            wait_for_trust(node)
            for family, address in (("v6", origin.ipv6), ("v4", origin.ipv4)):
                with self.subTest(family):
                    origin.publish(image.synthetic(seed=family), f"library/{family}", "1")
                    node.set_hosts({name: [address] for name in origin.names})
                    since = origin.now()
                    node.pull(f"docker.io/library/{family}:1")
                    node.verify_content(f"docker.io/library/{family}:1", origin)
                    assert_came_by_mirror(self, node, f"docker.io/library/{family}:1", "origin")
                    self.assertGreater(origin.bytes_sent(since, node), 0)


if __name__ == "__main__":
    unittest.main()
