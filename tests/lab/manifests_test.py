# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes against Kubernetes' schemas and against the agent itself. That the pods run is
container_agent_test's."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from lab import agent, kubernetes_validate, manifests
from lab.process import clean_environment

#: Surge upgrades of DaemonSets are stable from 1.25 on; appArmorProfile is there from 1.30 on.
OLDEST, OLDEST_LEAST_PRIVILEGE, NEWEST = "1.25", "1.30", "1.37"
FOLDERS = (manifests.FOLDER, manifests.UNINSTALL, manifests.LEAST_PRIVILEGE)


class SchemaTest(unittest.TestCase):
    """What the API server would refuse."""

    @classmethod
    def setUpClass(cls):
        cls.validator, why = kubernetes_validate.program()
        if not cls.validator:
            raise unittest.SkipTest(f"the manifests are NOT validated: {why}")

    def files(self, folder):
        return [path for path in manifests.documents(folder) if path.name != "kustomization.yaml"]

    def test_all_files_are_valid(self):
        for folder in (manifests.FOLDER, manifests.UNINSTALL):
            for version in (OLDEST, NEWEST):
                self.assertEqual(
                    kubernetes_validate.validate(self.validator, self.files(folder), version), "")

    def test_the_patched_daemon_set_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "patched.yaml"
            file.write_text(yaml.safe_dump(manifests.with_least_privilege()), encoding="utf-8")
            for version in (OLDEST_LEAST_PRIVILEGE, NEWEST):
                self.assertEqual(kubernetes_validate.validate(self.validator, [file], version), "")

    def test_a_mistake_is_found(self):
        text = (manifests.FOLDER / "daemon-set.yaml").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "wrong.yaml"
            file.write_text(text.replace("maxSurge", "maxSurg"), encoding="utf-8")
            self.assertIn("maxSurg", kubernetes_validate.validate(self.validator, [file], NEWEST))


