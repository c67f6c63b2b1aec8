"""Cinder and Glance: what a volume is made from, who may use a volume type, formats and members of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hot_translator.rules.given import Breach, Given, Rule, together

_SOURCES: Final = ("snapshot_id", "source_volid", "image", "imageRef")
_AMAZON: Final = ("ami", "ari", "aki")


def _source(it: Given) -> Iterator[Breach]:
    found = it.filled(*_SOURCES)
    if {"image", "imageRef"} <= set(found):
        yield it.breach("imageRef", together("image", "imageRef"))
        return
    if not it.lacks("backup_id"):
        return
    if len(found) > 1:
        yield it.breach(found[1], f"A volume is made from one source, not from several: {', '.join(found)}")
    elif it.lacks("size") and all(it.lacks(name) for name in ("snapshot_id", "source_volid")):
        reason = "size is needed, or a source that has one: one of snapshot_id, source_volid, backup_id"
        yield it.breach("size", reason)


def _projects(it: Given) -> Iterator[Breach]:
    if it["is_public"] and it.has("projects"):
        yield it.breach("projects", "projects cannot be specified when the volume type is public")


def _formats(it: Given) -> Iterator[Breach]:
    container, disk = it["container_format"], it["disk_format"]
    if container in _AMAZON and disk is not None and disk != container:
        yield it.breach("disk_format", f"must be {container}, as the container_format is")
    visibility = it["visibility"]
    if it.has("members") and visibility not in (None, "shared"):
        yield it.breach("members", f"members need the visibility shared, not {visibility}")


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Cinder::Volume": (_source,),
    "OS::Cinder::VolumeType": (_projects,),
    "OS::Glance::WebImage": (_formats,),
}
