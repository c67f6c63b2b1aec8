from typing import Any

import pytest

from hot_translator import catalogue
from hot_translator.catalogue import Alias, Constraint, PropertySchema, Support, TypeSchema
from hot_translator.errors import TranslationError
from hot_translator.expression import OMITTED, UNKNOWN, Reference
from hot_translator.properties import check, check_update_policy

LATER = Reference("other")

THING = TypeSchema(
    name="Test::Thing",
    properties={
        "name": PropertySchema("string", required=True),
        "size": PropertySchema("integer", constraints=(Constraint("range", {"min": 1, "max": 5}),)),
        "mode": PropertySchema("string", constraints=(Constraint("allowed_values", ["fast", "slow"]),)),
        "tags": PropertySchema("list", items=PropertySchema("string")),
        "few": PropertySchema("list", constraints=(Constraint("length", {"max": 2}),), items=PropertySchema("integer")),
        "nics": PropertySchema(
            "list",
            items=PropertySchema(
                "map",
                properties={
                    "net": PropertySchema("string", required=True),
                    "uuid": PropertySchema("string", support=Support("hidden")),
                    "fixed": PropertySchema("string", constraints=(Constraint("custom", "ip_addr"),)),
                },
            ),
        ),
        "meta": PropertySchema("map"),
        "password": PropertySchema("string", sensitive=True, constraints=(Constraint("length", {"min": 8}),)),
        "codes": PropertySchema("list", sensitive=True, items=PropertySchema("integer")),
        "gone": PropertySchema("string", implemented=False),
    },
    update_policy={"rolling": PropertySchema("map", properties={"batch": PropertySchema("integer")})},
    aliases=(Alias(("nics[]", "uuid"), ("nics[]", "net")),),
)


def problems_of(raw: Any, schema: TypeSchema = THING) -> dict[str, str]:
    found: list[TranslationError] = []
    check(schema, raw, "resources.t.properties", found)
    return {problem.path.removeprefix("resources.t.properties").lstrip("."): problem.reason for problem in found}


def test_good_properties_have_no_problems() -> None:
    raw = {"name": "n", "size": "3", "mode": "fast", "tags": ["a", 1], "nics": [{"net": "x", "fixed": "::1"}]}
    assert problems_of(raw) == {}


def test_every_problem_is_reported_at_its_path() -> None:
    raw = {
        "size": 9,
        "mode": "Fast",
        "tags": "a,b",
        "few": [1, 2, 3],
        "nics": [{"net": "a"}, {"fixed": "1.2.3", "ned": "x"}, "eth0"],
        "meta": ["x"],
        "gone": "g",
    }
    assert problems_of(raw) == {
        "size": "9 is out of range (min: 1, max: 5)",
        "mode": '"Fast" is not an allowed value ["fast", "slow"]; did you mean "fast"?',
        "tags": "'a,b' is not a list",
        "few": "length (3) is out of range (min: None, max: 2)",
        "nics[1].fixed": "Error validating value '1.2.3': Invalid IP address",
        "nics[1].ned": 'Unknown property "ned"; did you mean "net"?',
        "nics[1]": "Property net not assigned",
        "nics[2]": "'eth0' is not a map",
        "meta": "['x'] is not a map",
        "gone": "Property gone not implemented yet",
        "": "Property name not assigned",
    }


@pytest.mark.parametrize(
    "raw",
    [
        LATER,
        {"name": LATER, "size": LATER, "mode": LATER, "tags": LATER, "few": LATER, "nics": LATER, "meta": LATER},
        {"name": "n", "tags": ["a", LATER], "few": [1, 2, LATER], "nics": [LATER, {"net": LATER}]},
        {"name": "n", "few": [1, 2, OMITTED], "size": OMITTED},
        {"name": UNKNOWN, "meta": {"a": [LATER]}},
    ],
)
def test_what_depends_on_resources_is_left_alone_wherever_it_stands(raw: Any) -> None:
    assert problems_of(raw) == {}


def test_the_known_parts_beside_dynamic_ones_are_checked() -> None:
    assert problems_of({"name": LATER, "nics": [LATER, {"net": LATER, "fixed": "x"}], "few": [LATER, "y"]}) == {
        "nics[1].fixed": "Error validating value 'x': Invalid IP address",
        "few[1]": "Value 'y' is not an integer",
    }


def test_properties_that_are_no_map_are_refused() -> None:
    assert problems_of(["name"]) == {"": "must be a map, got list"}


def test_no_properties_at_all_still_miss_what_is_required() -> None:
    assert problems_of(None) == {"": "Property name not assigned"}


def test_an_old_name_stands_for_a_required_one() -> None:
    assert problems_of({"name": "n", "nics": [{"uuid": "a"}, {"uuid": LATER}]}) == {}


def test_an_old_and_a_new_name_together_are_refused_when_both_have_a_value() -> None:
    reason = "Cannot define the following properties at the same time: net, uuid"
    assert problems_of({"name": "n", "nics": [{"uuid": "a", "net": "b"}]}) == {"nics[0]": reason}
    assert problems_of({"name": "n", "nics": [{"uuid": "", "net": "b"}]}) == {}
    assert problems_of({"name": "n", "nics": [{"uuid": LATER, "net": "b"}]}) == {}


def test_a_hidden_name_is_not_offered() -> None:
    assert problems_of({"name": "n", "nics": [{"net": "a", "uid": "b"}]}) == {"nics[0].uid": 'Unknown property "uid"'}


def test_no_problem_shows_a_secret() -> None:
    found = problems_of({"name": "n", "password": "hunter2", "codes": ["canary"]})
    assert found == {
        "password": "length (7) is out of range (min: 8, max: None)",
        "codes[0]": "Value ****** (a str) is not an integer",
    }


def test_an_update_policy_is_checked_by_its_own_schema() -> None:
    found: list[TranslationError] = []
    check_update_policy(THING, {"rolling": {"batch": "many", "pause": 1}}, "resources.t.update_policy", found)
    assert [problem.path for problem in found] == [
        "resources.t.update_policy.rolling.batch",
        "resources.t.update_policy.rolling.pause",
    ]


def test_a_placeholder_takes_everything() -> None:
    assert problems_of({"any": {"thing": 1}}, catalogue.lookup("OS::Heat::None")) == {}


@pytest.mark.parametrize("name", catalogue.names())
def test_every_schema_compiles_and_its_defaults_meet_it(name: str) -> None:
    schema = catalogue.lookup(name)
    found: list[TranslationError] = []
    check(schema, {}, "r", found)
    required = {key for key, prop in schema.properties.items() if prop.required and prop.default is None}
    assert sorted(problem.reason for problem in found) == sorted(f"Property {key} not assigned" for key in required)
