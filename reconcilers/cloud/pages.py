"""The pages of a list: what is on one, and what the next one is asked for with."""

from collections.abc import Mapping
from typing import Any

from reconcilers.cloud.limits import AnswerRefused


def page_of(body: Any, plural: str) -> "list[dict[str, Any]]":
    """The items of one page. Raises :class:`AnswerRefused` where it is none: it must not be taken for an empty one."""
    page = body.get(plural) if isinstance(body, Mapping) else None
    if not isinstance(page, list):
        raise AnswerRefused(f"has no list {plural}")
    if not all(isinstance(item, dict) for item in page):
        raise AnswerRefused(f"has something among its {plural} that is no object")
    return page


def marker_of(body: Mapping[str, Any], plural: str, page: "list[dict[str, Any]]") -> str:
    """What the following page is asked for with; empty where this one is the last.

    Nova, Cinder, Neutron, Glance and Keystone each link it in their way.
    """
    links = body.get(f"{plural}_links")
    more = isinstance(links, list) and any(isinstance(link, Mapping) and link.get("rel") == "next" for link in links)
    whole = body.get("links")
    more = more or bool(body.get("next")) or (isinstance(whole, Mapping) and bool(whole.get("next")))
    if not more or not page:
        return ""
    last = page[-1]
    if isinstance(last.get("keypair"), Mapping):
        last = last["keypair"]
    marker = last.get("id") or last.get("name")
    if not isinstance(marker, str | int):
        raise AnswerRefused("has a last item without an id, and says that more follow")
    return str(marker)
