"""Changes to a server that runs: each property's way from what is observed to what is desired, one call at a time.

What the server shows (flavor, image, name, ...) decides what is still to do, not what was sent before; so a change that
was cut off anywhere goes on from there.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from reconcilers import own_items
from reconcilers.compute import server_body, server_networks
from reconcilers.metadata import texts
from reconcilers.model import Desired, Outcome, Pause, Ready, Recorded, Request, Send, Wait

ACTED = "acted"
"""Key among what was read: an action was sent, and Nova does not show it yet."""
RESIZED = "resized"
"""In the record's data: from which flavor to which one Nova is asked to resize."""
RESIZES = "resizes"
"""In the record's data: the same, and how often Nova agreed to do it."""
RESTED = "rested"
"""In the record's data: the same, once the pause after it is over."""
LONGEST_REST = 300.0
"""Seconds between requests for a resize that Nova does not carry out."""
READ = "2.46"
"""The last microversion that shows the flavor by its id; it shows tags too (2.26)."""
UNCONFIRMED = "VERIFY_RESIZE"
"""The status of a server whose resize waits for its confirmation."""
TAGS = "2.26"
REBUILD_WITH_USER_DATA = "2.57"


def status(server: Mapping[str, Any]) -> str:
    """The server's status; some clouds append words in brackets."""
    return str(server.get("status") or "").split("(")[0].strip()


def change(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome:
    """The next thing to do for the changed properties."""
    if ACTED in seen:
        return Wait(f"is {status(seen)}")
    if status(seen) == UNCONFIRMED:
        return confirm(recorded)  # Nova would refuse most changes until then
    for way in (_name, _metadata, _tags, _flavor, _rebuild, _password, _networks):
        outcome = way(desired, recorded, seen)
        if outcome is not None:
            return outcome
    return Ready(applies=desired.changed)


def unconfirmed(recorded: Recorded, seen: Mapping[str, Any]) -> bool:
    """Whether a resize that was begun here waits for its confirmation, wanted or not any more."""
    target = recorded.data.get(RESIZED, "").rpartition(">")[2]
    return status(seen) == UNCONFIRMED and bool(target) and (seen.get("flavor") or {}).get("id") == target


def confirm(recorded: Recorded) -> Outcome:
    """Confirm a resize. Also of one that is not wanted any more: there is no way back but another resize."""
    return act(recorded, {"confirmResize": None}, done=frozenset({400, 409}))


def rebuilds(desired: Desired) -> bool:
    """Whether changed user data is brought in by a rebuild."""
    return "user_data" in desired.changed and desired.properties.get("user_data_update_policy") == "REBUILD"


def act(recorded: Recorded, body: Mapping[str, Any], *, done: frozenset[int] = frozenset()) -> Send:
    """An action whose effect the server itself will show."""
    return Send(Request("compute", "POST", f"/servers/{recorded.physical_id}/action", body, done=done), into=ACTED)


def _name(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    name = desired.properties.get("name") or desired.physical_name
    if "name" not in desired.changed or seen.get("name") == name:
        return None
    request = Request(
        "compute", "PUT", f"/servers/{recorded.physical_id}", {"server": {"name": name}}, microversion=READ
    )
    return Send(request, applies=frozenset({"name"}))


def _metadata(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    if "metadata" not in desired.changed:
        return None
    wanted = texts(desired.properties.get("metadata"))
    present = {key: value for key, value in (seen.get("metadata") or {}).items() if key != server_body.TOKEN_KEY}
    path = f"/servers/{recorded.physical_id}/metadata"
    return own_items.OwnItems(
        name="metadata",
        wanted=wanted.keys(),
        present=present.keys(),
        missing=[key for key, value in wanted.items() if present.get(key) != value],
        add=lambda keys: Request("compute", "POST", path, {"metadata": {key: wanted[key] for key in keys}}),
        end=lambda key: Request("compute", "DELETE", f"{path}/{quote(key, safe='')}", done=frozenset({404})),
        add_together=True,
    ).advance(desired, recorded, seen)


def _tags(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    if "tags" not in desired.changed:
        return None
    path = f"/servers/{recorded.physical_id}/tags"
    return own_items.tag("compute", path, desired, recorded, seen, microversion=TAGS)


def _networks(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    return server_networks.change(desired, recorded, seen) if "networks" in desired.changed else None


def _flavor(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    """Resize. What Nova agreed to and did not do is asked for again, after a pause that grows."""
    if "flavor" not in desired.changed:
        return None
    shown, wanted = (seen.get("flavor") or {}).get("id"), desired.properties["flavor"]
    if shown is None or shown == wanted:
        return None
    asked, _, count = recorded.data.get(RESIZES, "").rpartition(" ")
    tries = int(count) if asked == f"{shown}>{wanted}" else 0
    if f"resize {tries}" in seen:
        return Wait(f"is {status(seen)}")
    if f"resize {tries + 1}" in seen:
        return Pause(0, remember={RESIZES: f"{shown}>{wanted} {tries + 1}"})
    if tries and recorded.data.get(RESTED) != recorded.data[RESIZES]:
        # No host had room for it, most likely: Nova goes back without a word.
        reason = f"Nova did not resize it to flavor {wanted}, and will be asked again"
        return Pause(min(5.0 * 2.0**tries, LONGEST_REST), reason, remember={RESTED: recorded.data[RESIZES]})
    path = f"/servers/{recorded.physical_id}/action"
    request = Request("compute", "POST", path, {"resize": {"flavorRef": wanted}})
    return Send(request, into=f"resize {tries + 1}", remember={RESIZED: f"{shown}>{wanted}"})


def _rebuild(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    """Rebuild from another image, with other user data, or both."""
    properties = desired.properties
    shown = (seen.get("image") or {}).get("id")
    image = properties.get("image") or shown
    again = rebuilds(desired)
    restoring = "image" in desired.anew
    if not again and not restoring and ("image" not in desired.changed or image == shown):
        return None
    rebuild: dict[str, Any] = {"imageRef": image}
    applies = {"image"}
    if properties.get("image_update_policy") == "REBUILD_PRESERVE_EPHEMERAL":
        rebuild["preserve_ephemeral"] = True
    if properties.get("admin_pass"):
        rebuild["adminPass"] = properties["admin_pass"]
        applies.add("admin_pass")
    if again:
        given = properties.get("user_data")
        rebuild["user_data"] = server_body.encoded(given) if given else None
        applies.add("user_data")
    path = f"/servers/{recorded.physical_id}/action"
    version = REBUILD_WITH_USER_DATA if again else READ
    request = Request("compute", "POST", path, {"rebuild": rebuild}, microversion=version)
    return Send(request, applies=frozenset(applies) & desired.changed)


def _password(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:  # noqa: ARG001
    password = desired.properties.get("admin_pass")
    if "admin_pass" not in desired.changed or not password:
        return None
    request = Request(
        "compute", "POST", f"/servers/{recorded.physical_id}/action", {"changePassword": {"adminPass": password}}
    )
    return Send(request, applies=frozenset({"admin_pass"}))
