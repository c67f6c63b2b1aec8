"""Heat's custom constraints: those that look at the value alone, and the names of those that only the cloud answers."""

from __future__ import annotations

import ipaddress
import json
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CustomConstraint:
    """A value that must name an object of the cloud: ``path`` says where, ``constraint`` which kind (nova.flavor).

    ``message`` is the author's own text for a value that names none. ``hidden``: no message may show the value.
    """

    path: str
    constraint: str
    value: Any
    message: str = ""
    hidden: bool = False


_LABEL: Final = re.compile(r"[a-z0-9-]{1,63}$")
_FQDN_MAX: Final = 255

_PREFIX: Final = re.compile("0|[1-9][0-9]{0,2}")
_MAC: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}",
        r"[0-9a-f]{1,2}(?:-[0-9a-f]{1,2}){5}",
        r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){2}",
        r"[0-9a-f]{1,4}(?:-[0-9a-f]{1,4}){2}",
        r"[0-9a-f]{1,4}(?:\.[0-9a-f]{1,4}){2}",
        r"[0-9a-f]{5,6}[-:][0-9a-f]{5,6}",
        r"[0-9a-f]{11,12}",
    )
)

_ISO_8601: Final = re.compile(
    r"(?P<year>\d{4})(?:(?:-(?P<month>\d{1,2})|(?P<month2>\d{2})(?!$))"
    r"(?:(?:-(?P<day>\d{1,2})|(?P<day2>\d{2}))"
    r"(?:[ T](?P<hour>\d{2})(?::?(?P<minute>\d{2}))?(?::?(?P<second>\d{1,2})(?:[.,]\d+)?)?"
    r"(?P<zone>Z|(?P<sign>[-+])(?P<zone_hour>\d{2}):?(?P<zone_minute>\d{2})?)?)?)?)?",
    re.ASCII,
)


def _parse_time(text: Any) -> datetime:
    match = _ISO_8601.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        msg = f"Unable to parse date string {text!r}"
        raise ValueError(msg)
    part = match.groupdict(default="0")
    month = part["month"] if match["month"] else part["month2"]
    day = part["day"] if match["day"] else part["day2"]
    offset = timedelta(hours=int(part["zone_hour"]), minutes=int(part["zone_minute"]))
    return datetime(
        int(part["year"]),
        int(month) or 1,
        int(day) or 1,
        int(part["hour"]),
        int(part["minute"]),
        int(part["second"]),
        tzinfo=timezone(-offset if part["sign"] == "-" else offset),
    )


def _ip_address(value: Any) -> str | None:
    return None if _is_address(value) else "Invalid IP address"


