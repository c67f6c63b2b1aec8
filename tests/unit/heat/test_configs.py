import email

import pytest
import yaml

from reconcilers.heat.multipart_mime import MultipartMime, assemble
from reconcilers.heat.software_config import CloudConfig, SoftwareComponent, SoftwareConfig, StructuredConfig
from reconcilers.model import Desired, Failed, Ready, Recorded
from reconcilers.resource_type import CONFIG_TEXT

RECORDED = Recorded(
    key="k", name="c", type="t", token="5f1c0c3e-0000-4000-8000-000000000000", physical_name="stack-c-x"
)


def desired(**properties: object) -> Desired:
    return Desired("c", "stack-c-x", properties, frozenset(properties))


def test_a_cloud_config_is_yaml_below_its_first_line():
    users = [{"name": "joe", "groups": ["a", "b"]}]
    wanted = desired(cloud_config={"users": users, "copy": users, "ämter": None})
    text = CloudConfig().attributes(wanted, RECORDED, None)["config"]
    assert text == (
        "#cloud-config\ncopy:\n- groups:\n  - a\n  - b\n  name: joe\nusers:\n- groups:\n  - a\n  - b\n  name: joe\n"
        '"\\xE4mter": null\n'
    )


def test_a_software_config_is_its_text_under_an_id_that_no_text_is_taken_for():
    assert SoftwareConfig().attributes(desired(config="#!/bin/sh"), RECORDED, None) == {"config": "#!/bin/sh"}
    assert SoftwareConfig().identity(RECORDED) == RECORDED.token
    assert SoftwareConfig().reference(RECORDED, {}) == RECORDED.physical_id


def test_a_structured_config_is_a_map_and_yaml_where_text_is_needed():
    attributes = StructuredConfig().attributes(desired(config={"b": 1, "a": [2]}), RECORDED, None)
    assert attributes["config"] == {"b": 1, "a": [2]}
    assert yaml.safe_load(attributes[StructuredConfig.provides[CONFIG_TEXT]]) == {"b": 1, "a": [2]}


def test_a_component_has_one_configuration_an_action_at_most():
    one = {"actions": ["CREATE", "UPDATE"], "config": "x", "tool": "script"}
    other = {"actions": ["UPDATE", "DELETE"], "config": "y", "tool": "script"}
    assert isinstance(SoftwareComponent().step(desired(configs=[one]), RECORDED, None), Ready)
    assert isinstance(SoftwareComponent().step(desired(configs=[one, other]), RECORDED, None), Failed)
    assert SoftwareComponent().attributes(desired(configs=[one]), RECORDED, None)["config"] == {"configs": [one]}


def test_a_configuration_that_goes_has_no_text():
    for kind in (SoftwareConfig(), StructuredConfig(), CloudConfig(), SoftwareComponent(), MultipartMime()):
        assert kind.attributes(None, RECORDED, None) == {}


# Multipart.

PARTS = [
    {"config": "#!/bin/sh\necho one", "type": "text", "subtype": "x-shellscript", "filename": "one.sh"},
    {"config": "text with ü", "type": "text"},
    {"config": "third", "type": "text", "filename": "part-handler.py"},
]


def parse(text: str) -> list[tuple[str, str | None, str]]:
    whole = email.message_from_string(text)
    assert whole.get_content_type() == "multipart/mixed"
    return [
        (part.get_content_type(), part.get_filename(), part.get_payload(decode=True).decode(part.get_content_charset()))
        for part in whole.get_payload()
    ]


def test_the_parts_come_in_their_order_with_their_types_and_names():
    assert parse(assemble(PARTS)) == [
        ("text/x-shellscript", "one.sh", "#!/bin/sh\necho one"),
        ("text/plain", None, "text with ü"),
        ("text/part-handler", "part-handler.py", "third"),
    ]


def test_the_same_parts_give_the_same_text_and_others_another():
    assert assemble(PARTS) == assemble([dict(part) for part in PARTS])
    assert assemble(PARTS) != assemble(PARTS[:2])


def test_a_multipart_part_is_taken_apart():
    inner = assemble(PARTS)
    outer = assemble([{"config": "first", "type": "text"}, {"config": inner, "type": "multipart"}])
    assert parse(outer)[1:] == parse(inner)


def test_a_part_of_type_multipart_that_is_plain_text_is_left_out():
    assert parse(assemble([{"config": "plain", "type": "multipart"}, {"config": "kept", "type": "text"}])) == [
        ("text/plain", None, "kept")
    ]


def test_the_boundary_stands_in_no_part():
    boundary = email.message_from_string(assemble(PARTS)).get_boundary()
    assert boundary is not None
    hostile = [*PARTS, {"config": f"--{boundary}\n", "type": "text"}]
    assert len(parse(assemble(hostile))) == 4


@pytest.mark.parametrize("parts", [None, []])
def test_no_parts_are_an_empty_text(parts):
    text = MultipartMime().attributes(desired(parts=parts), RECORDED, None)["config"]
    assert email.message_from_string(text).get_content_type() == "multipart/mixed"
