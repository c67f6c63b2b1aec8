"""Octavia: listeners, pools and layer 7 policies. Barbican and Designate, whose rules are as few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hot_translator.rules.given import Breach, Given, Rule, needs, one_of

_REDIRECTS: Final = {"REDIRECT_TO_POOL": "redirect_pool", "REDIRECT_TO_URL": "redirect_url"}


def _certificate(it: Given) -> Iterator[Breach]:
    if it["protocol"] == "TERMINATED_HTTPS" and it.lacks("default_tls_container_ref"):
        yield it.breach("default_tls_container_ref", "is required when the protocol is TERMINATED_HTTPS")


def _persistence(it: Given) -> Iterator[Breach]:
    session = it["session_persistence"]
    if not isinstance(session, Mapping):
        return
    inner = Given(session, ("session_persistence",))
    if inner["type"] == "APP_COOKIE" and inner.lacks("cookie_name"):
        yield inner.breach("cookie_name", "is required when the type is APP_COOKIE")
    if inner["type"] == "SOURCE_IP" and inner.has("cookie_name"):
        yield inner.breach("cookie_name", "must not be specified when the type is SOURCE_IP")


def _redirect(it: Given) -> Iterator[Breach]:
    action = it["action"]
    for wanted, name in _REDIRECTS.items():
        if action == wanted and it.lacks(name):
            yield it.breach(name, f"is required when the action is {action}")
        if action is not None and action != wanted and it.has(name):
            yield it.breach(name, f"has no meaning when the action is {action}")


def _key(it: Given) -> Iterator[Breach]:
    if it["type"] in ("HEADER", "COOKIE") and it.lacks("key"):
        yield it.breach("key", f"is required for a rule of the type {it['type']}")


def _zone(it: Given) -> Iterator[Breach]:
    for kind, name in (("PRIMARY", "email"), ("SECONDARY", "primaries")):
        if it["type"] == kind and it.lacks(name):
            yield it.breach(name, f"is required for a zone of the type {kind}")


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Barbican::Secret": (needs("payload_content_type", "payload"),),
    "OS::Designate::Zone": (_zone,),
    "OS::Octavia::L7Policy": (_redirect,),
    "OS::Octavia::L7Rule": (_key,),
    "OS::Octavia::Listener": (_certificate,),
    "OS::Octavia::Pool": (one_of("listener", "loadbalancer"), _persistence),
}
