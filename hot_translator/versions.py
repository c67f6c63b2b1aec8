"""The versions of the template language: which sections, keys, functions and features each has. Tables, no logic.

The facts are those of Heat's template classes; each version adds to the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from hot_translator.errors import InvalidTemplate
from hot_translator.functions import collections as lists
from hot_translator.functions import logic, query, references, repeat, text
from hot_translator.functions.base import FunctionType

Functions = Mapping[str, FunctionType]


@dataclass(frozen=True, slots=True)
class Words:
    """How a dialect spells the keys of its sections, resources and outputs."""

    description: str
    parameters: str
    resources: str
    outputs: str
    conditions: str
    mappings: str | None
    parameter_groups: str | None
    type: str
    properties: str
    metadata: str
    depends_on: str
    deletion_policy: str
    update_policy: str
    resource_description: str
    condition: str
    external_id: str | None
    value: str


HOT_WORDS: Final = Words(
    description="description",
    parameters="parameters",
    resources="resources",
    outputs="outputs",
    conditions="conditions",
    mappings=None,
    parameter_groups="parameter_groups",
    type="type",
    properties="properties",
    metadata="metadata",
    depends_on="depends_on",
    deletion_policy="deletion_policy",
    update_policy="update_policy",
    resource_description="description",
    condition="condition",
    external_id="external_id",
    value="value",
)

CFN_WORDS: Final = Words(
    description="Description",
    parameters="Parameters",
    resources="Resources",
    outputs="Outputs",
    conditions="Conditions",
    mappings="Mappings",
    parameter_groups=None,
    type="Type",
    properties="Properties",
    metadata="Metadata",
    depends_on="DependsOn",
    deletion_policy="DeletionPolicy",
    update_policy="UpdatePolicy",
    resource_description="Description",
    condition="Condition",
    external_id=None,
    value="Value",
)


@dataclass(frozen=True, eq=False)
class Version:
    """One version of the language."""

    key: str
    value: str
    words: Words
    functions: Functions
    condition_functions: Functions = field(default_factory=dict)
    has_conditions: bool = False
    lowercase_policies: bool = False
    has_modulo: bool = False
    has_tags: bool = False
    attribute_paths_reach_the_resource: bool = True
    """Whether get_attr's path is given to the resource (groups use it) or only followed in the attribute's value."""
    refuses_unknown_resource_keys: bool = True

    @property
    def is_hot(self) -> bool:
        """Whether it is HOT, and not a CloudFormation dialect."""
        return self.words is HOT_WORDS

    @cached_property
    def sections(self) -> frozenset[str]:
        """The keys that may stand at the top of the template."""
        words = self.words
        names = {self.key, words.description, words.parameters, words.resources, words.outputs}
        names |= {name for name in (words.mappings, words.parameter_groups) if name}
        if not self.is_hot:
            names |= {AWS, HEAT_CFN}
        return frozenset(names | ({words.conditions} if self.has_conditions else set()))

    @cached_property
    def resource_keys(self) -> frozenset[str]:
        """The keys of a resource."""
        words = self.words
        keys = {words.type, words.properties, words.metadata, words.depends_on, words.deletion_policy}
        keys |= {words.update_policy, words.resource_description}
        if self.has_conditions:
            keys |= {words.condition} | ({words.external_id} if words.external_id else set())
        return frozenset(keys)

    @cached_property
    def deletion_policies(self) -> Mapping[str, str]:
        """What may be written for a deletion policy, and what it means."""
        policies = {"Delete": "Delete", "Retain": "Retain", "Snapshot": "Snapshot"}
        if self.lowercase_policies:
            policies |= {word.lower(): word for word in policies}
        return policies

    @cached_property
    def in_conditions(self) -> Functions:
        """The functions of a condition; the others are known there, and refused."""
        others = {
            name: function if function is logic.Removed else logic.Misplaced
            for name, function in self.functions.items()
        }
        return {**others, **self.condition_functions}


HOT: Final = "heat_template_version"
AWS: Final = "AWSTemplateFormatVersion"
HEAT_CFN: Final = "HeatTemplateFormatVersion"

_CFN_IN_HOT: Final[Functions] = {
    "Ref": references.ref,
    "Fn::GetAZs": lists.GetAvailabilityZones,
    "Fn::Join": lists.ListJoinPlain,
    "Fn::Split": text.FnSplit,
    "Fn::Replace": text.FnReplace,
    "Fn::Base64": text.Base64,
    "Fn::MemberListToMap": lists.MemberListToMap,
    "Fn::ResourceFacade": references.FnResourceFacade,
}


def _hot_versions() -> dict[str, Version]:
    functions: dict[str, FunctionType] = {
        "get_param": references.GetParam,
        "get_resource": references.GetResource,
        "get_attr": references.GetAttr,
        "list_join": lists.ListJoinPlain,
        "str_replace": text.StrReplacePlain,
        "resource_facade": references.ResourceFacade,
        "get_file": references.GetFile,
        "Fn::Select": lists.FnSelect,
        **_CFN_IN_HOT,
    }
    version = Version(HOT, "2013-05-23", HOT_WORDS, functions, attribute_paths_reach_the_resource=False)
    versions = {version.value: version}

    def add(value: str, alias: str | None, functions: Functions, **features: bool | Functions) -> None:
        nonlocal version
        merged = {**version.functions, **functions}
        version = replace(version, value=value, functions=merged, **features)  # type: ignore[arg-type]
        versions[value] = version
        if alias:
            versions[alias] = version

    add("2014-10-16", None, dict.fromkeys(_CFN_IN_HOT, logic.Removed), attribute_paths_reach_the_resource=True)
    add("2015-04-30", None, {"repeat": repeat.RepeatLists, "digest": text.Digest})
    add(
        "2015-10-15",
        None,
        {
            "str_split": text.StrSplit,
            "list_join": lists.ListJoin,
            "get_attr": references.GetAttrOrAll,
            "str_replace": text.StrReplace,
            "Fn::Select": logic.Removed,
        },
    )
    add("2016-04-08", None, {"map_merge": lists.MapMerge})
    conditions: Functions = {
        "get_param": references.GetParam,
        "equals": logic.Equals,
        "not": logic.Not,
        "and": logic.And,
        "or": logic.Or,
    }
    add(
        "2016-10-14",
        "newton",
        {"if": logic.If, "yaql": query.Yaql, "map_replace": lists.MapReplace, "repeat": repeat.RepeatMaps},
        condition_functions=conditions,
        has_conditions=True,
        lowercase_policies=True,
    )
    add(
        "2017-02-24",
        "ocata",
        {"filter": lists.Filter, "str_replace_strict": text.StrReplaceStrict},
        has_modulo=True,
    )
    add(
        "2017-09-01",
        "pike",
        {
            "make_url": text.MakeUrl,
            "list_concat": lists.ListConcat,
            "list_concat_unique": lists.ListConcatUnique,
            "contains": lists.Contains,
            "str_replace_vstrict": text.StrReplaceVeryStrict,
            "repeat": repeat.Repeat,
        },
        condition_functions={**conditions, "yaql": query.Yaql, "contains": lists.Contains},
    )
    add("2018-03-02", "queens", {}, has_tags=True)
    add("2018-08-31", "rocky", {})
    add("2021-04-16", "wallaby", {"if": logic.IfMayOmit})
    return versions


def _cfn_versions() -> dict[tuple[str, str], Version]:
    functions: Functions = {
        **_CFN_IN_HOT,
        "Fn::FindInMap": references.FindInMap,
        "Fn::GetAtt": references.FnGetAtt,
        "Fn::Select": lists.FnSelect,
    }
    conditions: Functions = {
        "Ref": references.ParamRef,
        "Fn::FindInMap": references.FindInMap,
        "Fn::Equals": logic.Equals,
        "Fn::Not": logic.FnNot,
        "Fn::And": logic.And,
        "Fn::Or": logic.Or,
    }
    heat = Version(
        HEAT_CFN,
        "2012-12-12",
        CFN_WORDS,
        functions,
        attribute_paths_reach_the_resource=False,
        refuses_unknown_resource_keys=False,
    )
    aws = replace(
        heat,
        key=AWS,
        value="2010-09-09",
        functions={**functions, "Fn::If": logic.If},
        condition_functions=conditions,
        has_conditions=True,
    )
    return {(heat.key, heat.value): heat, (aws.key, aws.value): aws}


VERSIONS: Final[Mapping[tuple[str, str], Version]] = {
    **{(HOT, value): version for value, version in _hot_versions().items()},
    **_cfn_versions(),
}
"""Every version by its key and value, the codenames among them."""


def of(template: Mapping[str, object]) -> Version:
    """The version that a template asks for; raises ``InvalidTemplate``."""
    present = [key for key in (HOT, HEAT_CFN, AWS) if key in template]
    if not present:
        raise InvalidTemplate(HOT, "Template format version not found")
    if len(present) > 1:
        raise InvalidTemplate(present[0], f"Ambiguous versions ({', '.join(present)})")
    key = present[0]
    value = template[key]
    if not isinstance(value, str):
        raise InvalidTemplate(key, f"The version must be text, not {value!r}")
    value = value.removesuffix("T00:00:00Z")
    version = VERSIONS.get((key, value))
    if version is None:
        known = ", ".join(sorted(number for name, number in VERSIONS if name == key))
        raise InvalidTemplate(key, f'"{key}: {value}" should be one of: {known}')
    return version
