# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes as the tests read it: the one source of what a pod has."""

import pathlib
from typing import NamedTuple, Optional

import yaml

from . import paths

FOLDER = paths.REPOSITORY / "deploy" / "kubernetes"
LEAST_PRIVILEGE = FOLDER / "least-privilege"
UNINSTALL = FOLDER / "uninstall"


def documents(folder: pathlib.Path = FOLDER) -> dict[pathlib.Path, list[dict]]:
    """The YAML documents of each file of `folder`."""
    return {path: [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
                   if document]
            for path in sorted(folder.glob("*.yaml"))}


def objects(folder: pathlib.Path = FOLDER) -> list[dict]:
    """All Kubernetes objects of `folder`, without kustomize's own."""
    return [document for several in documents(folder).values() for document in several
            if document["kind"] not in ("Kustomization", "Component")]


def of_kind(kind: str, folder: pathlib.Path = FOLDER) -> dict:
    """The one object of that kind."""
    found = [document for document in objects(folder) if document["kind"] == kind]
    if len(found) != 1:
        raise AssertionError(f"{folder} has {len(found)} objects of kind {kind}, not one")
    return found[0]


def with_least_privilege() -> dict:
    """The DaemonSet with the component least-privilege, merged as kustomize does."""
    whole = of_kind("DaemonSet")
    container = pod_of(whole)["containers"][0]
    patch = pod_of(of_kind("DaemonSet", LEAST_PRIVILEGE))["containers"][0]
    for name, value in patch.items():
        container[name] = container[name] | value if isinstance(value, dict) else value
    return whole


class Mount(NamedTuple):
    """A volume as a container sees it. `source`: the host's path, or the Secret's name."""

    target: str
    source: str
    kind: str  # hostPath's type, or "Secret"
    read_only: bool
    propagated: bool  # what the host mounts later is seen


def pod_of(daemon_set: dict) -> dict:
    """The pods' specification."""
    return daemon_set["spec"]["template"]["spec"]


def mounts(pod: dict, container: dict) -> list[Mount]:
    """The container's mounts, outer ones first, as runtimes order them."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    found = []
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "hostPath" in volume:
            source, kind = volume["hostPath"]["path"], volume["hostPath"]["type"]
        else:
            source, kind = volume["secret"]["secretName"], "Secret"
        found.append(Mount(mount["mountPath"], source, kind, mount.get("readOnly", False),
                           mount.get("mountPropagation") == "HostToContainer"))
    return sorted(found, key=lambda mount: len(mount.target.split("/")))


def environment(container: dict) -> dict[str, str]:
    """The container's variables."""
    return {entry["name"]: entry["value"] for entry in container.get("env", [])}


def memory_limit(container: dict) -> Optional[int]:
    """In bytes."""
    text = container.get("resources", {}).get("limits", {}).get("memory")
    return int(text.removesuffix("Mi")) << 20 if text else None
