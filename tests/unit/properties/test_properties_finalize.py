from typing import Any

import pytest

from hot_translator import catalogue
from hot_translator.catalogue import Alias, Constraint, PropertySchema, TypeSchema
from hot_translator.errors import ResolutionError
from hot_translator.expression import UNKNOWN
from hot_translator.properties import finalize, finalize_update_policy


def final(value: Any, *constraints: Constraint, **schema: Any) -> Any:
    thing = TypeSchema(name="Test::Thing", properties={"p": PropertySchema(constraints=constraints, **schema)})
    return finalize(thing, {"p": value}, "resources.t.properties")["p"]


def refusal(value: Any, *constraints: Constraint, **schema: Any) -> str:
    with pytest.raises(ResolutionError) as caught:
        final(value, *constraints, **schema)
    assert caught.value.path.startswith("resources.t.properties.p")
    return str(caught.value).removeprefix("resources.t.properties.")


@pytest.mark.parametrize(
    ("type_", "given", "wanted"),
    [
        ("string", "a", "a"),
        ("string", True, "True"),
        ("string", 7, "7"),
        ("string", None, ""),
        ("integer", "7", 7),
        ("integer", 7.9, 7),
        ("integer", True, 1),
        ("integer", None, 0),
        ("number", "7", 7),
        ("number", "1e3", 1000.0),
        ("number", 1.5, 1.5),
        ("number", None, 0),
        ("boolean", True, True),
        ("boolean", "TRUE", True),
        ("boolean", "false", False),
        ("boolean", None, False),
        ("list", [1, "a"], [1, "a"]),
        ("list", ("a",), ["a"]),
        ("list", None, []),
        ("map", {"a": 1}, {"a": 1}),
        ("map", None, {}),
        ("any", 1.5, 1.5),
        ("any", None, None),
        *((type_, UNKNOWN, UNKNOWN) for type_ in ("string", "integer", "number", "boolean", "list", "map", "any")),
    ],
)
def test_values_become_the_type_as_in_heat(type_: Any, given: Any, wanted: Any) -> None:
    result = final(given, type=type_)
    assert result == wanted
    assert type(result) is type(wanted)


@pytest.mark.parametrize(
    ("type_", "given", "reason"),
    [
        ("string", 1.5, "p: Value must be a string; got 1.5"),
        ("string", ["a"], "p: Value must be a string; got ['a']"),
        ("integer", "7.5", "p: Value '7.5' is not an integer"),
        ("integer", float("inf"), "p: Value inf is not an integer"),
        ("number", "x", "p: Value 'x' is not a number"),
        ("number", [], "p: Value [] is not a number"),
        ("boolean", 1, "p: 1 is not a valid boolean"),
        ("boolean", "yes", "p: 'yes' is not a valid boolean"),
        ("list", "a,b", "p: 'a,b' is not a list"),
        ("list", {"a": 1}, "p: {'a': 1} is not a list"),
        ("map", '{"a": 1}', "p: '{\"a\": 1}' is not a map"),
        ("map", [], "p: [] is not a map"),
    ],
)
def test_values_that_heat_refuses_are_refused(type_: Any, given: Any, reason: str) -> None:
    assert refusal(given, type=type_) == reason


@pytest.mark.parametrize(
    ("type_", "given", "wanted"),
    [("list", "a, b", ["a", " b"]), ("list", "", []), ("map", '{"a"', '{"a"'), ("map", [{"a": 1}], '[{"a": 1}]')],
)
def test_a_templates_parameters_convert_more(type_: Any, given: Any, wanted: Any) -> None:
    assert final(given, type=type_, convert=True) == wanted


@pytest.mark.parametrize("type_", ["string", "integer", "list", "map"])
def test_null_is_the_default_where_there_is_one(type_: Any) -> None:
    default = {"string": "d", "integer": 4, "list": ["d"], "map": {"d": 1}}[type_]
    assert final(None, type=type_, default=default) == default