def _is_address(value: Any) -> bool:
    return _address(value) is not None


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def _is_cidr(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    text, _, prefix = value.partition("/")
    if not _PREFIX.fullmatch(prefix):
        return False
    address = _address(text)
    return address is not None and int(prefix) <= address.max_prefixlen


def _net_cidr(value: Any) -> str | None:
    return None if _is_cidr(value) else f"'{value}' is not a valid IP subnet"


def _ip_or_cidr(value: Any) -> str | None:
    if isinstance(value, str) and "/" in value:
        return _net_cidr(value)
    return None if _is_address(value) else f"'{value}' is not a valid IP address"


def _mac_address(value: Any) -> str | None:
    if isinstance(value, str) and any(pattern.fullmatch(value) for pattern in _MAC):
        return None
    return "Invalid MAC address."


def _dns_name(value: Any) -> str | None:
    if not value:
        return None
    if not isinstance(value, str):
        return f"'{value}' is not text"
    reason = _dns_problem(value)
    return f"'{value}' not in valid format. Reason: {reason}" if reason else None


def _dns_problem(name: str) -> str | None:
    trimmed = name.removesuffix(".")
    if len(trimmed) > _FQDN_MAX:
        return f"'{trimmed}' exceeds the {_FQDN_MAX} character FQDN limit"
    labels = trimmed.split(".")
    for label in labels:
        if not label:
            return "Encountered an empty component."
        if label.startswith("-") or label.endswith("-"):
            return f"Name '{label}' must not start or end with a hyphen."
        if not _LABEL.match(label):
            return (
                f"Name '{label}' must be 1-63 characters long, each of which can only be a lowercase letter, "
                "a digit or a hyphen."
            )
    if name.endswith(".") and len(labels) > 1 and labels[-1].isdigit():
        return f"TLD '{labels[-1]}' must not be all numeric."
    return None


def _relative_dns_name(value: Any) -> str | None:
    if isinstance(value, str):
        if value.endswith("."):
            return f"'{value}' is a FQDN. It should be a relative domain name."
        if len(value) > _FQDN_MAX - 3:
            return f"'{value}' is too long: a domain name added to it would exceed {_FQDN_MAX} characters"
    return _dns_name(value)


def _dns_domain(value: Any) -> str | None:
    reason = _dns_name(value)
    if reason is None and value and not value.endswith("."):
        return f"'{value}' must end with '.'."
    return reason


def _iso_8601(value: Any) -> str | None:
    try:
        _parse_time(value)
    except (ValueError, OverflowError) as error:
        return str(error)
    return None


def _expiration(value: Any) -> str | None:
    if not value:
        return None
    try:
        if _parse_time(str(value).strip()) > datetime.now(UTC):
            return None
    except (ValueError, OverflowError) as error:
        return f"Expiration {value} is invalid: {error}"
    return f"Expiration {value} is invalid: Expiration time is out of date."


def _cron_expression(value: Any) -> str | None:
    if not value:
        return None
    import croniter  # noqa: PLC0415 - rarely wanted

    try:
        croniter.croniter(value)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return f"Invalid CRON expression: {error}"
    return None


def _timezone(value: Any) -> str | None:
    if not value:
        return None
    try:
        zoneinfo.ZoneInfo(value)
    except (ValueError, TypeError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"Invalid timezone: no time zone is called '{value}'"
    return None


def _json_string(value: Any) -> str | None:
    if not value:
        return None
    try:
        json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        return f"JSON string {value} is invalid: {error}"
    return None


_OFFLINE: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "cron_expression": _cron_expression,
    "dns_domain": _dns_domain,
    "dns_name": _dns_name,
    "expiration": _expiration,
    "ip_addr": _ip_address,
    "ip_or_cidr": _ip_or_cidr,
    "iso_8601": _iso_8601,
    "json_string": _json_string,
    "mac_addr": _mac_address,
    "net_cidr": _net_cidr,
    "rel_dns_name": _relative_dns_name,
    "timezone": _timezone,
}

_CLOUD: Final[Mapping[str, str]] = {
    "barbican": "secret container",
    "blazar": "reservation",
    "cinder": "volume snapshot backup vtype qos_specs",
    "designate": "zone",
    "glance": "image",
    "ironic": "node portgroup",
    "keystone": "user group project domain role service region",
    "magnum": "cluster_template",
    "manila": "share_network share_snapshot share_type",
    "mistral": "workflow",
    "neutron": "network subnet port router security_group subnetpool address_scope qos_policy segment flow_classifier "
    "port_pair port_pair_group lbaas.listener lbaas.loadbalancer lbaas.pool lbaas.provider taas.tap_flow "
    "taas.tap_service",
    "nova": "flavor keypair server host network",
    "octavia": "listener loadbalancer pool l7policy flavor flavorprofile availabilityzone availabilityzoneprofile",
    "sahara": "cluster cluster_template data_source image job_binary job_type plugin",
    "senlin": "cluster policy policy_type profile profile_type",
    "trove": "flavor",
    "zaqar": "queue",
}

CLOUD_CONSTRAINTS: Final = frozenset(f"{service}.{kind}" for service, kinds in _CLOUD.items() for kind in kinds.split())
"""The constraints that name an object of the cloud by name or id."""


def needs_cloud(name: str) -> bool:
    """Whether only the cloud can tell."""
    return name in CLOUD_CONSTRAINTS


def check_custom(name: str, value: Any) -> str | None:
    """Why a value breaks an offline constraint; None when it does not, or when only the cloud can tell."""
    check = _OFFLINE.get(name) if isinstance(name, str) else None
    if check is not None:
        reason = check(value)
        return f"Error validating value '{value}': {reason}" if reason else None
    if isinstance(name, str) and needs_cloud(name):
        return None
    return f'"{value}" does not validate {name} (constraint not found)'
