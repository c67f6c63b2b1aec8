"""What is refused before anything changes: look-ups that fail, immutable parameters; and members of groups."""

from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import FakeOpenStack

from hot_translator import InvalidParameter, Pseudo, Translation, parse_environment, parse_template
from hot_translator import translate as translate_template
from kiln.stack import validation
from reconcilers.cloud.lookup import Lookup
from reconcilers.errors import CloudError
from reconcilers.model import Recorded

FLAVOR = {"flavor": {"type": "string", "constraints": [{"custom_constraint": "nova.flavor"}]}}
FIXED = {"size": {"type": "number", "immutable": True}, "name": {"type": "string"}}


def translation(
    values: dict[str, Any] | None = None, schema: dict[str, Any] | None = None, environment: Any = None
) -> Translation:
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": schema or {},
        "resources": {"net": {"type": "OS::Neutron::Net"}},
    }
    return translate_template(
        parse_template(template),
        environment=[parse_environment(environment)] if environment else [],
        parameters=values or {},
        pseudo=Pseudo("web", "uid", "project", "RegionOne"),
    )


def looked_up(flavor: str, cloud: FakeOpenStack) -> None:
    async def life() -> None:
        wanted = translation({"flavor": flavor}, FLAVOR)
        await validation.check_lookups(wanted, Lookup(cloud))  # type: ignore[arg-type]

    virtual.run(life())


def test_a_parameter_that_names_nothing_in_the_cloud_is_refused_with_its_path() -> None:
    looked_up("m1.tiny", FakeOpenStack())
    with pytest.raises(InvalidParameter) as refused:
        looked_up("m1.gone", FakeOpenStack())
    assert refused.value.path == "parameters.flavor"
    assert "m1.gone" in str(refused.value)


def test_a_hidden_parameter_that_names_nothing_is_not_quoted() -> None:
    async def life() -> None:
        wanted = translation({"flavor": "abc"}, {"flavor": {**FLAVOR["flavor"], "hidden": True}})
        await validation.check_lookups(wanted, Lookup(FakeOpenStack()))  # type: ignore[arg-type]

    with pytest.raises(InvalidParameter) as refused:
        virtual.run(life())
    assert str(refused.value) == "parameters.flavor: does not validate nova.flavor"


def test_a_cloud_that_does_not_answer_refuses_no_parameter() -> None:
    cloud = FakeOpenStack()
    cloud.fault = lambda _request: Refused(503, "down")
    with pytest.raises(CloudError):
        looked_up("m1.tiny", cloud)


def test_an_immutable_parameter_keeps_its_value_and_others_need_not() -> None:
    deployed = translation({"size": 1, "name": "a"}, FIXED)
    validation.check_immutable(translation({"size": 1, "name": "b"}, FIXED), deployed)
    with pytest.raises(InvalidParameter) as refused:
        validation.check_immutable(translation({"size": 2, "name": "a"}, FIXED), deployed)
    assert refused.value.path == "parameters.size"


def test_a_parameter_that_is_new_may_be_immutable() -> None:
    validation.check_immutable(translation({"size": 1, "name": "a"}, FIXED), translation())


def test_members_of_groups_come_oldest_first() -> None:
    def member(name: str, created: str, physical_id: str | None) -> Recorded:
        return Recorded(name, name, "OS::Neutron::Net", "t", name, created_at=created, physical_id=physical_id)

    records = [
        member("group/1", "2026-01-02", "b"),
        member("group/0", "2026-01-01", "a"),
        member("group/2", "2026-01-03", None),
        member("outer/0/inner", "2026-01-01", "c"),
        member("alone", "2026-01-01", "d"),
    ]
    found = validation.group_states(records, {"group": ["7"], "gone": ["0"]})
    assert {name: dict(state.members) for name, state in found.items()} == {
        "group": {"0": "a", "1": "b", "2": ""},
        "outer": {"0": ""},
        "outer/0": {"inner": "c"},
        "gone": {},
    }
    assert list(found["group"].members) == ["0", "1", "2"]
    assert found["group"].removed == {"7"}
    assert found["gone"].removed == {"0"}