def test_a_property_that_is_not_given_is_the_default_or_absent() -> None:
    schema = TypeSchema(
        name="Test::Thing", properties={"a": PropertySchema("list", default=[{"x": 1}]), "b": PropertySchema("string")}
    )
    first = finalize(schema, {}, "r")
    assert first == {"a": [{"x": 1}]}
    first["a"][0]["x"] = 2
    assert finalize(schema, {}, "r") == {"a": [{"x": 1}]}


def test_a_missing_required_property_is_refused_at_any_depth() -> None:
    nic = PropertySchema("map", properties={"net": PropertySchema("string", required=True)})
    assert refusal([{"net": "a"}, {}], type="list", items=nic) == "p[1]: Property net not assigned"
    assert refusal([None], type="list", items=nic) == "p[0]: Property net not assigned"


def test_unknown_parts_stay_unknown_inside_of_lists_and_maps() -> None:
    nic = PropertySchema("map", properties={"net": PropertySchema("string"), "mtu": PropertySchema("integer")})
    value = [{"net": UNKNOWN, "mtu": "1400"}, UNKNOWN]
    assert final(value, type="list", items=nic) == [{"net": UNKNOWN, "mtu": 1400}, UNKNOWN]


def test_properties_that_are_unknown_as_a_whole_are_each_unknown() -> None:
    net = catalogue.lookup("OS::Heat::RandomString")
    assert set(finalize(net, UNKNOWN, "r").values()) == {UNKNOWN}


def test_properties_that_resolve_to_no_map_are_refused() -> None:
    with pytest.raises(ResolutionError, match="r: must be a map, got str"):
        finalize(catalogue.lookup("OS::Heat::RandomString"), "x", "r")


@pytest.mark.parametrize(
    ("constraint", "type_", "good", "bad"),
    [
        (Constraint("range", {"min": 2}), "integer", "2", 1),
        (Constraint("range", {"max": 2.5}), "number", 2.5, "2.6"),
        (Constraint("length", {"min": 1, "max": 2}), "string", "ab", "abc"),
        (Constraint("length", {"max": 1}), "map", {"a": 1}, {"a": 1, "b": 2}),
        (Constraint("length", {"min": 1}), "list", [UNKNOWN], []),
        (Constraint("modulo", {"step": 4, "offset": 1}), "integer", 9, 8),
        (Constraint("allowed_values", ["1", "2"]), "string", 1, "3"),
        (Constraint("allowed_values", [1, 2]), "integer", "2", 3),
        (Constraint("allowed_values", ["a", "b"]), "list", ["b", UNKNOWN], ["b", "c"]),
        (Constraint("allowed_values", [True]), "boolean", "true", "false"),
        (Constraint("allowed_pattern", "[a-z]+"), "string", "abc", "abc1"),
        (Constraint("allowed_pattern", "a|ab"), "string", "a", "ab"),
        (Constraint("custom", "net_cidr"), "string", "10.0.0.0/8", "10.0.0.0"),
        (Constraint("custom", "no such"), "string", UNKNOWN, "x"),
    ],
)
def test_constraints_hold_as_in_heat(constraint: Constraint, type_: Any, good: Any, bad: Any) -> None:
    final(good, constraint, type=type_)
    refusal(bad, constraint, type=type_)


def test_a_name_that_only_the_cloud_can_check_is_taken() -> None:
    assert final("private", Constraint("custom", "neutron.network"), type="string") == "private"


def test_a_constraints_own_message_is_the_reason() -> None:
    constraint = Constraint("length", {"min": 3}, "three letters at least")
    assert refusal("ab", constraint, type="string") == "p: three letters at least"


def test_a_catastrophic_pattern_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hot_translator.limits.PATTERN_SECONDS", 0.02)
    reason = refusal("a" * 40 + "b", Constraint("allowed_pattern", r"(a|a|aa)+$"), type="string")
    assert "cannot be matched" in reason


