# SPDX-License-Identifier: Apache-2.0
"""herd-spread: nodes that pull many small images, one image after the other, all nodes within 50 ms each time.
Who asks the origin for them is to be now this node, now that."""

import concurrent.futures
import random
import time

from lab import Lab, image

from .herd import SPREAD_S, start_mesh
from .nodes import assert_terminated

NODES = 8
#: Of three digests each: a manifest, a config, a layer.
IMAGES = 22
DIGESTS = 64
LAYER = 300_000


def run(report) -> None:
    """Asserts that each digest was asked for once, and that the askers are N/4 or more."""
    with Lab() as lab:
        origin = lab.origin()
        seed = random.random()
        for number in range(IMAGES):
            origin.publish(image.synthetic([LAYER], seed=f"spread/{seed}/{number}"),
                           f"library/spread-{number}", "1")
        nodes = [lab.node(f"n{i}") for i in range(NODES)]
        for node in nodes:
            node.start_containerd("2.1")
        start_mesh(nodes)
        since = origin.now()
        with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
            for number in range(IMAGES):
                name = f"docker.io/library/spread-{number}:1"
                list(pool.map(lambda node, name=name: _pull(node, name), nodes))
                for node in nodes:
                    assert_terminated(node, name)
        fetched = [r for r in origin.requests(since) if r.method == "GET" and r.status in (200, 206)
                   and "sha256:" in r.path and (r.is_blob or r.is_manifest)]
    digests = {r.path.rsplit("/", 1)[1] for r in fetched}
    fetchers = {r.remote for r in fetched}
    if len(digests) < DIGESTS or len(fetchers) < NODES / 4:
        raise AssertionError(f"{len(digests)} digests were fetched by {len(fetchers)} of {NODES} nodes")
    report.add("herd-spread", f"{len(digests)} digests, {NODES} nodes: requests to the origin",
               len(fetched), "requests", against="digests", reference=len(digests), reach=1.02)
    report.add("herd-spread", "nodes for each that fetched any of them", NODES / len(fetchers), "nodes",
               reach=4)


def _pull(node, name: str) -> None:
    time.sleep(random.uniform(0, SPREAD_S))
    node.pull(name, timeout_s=120)