@unittest.skipUnless(agent.binary(), f"{agent.BINARY_VARIABLE} doesn't name the agent's binary")
class ManifestsTest(unittest.TestCase):
    """What only the agent knows: its options, its ports."""

    def setUp(self):
        self.daemon_set = manifests.of_kind("DaemonSet")
        self.pod = manifests.pod_of(self.daemon_set)
        self.container = self.pod["containers"][0]

    def hagring(self, *arguments, environment=None):
        return subprocess.run([agent.binary(), *arguments], capture_output=True, text=True, timeout=20,
                              env=clean_environment() | (environment or {}), check=False)

    def configuration(self) -> dict[str, str]:
        """The agent's settings, as it prints them for the DaemonSet's arguments and environment."""
        done = self.hagring(*self.container["args"], "--print-config",
                            environment=manifests.environment(self.container))
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(re.findall(r"^([\w-]+) = (.*)  \(\w+\)$", done.stdout, re.MULTILINE))

    def port(self, setting: str) -> int:
        return int(self.configuration()[setting].rsplit(":", 1)[1])

    def test_the_agent_knows_each_option_and_each_counts(self):
        settings = self.configuration()
        for name, value in manifests.environment(self.container).items():
            setting = name.removeprefix("HAGRING_").lower().replace("_", "-")
            self.assertIn(setting, settings)
            self.assertEqual(settings[setting], value, setting)

    def test_uninstall_knows_its_options(self):
        pod = manifests.pod_of(manifests.of_kind("DaemonSet", manifests.UNINSTALL))
        for container in pod["initContainers"] + pod["containers"]:
            done = self.hagring(*container["args"], "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            for argument in container["args"][1:]:
                self.assertIn(argument.split("=")[0], done.stdout)

    def test_ports_are_those_of_the_agent(self):
        metrics = self.port("metrics-listen")
        for probe in ("livenessProbe", "readinessProbe"):
            self.assertEqual(self.container[probe]["httpGet"]["port"], metrics)
        annotations = self.daemon_set["spec"]["template"]["metadata"]["annotations"]
        self.assertEqual(annotations["prometheus.io/port"], str(metrics))
        service = manifests.of_kind("Service")
        self.assertEqual([port["targetPort"] for port in service["spec"]["ports"]],
                         [self.port("dht-listen")])

    def test_no_port_is_declared_that_would_keep_a_new_pod_from_the_old_ones_node(self):
        self.assertTrue(self.pod["hostNetwork"])
        self.assertNotIn("ports", self.container)
        self.assertEqual(self.daemon_set["spec"]["updateStrategy"]["rollingUpdate"],
                         {"maxSurge": 1, "maxUnavailable": 0})

    def test_the_options_paths_are_mounted(self):
        settings = self.configuration()
        targets = {mount.target for mount in manifests.mounts(self.pod, self.container)}
        used = {settings[name] for name in ("host-root", "state-dir")}
        used |= {str(pathlib.Path(settings[name]).parent)
                 for name in ("admin-socket", "pin-dir", "mesh-key-file")}
        self.assertEqual(targets, used)

    def test_what_is_removed_at_uninstall_is_not_itself_a_mount(self):
        settings = self.configuration()
        pod = manifests.pod_of(manifests.of_kind("DaemonSet", manifests.UNINSTALL))
        mounts = {mount.target: mount for mount in manifests.mounts(pod, pod["initContainers"][0])}
        self.assertEqual(mounts.keys(), {
            mount.target for mount in manifests.mounts(pod, pod["containers"][0])})
        self.assertIn(settings["host-root"], mounts)
        for name in ("state-dir", "admin-socket", "pin-dir"):
            place = pathlib.Path(settings[name])
            place = place.parent if name == "admin-socket" else place
            self.assertEqual(mounts[str(place.parent)].source, str(place.parent))

    def test_the_service_finds_the_pods_and_bootstrap_the_service(self):
        service = manifests.of_kind("Service")
        labels = self.daemon_set["spec"]["template"]["metadata"]["labels"]
        self.assertLessEqual(service["spec"]["selector"].items(), labels.items())
        self.assertEqual(service["spec"]["clusterIP"], "None")
        self.assertTrue(service["spec"]["publishNotReadyAddresses"])
        self.assertEqual(manifests.environment(self.container)["HAGRING_BOOTSTRAP"],
                         service["metadata"]["name"])
        # Pods of the uninstalling DaemonSet are no nodes.
        other = manifests.of_kind("DaemonSet", manifests.UNINSTALL)
        self.assertFalse(service["spec"]["selector"].items()
                         <= other["spec"]["template"]["metadata"]["labels"].items())

    def test_the_new_pod_is_not_taken_for_ready_while_the_old_one_answers_its_probes(self):
        # userspace/agent/takeover.cpp: kReadyLimit and kLetGoLimit.
        source = (manifests.FOLDER.parents[1] / "userspace/agent/takeover.cpp").read_text(
            encoding="utf-8")
        limits = [int(seconds) for seconds in re.findall(r"k(?:Ready|LetGo)Limit = (\d+)s;", source)]
        self.assertEqual(len(limits), 2)
        self.assertGreater(self.daemon_set["spec"]["minReadySeconds"], sum(limits))

    def test_no_key_is_here(self):
        for folder in FOLDERS:
            for path, documents in manifests.documents(folder).items():
                self.assertNotIn("Secret", [document["kind"] for document in documents], path)
                self.assertNotRegex(path.read_text(encoding="utf-8"), r"[0-9a-fA-F]{64}")


class KustomizationTest(unittest.TestCase):
    """That everything is named, and the same everywhere."""

    def kustomization(self, folder) -> dict:
        return yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))

    def test_all_files_are_named(self):
        for folder in (manifests.FOLDER, manifests.UNINSTALL):
            files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
            self.assertEqual(set(self.kustomization(folder)["resources"]), files)

    def test_both_have_the_same_image_and_namespace(self):
        first, second = map(self.kustomization, (manifests.FOLDER, manifests.UNINSTALL))
        self.assertEqual(first["images"], second["images"])
        self.assertEqual(first["namespace"], second["namespace"])
        for folder in FOLDERS:
            for item in manifests.objects(folder):
                self.assertEqual(item["metadata"].get("namespace", item["metadata"]["name"]),
                                 first["namespace"])

    @unittest.skipUnless(shutil.which("kubectl"), "kubectl isn't here: kustomize is NOT run")
    def test_kubectl_puts_them_together(self):
        done = subprocess.run(["kubectl", "kustomize", str(manifests.FOLDER)], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        kinds = {document["kind"] for document in yaml.safe_load_all(done.stdout)}
        self.assertEqual(kinds, {"Namespace", "ServiceAccount", "Service", "DaemonSet"})
        image = self.kustomization(manifests.FOLDER)["images"][0]
        self.assertIn(f"image: {image['newName']}:{image['newTag']}", done.stdout)


if __name__ == "__main__":
    unittest.main()
