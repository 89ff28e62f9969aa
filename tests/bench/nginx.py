# SPDX-License-Identifier: Apache-2.0
"""The peer of most benchmarks: nginx, tuned as well as we know how, on a node.

TLS is 1.3 with the cipher that the agent prefers, records are full, one worker a core, access log off,
files by sendfile(2), upstream connections kept."""

import pathlib

from lab import binaries, wait_until

_CONFIGURATION = """
daemon off;
user root;
worker_processes auto;
pid /run/bench-nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path /run/bench-1; proxy_temp_path /run/bench-2;
  fastcgi_temp_path /run/bench-3; uwsgi_temp_path /run/bench-4; scgi_temp_path /run/bench-5;
  sendfile on; sendfile_max_chunk 2m; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 1000000;
  open_file_cache max=100;
  ssl_protocols TLSv1.3;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_buffer_size 16k;
  ssl_certificate "{chain}"; ssl_certificate_key "{key}";
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  proxy_ssl_server_name on; proxy_ssl_verify off; proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_session_reuse on;
  {upstream}
  server {{
    listen {tls_port} ssl; listen {plain_port};
    server_name _;
    location / {{ {location} }}
  }}
}}
"""


class Nginx:
    """nginx on `node`, under `names` with a certificate of the lab's authority.

    root: a folder whose files it serves; else upstream: host:port that it passes requests on to, by TLS
    if upstream_tls names the server. `through`: a program that starts it."""

    tls_port = 8443
    plain_port = 8080

    def __init__(self, node, names=("bench.lab.test",), *, root: str = "", upstream: str = "",
                 upstream_tls: str = "", tls_port: int = 8443, through=()):
        self.node = node
        self.tls_port = tls_port
        chain, key = node.lab.authority.issue(f"nginx-{node.name}", [*names, node.ipv4, "127.0.0.1"])
        pool, location = "", f'root "{root}";'
        if upstream:
            pool = f"upstream bench {{ server {upstream}; keepalive 64; }}"
            location = "proxy_pass http://bench;"
            if upstream_tls:
                location = f"proxy_pass https://bench; proxy_ssl_name {upstream_tls};"
        file = pathlib.Path(node.folder) / "bench-nginx.conf"
        file.write_text(_CONFIGURATION.format(
            chain=chain, key=key, upstream=pool, location=location, tls_port=tls_port,
            plain_port=self.plain_port), encoding="utf-8")
        self._program = [*through, binaries.nginx(), "-e", "stderr", "-p", node.folder, "-c", file]
        self.process = None

    def launch(self) -> None:
        """Starts it, without waiting."""
        self.process = self.node.spawn("bench-nginx", self._program)

    def __enter__(self) -> "Nginx":
        self.launch()
        wait_until(self._listens, 10, "nginx listens")
        return self

    def __exit__(self, *_) -> None:
        self.process.stop()

    def _listens(self) -> bool:
        if not self.process.running():
            raise RuntimeError(self.process.log_tail())
        done = self.node.run("curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{self.plain_port}/",
                             check=False)
        return done.returncode == 0

    def pids(self) -> list[int]:
        """The master and its workers."""
        return self.node.cgroup.child("bench-nginx").pids()
