"""OS::Heat::SoftwareConfig, StructuredConfig, SoftwareComponent and CloudConfig: texts under an id.

In Heat they are rows of its database. Here they follow from the template; a server's user_data, or a part of a MIME
text, that names one by its id gets the text.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import yaml
from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded
from reconcilers.registry import register
from reconcilers.resource_type import CONFIG_TEXT, Local


class Config(Local):
    """A configuration. Its id is the token, since a name could be taken for ordinary text."""

    provides: ClassVar[Mapping[str, str]] = {CONFIG_TEXT: "config"}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.token

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        return {} if desired is None else {"config": self.config(desired.properties)}

    def config(self, properties: Mapping[str, Any]) -> Any:
        """The configuration that the properties stand for."""
        return properties.get("config")


class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Heat's YAML: block style, keys in order. What occurs twice is written twice, one object in memory or not."""

    def ignore_aliases(self, data: Any) -> bool:
        """See PyYAML's representer."""
        return True


def as_yaml(value: Any) -> str:
    """The value as Heat dumps it."""
    return str(yaml.dump(value, Dumper=_Plain))


@register
class SoftwareConfig(Config):
    """A configuration that is text."""

    type = "OS::Heat::SoftwareConfig"


@register
class CloudConfig(Config):
    """A map for cloud-init."""

    type = "OS::Heat::CloudConfig"

    @override
    def config(self, properties: Mapping[str, Any]) -> str:
        return f"#cloud-config\n{as_yaml(properties.get('cloud_config'))}"


class Structured(Config):
    """A configuration that is a map. Its attribute is the map; where text is needed it is YAML."""

    provides: ClassVar[Mapping[str, str]] = {CONFIG_TEXT: "text"}

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        own = super().attributes(desired, recorded, observed)
        return {**own, "text": as_yaml(own["config"])} if own else {}


@register
class StructuredConfig(Structured):
    """A configuration that is any map."""

    type = "OS::Heat::StructuredConfig"


@register
class SoftwareComponent(Structured):
    """Configurations by the action that they are for; each action has one at most."""

    type = "OS::Heat::SoftwareComponent"

    @override
    def config(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"configs": properties["configs"]}

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        actions = [action for one in desired.properties["configs"] for action in set(one["actions"])] if desired else []
        if len(actions) != len(set(actions)):
            reason = (
                "Defining more than one configuration for the same action in SoftwareComponent "
                f'"{recorded.name}" is not allowed.'
            )
            return Failed(reason, Fault.INVALID, "configs")
        return super().step(desired, recorded, observed)
