"""The groups by their types. Their members are resources of the same stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hot_translator.autoscaling_group import AutoScalingGroup
from hot_translator.group import Group
from hot_translator.resource_chain import ResourceChain
from hot_translator.resource_group import ResourceGroup

GROUPS: Final[Mapping[str, type[Group]]] = {
    "OS::Heat::ResourceGroup": ResourceGroup,
    "OS::Heat::ResourceChain": ResourceChain,
    "OS::Heat::AutoScalingGroup": AutoScalingGroup,
}