@pytest.mark.parametrize("kind", ["allowed_values", "allowed_pattern", "custom"])
def test_no_refusal_shows_a_secret(kind: Any) -> None:
    limit = {"allowed_values": ["x"], "allowed_pattern": "[0-9]+", "custom": "ip_addr"}[kind]
    assert "canary" not in refusal("canary", Constraint(kind, limit), type="string", sensitive=True)
    assert "canary" not in refusal({"canary": 1}, Constraint(kind, limit), type="string", sensitive=True)


def test_old_names_are_gone() -> None:
    port = catalogue.lookup("OS::Neutron::Port")
    values = finalize(port, {"network_id": "n", "fixed_ips": [{"subnet_id": "s"}]}, "r")
    assert values["network"] == "n"
    assert values["fixed_ips"] == [{"subnet": "s"}]
    assert "network_id" not in values


def test_an_unknown_value_moves_too() -> None:
    assert finalize(catalogue.lookup("OS::Neutron::Subnet"), {"network_id": UNKNOWN}, "r")["network"] is UNKNOWN


def test_an_old_name_with_null_changes_nothing() -> None:
    values = finalize(catalogue.lookup("OS::Neutron::Port"), {"network": "n", "network_id": None}, "r")
    assert values["network"] == "n"


def test_an_old_and_a_new_value_together_are_refused() -> None:
    with pytest.raises(ResolutionError, match="same time: network, network_id"):
        finalize(catalogue.lookup("OS::Neutron::Port"), {"network": "n", "network_id": "m"}, "r")


def test_an_old_value_that_is_wrong_is_refused_under_its_own_name() -> None:
    with pytest.raises(ResolutionError) as caught:
        finalize(catalogue.lookup("OS::Neutron::Port"), {"network_id": ["n"]}, "r")
    assert caught.value.path == "r.network_id"


def test_an_old_value_may_become_an_item_of_a_list() -> None:
    words = finalize(catalogue.lookup("OS::Heat::RandomString"), {"sequence": "digits"}, "r")
    assert words == {"character_classes": [{"class": "digits", "min": 1}], "length": 32}
    router = finalize(catalogue.lookup("OS::Neutron::Router"), {"l3_agent_id": "b", "l3_agent_ids": ["a"]}, "r")
    assert router["l3_agent_ids"] == ["a", "b"]


def test_values_move_out_of_an_old_map() -> None:
    task = {"name": "t", "policies": {"timeout": 3, "retry": {"count": 1}}}
    values = finalize(catalogue.lookup("OS::Mistral::Workflow"), {"type": "direct", "tasks": [task]}, "r")
    assert values["tasks"] == [{"name": "t", "timeout": 3, "retry": {"count": 1}}]
    assert task["policies"] == {"timeout": 3, "retry": {"count": 1}}


def test_a_dropped_property_leaves_nothing() -> None:
    schema = TypeSchema(
        name="Test::Thing", properties={"old": PropertySchema("string")}, aliases=(Alias(("old",), None),)
    )
    assert finalize(schema, {"old": "x"}, "r") == {}


def test_a_resources_description_becomes_the_property_when_the_type_can_update_it() -> None:
    flavor, group = catalogue.lookup("OS::Nova::Flavor"), catalogue.lookup("OS::Neutron::SecurityGroup")
    assert finalize(group, {}, "r", "why")["description"] == "why"
    assert finalize(group, {"description": "own"}, "r", "why")["description"] == "own"
    assert "description" not in finalize(flavor, {"ram": 1, "vcpus": 1}, "r", "why")


def test_a_placeholder_has_no_properties() -> None:
    assert finalize(catalogue.lookup("OS::Heat::None"), {"any": 1}, "r") == {}


def test_an_update_policy_gets_its_defaults() -> None:
    group = catalogue.lookup("OS::Heat::ResourceGroup")
    policy = finalize_update_policy(group, {"rolling_update": {"max_batch_size": "2"}}, "r")
    assert policy == {"rolling_update": {"max_batch_size": 2, "min_in_service": 0, "pause_time": 0}}
    assert finalize_update_policy(catalogue.lookup("OS::Heat::None"), {"any": 1}, "r") == {}
