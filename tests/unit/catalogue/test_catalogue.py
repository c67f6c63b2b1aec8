from importlib.resources import files

import pytest

from hot_translator import catalogue


def test_a_name_that_nobody_has_is_not_a_type() -> None:
    assert catalogue.lookup("OS::Nova::Toaster") is None
    assert catalogue.lookup("OS::Toast::Server") is None
    assert catalogue.lookup("") is None


@pytest.mark.parametrize("name", ["OS::../../secrets::X", "OS::/etc/passwd", "::", "..::.."])
def test_a_name_that_looks_like_a_path_reads_no_file(name: str) -> None:
    assert catalogue.lookup(name) is None
    assert catalogue.canonical(name) == name


def test_a_type_is_read_once() -> None:
    assert catalogue.lookup("OS::Nova::Server") is catalogue.lookup("OS::Nova::Server")


def test_an_alias_gives_the_type_behind_it() -> None:
    assert catalogue.lookup("OS::Metering::Alarm") is catalogue.lookup("OS::Aodh::Alarm")
    assert catalogue.lookup("OS::Quantum::Port") is catalogue.lookup("OS::Neutron::Port")


def test_a_family_alias_to_nothing_is_no_type() -> None:
    assert catalogue.lookup("OS::Quantum::Toaster") is None


def test_families_are_no_names_of_types() -> None:
    assert "OS::Ceilometer::Alarm" in catalogue.names()
    assert not [name for name in catalogue.names() if "*" in name]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("OS::Nova::Sever", "OS::Nova::Server"),
        ("os::neutron::net", "OS::Neutron::Net"),
        ("OS::Neutron::Network", "OS::Neutron::Net"),
        ("Something::Else", None),
    ],
)
def test_the_nearest_type_is_offered(wrong: str, meant: str | None) -> None:
    assert catalogue.nearest(wrong) == meant


def test_attributes_that_are_secrets_are_marked() -> None:
    assert catalogue.lookup("OS::Nova::KeyPair").sensitive_attributes == {"private_key"}


def test_what_an_update_does_is_said_of_each_property() -> None:
    server = catalogue.lookup("OS::Nova::Server")
    assert server.update_of("name") == "in-place"
    assert server.update_of("key_name") == "replace"
    assert catalogue.lookup("OS::Neutron::Segment").update_of("network") == "replace"
    assert server.update_of("nothing of this name") == "in-place"


def test_show_is_an_attribute_of_every_type_and_others_must_be_declared() -> None:
    net = catalogue.lookup("OS::Neutron::Net")
    assert net.has_attribute("show")
    assert net.has_attribute("subnets")
    assert not net.has_attribute("subnet")


@pytest.mark.parametrize("name", ["OS::Heat::None", "OS::Senlin::Cluster", "OS::Heat::SoftwareDeployment"])
def test_types_with_free_attributes_refuse_none(name: str) -> None:
    assert catalogue.lookup(name).has_attribute("anything")


def test_an_old_name_leads_to_the_present_one() -> None:
    port = catalogue.lookup("OS::Neutron::Port")
    assert port.renamed("network_id") == "network"
    assert port.renamed("name") == "name"
    assert catalogue.lookup("OS::Neutron::Router").renamed("l3_agent_id") == "l3_agent_id"


def test_every_template_of_the_default_registry_is_in_the_package() -> None:
    folder = files("hot_translator.catalogue") / "templates"
    named = {key.removeprefix(catalogue.TEMPLATE_SCHEME) for key in catalogue.default_files()}
    assert named == {file.name for file in folder.iterdir()}
