"""Which texts of a resource are secrets, so that they can be kept out of messages before they are used."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hot_translator.catalogue import TypeSchema
from hot_translator.catalogue.model import PropertySchema
from reconcilers.resource_type import ResourceType


def of_properties(schema: TypeSchema, properties: Mapping[str, Any], hidden: Collection[str] = ()) -> Iterator[str]:
    """The texts in properties that the catalogue marks as secrets, and in those that ``hidden`` names (all: "*").

    ``properties`` are resolved. The values of ``hidden`` ones are made of hidden parameters or files, and may be parts
    of them that nothing else knows.
    """
    for name, value in properties.items():
        if name in hidden or "*" in hidden:
            yield from texts(value)
        elif name in schema.properties:
            yield from _of_property(schema.properties[name], value)


def of_attributes(rtype: ResourceType, attributes: Mapping[str, Any]) -> Iterator[str]:
    """The texts in attributes that the catalogue or the type marks as secrets: private keys, generated passwords."""
    for name in (rtype.schema.sensitive_attributes | rtype.secret_attributes) & attributes.keys():
        yield from texts(attributes[name])


def texts(value: Any) -> Iterator[str]:
    """Every text and number in a value, keys of maps included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _of_property(schema: PropertySchema, value: Any) -> Iterator[str]:
    if schema.sensitive:
        yield from texts(value)
    elif isinstance(value, Mapping) and schema.properties:
        for name in schema.properties.keys() & value.keys():
            yield from _of_property(schema.properties[name], value[name])
    elif isinstance(value, list | tuple) and schema.items:
        for item in value:
            yield from _of_property(schema.items, item)
