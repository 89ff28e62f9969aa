# SPDX-License-Identifier: Apache-2.0
"""What kubelet and ctr ask of containerd, over gRPC: the CRI image service and a little of containerd's.

Field numbers: k8s.io/cri-api runtime/v1/api.proto, and containerd's api/services/{images,version}/v1.
"""

import os
import pathlib
from typing import NamedTuple, Optional, Sequence

# grpc's fork handlers are for programs that fork; the lab only spawns.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc  # noqa: E402  pylint: disable=wrong-import-position

from . import protobuf  # noqa: E402  pylint: disable=wrong-import-position

_IMAGES = "/runtime.v1.ImageService/"
_RUNTIME = "/runtime.v1.RuntimeService/"
_LEASES = "/containerd.services.leases.v1.Leases/"


class CallError(RuntimeError):
    """A gRPC call failed: `code` is its status ("NOT_FOUND"), `details` the server's message."""

    def __init__(self, method: str, code: str, details: str):
        super().__init__(f"{method}: {code}: {details}")
        self.method = method
        self.code = code
        self.details = details


class Image(NamedTuple):
    """An image as CRI describes it."""

    id: str
    tags: list[str]
    digests: list[str]
    size_bytes: int


def _image(data: bytes) -> Image:
    fields = protobuf.decode(data)
    return Image(protobuf.text(fields, 1), protobuf.texts(fields, 2), protobuf.texts(fields, 3),
                 fields.get(4, [0])[-1])


class Client:
    """A connection to containerd's socket at `socket`. Every call has a deadline."""

    def __init__(self, socket: pathlib.Path, namespace: str = "k8s.io"):
        # Go refuses the authority that gRPC makes of a socket's path.
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=[
            ("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", 16 << 20),
            # Without it channels to one path share a connection: a restart's back-off would go on.
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)])
        self._namespace = namespace

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def call(self, method: str, request: Sequence = (), timeout_s: float = 30) -> dict[int, list]:
        """Makes a unary call of the full method name `method`; CallError if it fails."""
        try:
            reply = self._channel.unary_unary(method)(
                protobuf.encode(request), timeout=timeout_s,
                metadata=(("containerd-namespace", self._namespace),))
        except grpc.RpcError as error:
            raise CallError(method, error.code().name, error.details() or "") from None
        return protobuf.decode(reply)

    # CRI

    def cri_version(self, timeout_s: float = 5) -> tuple[str, str]:
        """The runtime's name and version, as kubelet asks for it."""
        reply = self.call(_RUNTIME + "Version", [(1, "v1")], timeout_s)
        return protobuf.text(reply, 2), protobuf.text(reply, 3)

    def cri_status(self) -> dict[str, str]:
        """RuntimeService.Status(verbose): its info, JSON by name ("config")."""
        return protobuf.string_map(self.call(_RUNTIME + "Status", [(1, True)]), 2)

    def pull(self, image: str, timeout_s: float = 180, username: str = "", password: str = "") -> str:
        """PullImage; returns the image's id."""
        request: list = [(1, [(1, image)])]
        if username:
            request.append((2, [(1, username), (2, password)]))
        return protobuf.text(self.call(_IMAGES + "PullImage", request, timeout_s), 1)

    def image_status(self, image: str) -> Optional[Image]:
        """ImageStatus; None if there's no such image."""
        reply = self.call(_IMAGES + "ImageStatus", [(1, [(1, image)])])
        return _image(reply[1][-1]) if 1 in reply else None

    def list_images(self) -> list[Image]:
        """ListImages."""
        return [_image(data) for data in self.call(_IMAGES + "ListImages").get(1, [])]

    def remove_image(self, image: str) -> None:
        """RemoveImage: kubelet's image garbage collection."""
        self.call(_IMAGES + "RemoveImage", [(1, [(1, image)])])

    # containerd's own API

    def version(self, timeout_s: float = 5) -> str:
        """containerd's version."""
        return protobuf.text(self.call("/containerd.services.version.v1.Version/Version", (),
                                       timeout_s), 1)

    def image_target(self, name: str) -> tuple[str, str]:
        """The (media type, digest) that the image's full name stands for."""
        reply = self.call("/containerd.services.images.v1.Images/Get", [(1, name)])
        target = protobuf.message(protobuf.message(reply, 1), 3)
        return protobuf.text(target, 1), protobuf.text(target, 2)

    def leases(self) -> dict[str, dict[str, str]]:
        """The namespace's leases: labels by id."""
        reply = self.call(_LEASES + "List")
        leases = (protobuf.decode(data) for data in reply.get(1, []))
        return {protobuf.text(lease, 1): protobuf.string_map(lease, 3) for lease in leases}

    def leased_blobs(self, lease: str) -> set[str]:
        """The digests that a lease keeps."""
        reply = self.call(_LEASES + "ListResources", [(1, lease)])
        resources = (protobuf.decode(data) for data in reply.get(1, []))
        return {protobuf.text(found, 1) for found in resources
                if protobuf.text(found, 2) == "content"}

    def image_names(self) -> list[str]:
        """The names of all images of the namespace."""
        reply = self.call("/containerd.services.images.v1.Images/List")
        return sorted(protobuf.text(protobuf.decode(data), 1) for data in reply.get(1, []))
