# SPDX-License-Identifier: Apache-2.0
"""The lab: nodes with unmodified containerds and an origin registry, on one machine, as root.

    from lab import Lab, image

    with Lab() as lab:
        origin = lab.origin()                         # registry-1.docker.io, plain.lab.test:5000
        origin.publish(image.synthetic([4 << 20]), "library/demo", "1")
        node = lab.node("a", containerd="2.1")        # "1.6", "1.7", "2.1"
        since = origin.now()
        node.pull("docker.io/library/demo:1")         # CRI PullImage, as kubelet does
        node.verify_content("demo:1", origin)         # every blob hashed, compared with the origin's
        origin.requests(since, node)                  # the origin's access log, parsed
        node.start_agent(peers=[other])               # hagring agent, $HAGRING_BINARY
        node.agent.wait_for(lambda status: …, 10, "it is trusted")

Run with /usr/bin/python3 and PYTHONPATH=tests/support. Where to look: `Lab` (lab.py), `Host` (host.py:
run, spawn, files, names, trust, link rate), `Node` (node.py), `Containerd` (containerd.py), `Client`
(cri.py), `Origin` (origin.py, with front.py: faults, cut connections, log), `TokenService` (tokens.py) and
`Cdn` (cdn.py) for lab.origin(tokens=…, cdn=…), `Agent` (agent.py), `PodAgent` (pod.py: the
DaemonSet's, with container_image.py and manifests.py), image.py and nginx_image.py; testing.py
for unittest files and how CTest runs them. HAGRING_LAB_LOGS=<folder> keeps all logs.

A machine of the lab is a network namespace and a mount namespace. Its own are the network, /etc (a
private layer over the host's), /run, /tmp, /var/lib, /opt and /sys/fs/bpf, so containerd and the agent
run with their default paths. A new machine resolves no name and trusts no certificate but those of the
lab's origins. The pid namespace and the cgroup2 hierarchy are the host's, as BPF needs;
each machine has its groups below /hagring-lab-<pid>-<n>, which is also how it's killed as a whole.
Nothing of the host's network, mounts or services changes, and nothing can leave the lab's switch.

What is downloaded or built once is in build/lab-cache; a lab's data is in build/lab and in /run, and goes
with it: at the end of `with`, at exit, at SIGINT and SIGTERM; after SIGKILL, when the next lab starts.
"""

from .lab import Lab, sweep_leftovers
from .origin import Origin
from .process import Timeout, wait_until

__all__ = ["Lab", "Origin", "Timeout", "sweep_leftovers", "wait_until"]
