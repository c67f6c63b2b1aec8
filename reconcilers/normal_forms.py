"""Property values in one form, so that what a service made of an accepted request is known for what was asked for.

Services write numbers as text, addresses in their shortest form and MAC addresses in lower case; they order lists as
they like and put null for an empty text. Which of that may happen to a property follows from its catalogue entry: its
type, and Heat's constraints ``ip_addr``, ``ip_or_cidr``, ``net_cidr``, ``mac_addr``, ``dns_name``, ``dns_domain`` and
``rel_dns_name``. Nothing here raises an error: a value of no known form stays as it is.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hot_translator.catalogue import PropertySchema

_MAC_LENGTH = 12
_MAC_SEPARATOR = re.compile(r"[:.-]")
_HEX = re.compile(r"[0-9a-f]+")
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


# Texts.


def address(text: Any) -> Any:
    """An IP address in its shortest form, or a network without the bits of a host."""
    return (
        _read(ipaddress.ip_address, text) or _read(lambda cidr: ipaddress.ip_network(cidr, strict=False), text) or text
    )


def interface(text: Any) -> Any:
    """An IP address, or one with a prefix, whose bits of a host are kept."""
    return _read(ipaddress.ip_address, text) or _read(ipaddress.ip_interface, text) or text


def is_address(text: Any) -> bool:
    """Whether it is one IP address."""
    return _read(ipaddress.ip_address, text) is not None


def overlap(left: Any, right: Any) -> bool:
    """Whether two networks have an address in common."""
    try:
        one, other = (ipaddress.ip_network(text, strict=False) for text in (left, right))
    except (ValueError, TypeError):
        return False
    return bool(one.version == other.version and one.overlaps(other))


def mac(text: Any) -> Any:
    """A MAC address of any notation as six pairs in lower case."""
    groups = _MAC_SEPARATOR.split(str(text).strip().lower())
    width = _MAC_LENGTH // len(groups) if _MAC_LENGTH % len(groups) == 0 else 0
    if not all(_HEX.fullmatch(group) and len(group) <= width for group in groups):
        return text
    digits = "".join(group.zfill(width) for group in groups)
    return ":".join(digits[at : at + 2] for at in range(0, _MAC_LENGTH, 2))


def _network(text: str) -> Any:
    return ipaddress.ip_network(text, strict=False)


def _read(reader: Callable[[Any], Any], text: Any) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        return str(reader(text.strip()))
    except ValueError:
        return None


_BY_CONSTRAINT: Mapping[str, Callable[[Any], Any]] = {
    "ip_addr": address,
    "ip_or_cidr": interface,
    "net_cidr": address,
    "mac_addr": mac,
    "dns_name": str.lower,
    "dns_domain": str.lower,
    "rel_dns_name": str.lower,
}


# Values.


def canonical(value: Any, schema: PropertySchema | None, *, ordered: bool = False) -> Any:
    """The value's normal form: equal for two values if and only if they mean the same.

    Null, an empty text, an empty list and an empty map are all None. White space around a text does not count, nor does
    the order of a list, unless ``ordered``; nor how often a list says the same text.
    """
    if value in (None, "", [], {}, ()):
        return None
    kind = schema.type if schema is not None else "any"
    if isinstance(value, list | tuple):
        return _items(value, schema.items if schema is not None else None, ordered=ordered)
    if isinstance(value, Mapping):
        known = (schema.properties if schema is not None else None) or {}
        forms = {key: canonical(held, known.get(key)) for key, held in value.items()}
        return {key: form for key, form in forms.items() if form is not None or key not in known} or None
    if kind in ("integer", "number"):
        return _number(value)
    if kind == "boolean":
        return boolean(value)
    if kind == "string" and not isinstance(value, str):
        value = str(value)
    if not isinstance(value, str):
        return value
    text: Any = value.strip()
    for constraint in schema.constraints if schema is not None else ():
        if constraint.kind == "custom" and constraint.value in _BY_CONSTRAINT:
            text = _BY_CONSTRAINT[constraint.value](text)
    return text or None


def _items(values: Iterable[Any], schema: PropertySchema | None, *, ordered: bool) -> Any:
    forms = [form for form in (canonical(value, schema) for value in values) if form is not None]
    if ordered:
        return forms or None
    sorted_forms = sorted(forms, key=_order)
    once = [
        form
        for at, form in enumerate(sorted_forms)
        if not at or isinstance(form, Mapping) or form != sorted_forms[at - 1]
    ]
    return once or None


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def boolean(value: Any) -> Any:
    """A boolean that may be written as text or number; what is neither stays as it is."""
    word = str(value).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else value


def loosely_equal(said: Any, shown: Any) -> bool:
    """Whether a service shows what was said in words without a schema (``value_specs``).

    Templates write numbers and booleans as text there; services complete maps with their defaults.
    """
    if isinstance(said, Mapping) and isinstance(shown, Mapping):
        return all(key in shown and loosely_equal(held, shown[key]) for key, held in said.items())
    if isinstance(said, list | tuple) and isinstance(shown, list | tuple):
        left = list(shown)
        for item in said:
            found = next((other for other in left if loosely_equal(item, other)), None)
            if found is None:
                return False
            left.remove(found)
        return not left
    if isinstance(shown, bool):
        return boolean(said) is shown
    return bool(_plain(said) == _plain(shown))


def _plain(value: Any) -> Any:
    if value in (None, "", [], {}):
        return None
    return str(interface(value) if isinstance(value, str) else value).strip().lower()


# What counts as given.


def given(value: Any, schema: PropertySchema | None) -> Any:
    """The value without what is not given: the keys of maps and items of lists that are null or an empty text.

    An empty text means "not given" in Heat, whose clients leave it out. Maps whose keys the schema does not know
    (metadata) are left alone; so is a required value. None if nothing is left; an empty list is a value.
    """
    if schema is None:
        return value
    if value == "" and not schema.required:
        return None
    if schema.type == "list" and isinstance(value, list):
        items = [given(item, schema.items) for item in value]
        return [item for item in items if item is not None and item != ""]
    if schema.type == "map" and isinstance(value, Mapping) and schema.properties is not None:
        held = {key: given(item, schema.properties.get(key)) for key, item in value.items()}
        return {key: item for key, item in held.items() if item is not None} or (None if not schema.required else {})
    return value
