# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the lab's own, and server certificates signed by it."""

import ipaddress
import pathlib
import subprocess
from typing import Sequence


def _openssl(*arguments) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr}")


class Authority:
    """What the nodes of the lab trust as the public's certificate authorities are trusted."""

    def __init__(self, folder: pathlib.Path, name: str = "Lab Root"):
        self.folder = folder
        folder.mkdir(parents=True)
        self._key = folder / "ca.key"
        self._certificate = folder / "ca.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "30", "-subj", f"/CN={name}", "-keyout", self._key, "-out", self._certificate,
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self._certificate.read_text(encoding="utf-8")

    def issue(self, stem: str, names: Sequence[str]) -> tuple[pathlib.Path, pathlib.Path]:
        """Issues a server certificate for DNS names and addresses; returns (chain, key) files."""
        alternatives = ",".join(_alternative(name) for name in names)
        key, request, chain = (self.folder / f"{stem}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / f"{stem}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n"
                              "basicConstraints=critical,CA:FALSE\n", encoding="utf-8")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={names[0][:60]}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self._certificate, "-CAkey", self._key,
                 "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", chain)
        return chain, key


def _alternative(name: str) -> str:
    try:
        ipaddress.ip_address(name)
        return f"IP:{name}"
    except ValueError:
        return f"DNS:{name}"
