# SPDX-License-Identifier: Apache-2.0
"""Where an origin sends those who ask for blobs, as public registries do: another host, signed queries."""

from .front import Front

#: What a signature looks like, and a secret as one is: it must not reach a log.
SIGNATURE = "X-Amz-Signature=5f1e0f00d0lab5ecret"


class Cdn(Front):
    """nginx that serves an origin's storage to whoever comes with the signature, and, as S3 does, refuses
    one who sends credentials besides. Made by Lab.cdn(), given to Lab.origin(cdn=…); its faults and its
    log are Front's."""

    def __init__(self, lab, name: str, number: int, names=("cdn.lab.test",), **options):
        super().__init__(lab, name, number, names, plain_names=[], **options)
        self._storage = None

    def serve(self, storage) -> None:
        """Serves this folder. Called by the origin, before it starts."""
        self._storage = storage
        self.set_faults("")

    def location(self) -> str:
        return f"""
      if ($http_authorization) {{ return 400 "one way to authenticate is enough"; }}
      if ($args !~ {SIGNATURE}) {{ return 403 "no signature"; }}
      root "{self._storage or '/nonexistent'}";
      default_type binary/octet-stream;
"""

    # What the origin needs

    def registry_configuration(self) -> str:
        """docker-registry's: blobs are elsewhere."""
        return f'middleware: {{storage: [{{name: redirect, options: {{baseurl: "https://{self.names[0]}"}}}}]}}\n'

    def signing(self) -> str:
        """nginx's: the registry's redirects get a signature."""
        return f"""
      proxy_redirect ~^(https://{self.names[0]}/.*)$ $1?X-Amz-Algorithm=AWS4-HMAC-SHA256&{SIGNATURE};
"""
