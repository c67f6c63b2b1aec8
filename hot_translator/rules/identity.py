"""Keystone: each role is of a project or of a domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hot_translator.rules.given import Breach, Given, Rule, exclusive


def _roles(it: Given) -> Iterator[Breach]:
    for role in it.items("roles"):
        yield from exclusive("project", "domain")(role)
        if role.lacks("project") and role.lacks("domain"):
            yield role.breach("", "Either project or domain must be specified for a role")


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Keystone::GroupRoleAssignment": (_roles,),
    "OS::Keystone::User": (_roles,),
    "OS::Keystone::UserRoleAssignment": (_roles,),
}
