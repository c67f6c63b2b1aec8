"""JSON patches (RFC 6902) that apply only to the object that was read."""

from collections.abc import Mapping
from typing import Any

import jsonpatch

_SAME = ("uid", "resourceVersion")


def finalizer_patch(obj: Mapping[str, Any], finalizers: list[str]) -> list[dict[str, Any]]:
    """The patch that gives an object these finalizers. It fails (409 or 422) on another or a changed object."""
    metadata = obj["metadata"]
    before = {"metadata": {"finalizers": list(metadata.get("finalizers") or ())}}
    after = {"metadata": {"finalizers": finalizers}}
    if "finalizers" not in metadata:
        before = {"metadata": {}}
    changes: list[dict[str, Any]] = jsonpatch.make_patch(before, after).patch
    return [*same_object(metadata), *changes]


def same_object(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Operations that let a patch apply only to this very object, as it was read."""
    return [
        {"op": "test", "path": f"/metadata/{field}", "value": metadata[field]} for field in _SAME if field in metadata
    ]
