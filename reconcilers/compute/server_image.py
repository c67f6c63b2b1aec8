"""The image of a server, as Heat makes it for a snapshot and for ``deletion_policy: Snapshot``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.copies import SOURCE, TOKEN_KEY, CopyType
from reconcilers.model import Desired, Recorded, Request, Send

RETURNS_ID = "2.45"
"""The microversion from which createImage answers with the id."""


class ServerImage(CopyType):
    """Nova makes it, and Glance holds it. Metadata of the request become properties of the image."""

    kind = "Image"
    service = "image"
    collection = "/images"
    plural = "images"
    list_params: ClassVar[Mapping[str, Any]] = {"limit": 1000}
    ready = frozenset({"active"})
    busy = frozenset({"queued", "saving", "uploading", "importing"})
    keeps_until_ready = False
    delete_is_final = True

    @override
    def make(self, desired: Desired, recorded: Recorded) -> Send:
        body = {"createImage": {"name": desired.physical_name, "metadata": {TOKEN_KEY: recorded.token}}}
        path = f"/servers/{desired.properties[SOURCE]}/action"
        return Send(Request("compute", "POST", path, body, microversion=RETURNS_ID), creates=True)

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        """The answer of createImage has nothing but the id."""
        if isinstance(body, Mapping) and "image_id" in body:
            return {"id": body["image_id"], "status": "queued", TOKEN_KEY: recorded.token}
        return super().extract(body, recorded)

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        return item.get(TOKEN_KEY) == recorded.token

    @override
    def token_of(self, item: Mapping[str, Any]) -> str | None:
        return item.get(TOKEN_KEY)

    @override
    def find(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", self.collection, params={TOKEN_KEY: recorded.token})

    @override
    def size(self, observed: Mapping[str, Any]) -> int:
        return int(observed.get("size") or 0)
