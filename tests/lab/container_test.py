# SPDX-License-Identifier: Apache-2.0
"""A real image of about 70 MB, pulled and run."""

from lab import nginx_image, wait_until
from lab.testing import LabTest, main

NAME = "docker.io/library/nginx:1.27.4"


class NginxContainer(LabTest):
    """The demo's image on the newest of the three."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.image = nginx_image.nginx_image()
        cls.origin.publish(cls.image, "library/nginx", "1.27.4")
        cls.node = cls.lab.node("a", containerd="2.1")
        cls.node.pull(NAME)

    def test_is_about_70_megabytes_in_layers(self):
        self.assertTrue(60e6 < self.image.total_bytes < 80e6, self.image.total_bytes)
        kinds = [blob.kind for blob in self.node.verify_content(NAME, self.origin)]
        self.assertGreaterEqual(kinds.count("layer"), 4)

    def test_runs_a_command(self):
        done = self.node.containerd.run_container(NAME, "nginx", "-v")
        self.assertIn("nginx version: nginx/", done.stderr)
        done = self.node.containerd.run_container(NAME, "sh", "-c", "exit 3", check=False)
        self.assertEqual(done.returncode, 3)

    def test_serves_its_page(self):
        name = self.node.containerd.start_container(NAME)
        try:
            url = f"http://127.0.0.1:{nginx_image.PORT}/"
            page = wait_until(lambda: self.node.curl(url, check=False).stdout, 20, "nginx answers")
            self.assertEqual(page, nginx_image.PAGE)
        finally:
            self.node.containerd.stop_container(name)
        self.assertNotIn(name, self.node.containerd.ctr("containers", "ls", "-q").stdout)


if __name__ == "__main__":
    main()
