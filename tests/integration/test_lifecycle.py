"""A Stack's life on the real Kubernetes and the real OpenStack."""

from typing import Any

from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

NETWORK: dict[str, Any] = {
    "heat_template_version": "2021-04-16",
    "parameters": {"dns": {"type": "comma_delimited_list", "default": "9.9.9.9"}},
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {
                "network": {"get_resource": "net"},
                "cidr": "10.20.0.0/24",
                "dns_nameservers": {"get_param": "dns"},
            },
        },
        "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}}},
        "server": {
            "type": "OS::Nova::Server",
            "properties": {
                "image": "cirros",
                "flavor": "m1.tiny",
                "networks": [{"port": {"get_resource": "port"}}],
            },
        },
    },
    "outputs": {"address": {"value": {"get_attr": ["port", "fixed_ips", 0, "ip_address"]}}},
}


def test_a_stack_is_created_updated_in_place_and_deleted(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("web", NETWORK)
    status = space.ready("web")["status"]
    assert status["resources"]["summary"] == "4/4"
    assert status["outputs"]["address"].startswith("10.20.0.")
    ids = {name: one["status"]["physicalID"] for name, one in space.resources("web").items()}
    assert cloud.compute.get_server(ids["server"]).status == "ACTIVE"
    assert cloud.network.get_subnet(ids["subnet"]).dns_nameservers == ["9.9.9.9"]

    space.stack("web", NETWORK, parameters={"dns": "8.8.8.8,8.8.4.4"})
    status = space.ready("web")["status"]
    assert status["lastOperation"]["type"] == "Update"
    assert sorted(cloud.network.get_subnet(ids["subnet"]).dns_nameservers) == ["8.8.4.4", "8.8.8.8"]
    assert {name: one["status"]["physicalID"] for name, one in space.resources("web").items()} == ids

    space.delete("web")
    assert cloud.network.find_network(ids["net"]) is None
    assert cloud.compute.find_server(ids["server"]) is None
    eventually(lambda: not space.get("stackresources"), 30)


def test_a_server_deleted_by_hand_comes_back_and_a_changed_network_is_put_right(
    kiln: Operator, space: Namespace
) -> None:
    cloud = lab.connection()
    template = {
        **NETWORK,
        "resources": {**NETWORK["resources"], "net": {"type": "OS::Neutron::Net", "properties": {"name": "ours"}}},
    }
    space.stack("web", template)
    space.ready("web")
    before = space.resources("web")
    cloud.compute.delete_server(before["server"]["status"]["physicalID"])
    cloud.network.update_network(before["net"]["status"]["physicalID"], name="theirs")
    eventually(lambda: cloud.compute.find_server(before["server"]["status"]["physicalID"]) is None)

    space.resync("web")

    def remade() -> bool:
        server = space.resources("web").get("server")  # none, between the old record and the new one
        return bool(server and server["spec"]["serial"] == 1 and server.get("status", {}).get("state") == "Ready")

    eventually(remade)
    space.ready("web")
    after = space.resources("web")
    assert cloud.compute.get_server(after["server"]["status"]["physicalID"]).status == "ACTIVE"
    eventually(lambda: cloud.network.get_network(after["net"]["status"]["physicalID"]).name == "ours")
    assert after["port"]["status"]["physicalID"] == before["port"]["status"]["physicalID"]
    events = [event["reason"] for event in eventually(lambda: space.get("events"))]
    assert "DriftCorrected" in events


def test_drift_is_only_reported_where_the_stack_says_so(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": "ours"}}},
    }
    space.stack("web", template, drift="Report")
    space.ready("web")
    net = space.resources("web")["net"]["status"]["physicalID"]
    cloud.network.update_network(net, name="theirs")
    space.resync("web")
    eventually(lambda: space.condition("web", "DriftDetected").get("status") == "True")
    assert "net" in space.condition("web", "DriftDetected")["message"]
    assert cloud.network.get_network(net).name == "theirs"


def test_a_replacement_is_made_before_the_old_one_goes(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("web", NETWORK)
    space.ready("web")
    old = space.resources("web")
    changed = {**NETWORK, "resources": {**NETWORK["resources"]}}
    changed["resources"]["server"] = {
        "type": "OS::Nova::Server",
        "properties": {
            **NETWORK["resources"]["server"]["properties"],
            "networks": [{"network": {"get_resource": "net"}}],
            "config_drive": True,
        },
    }
    space.stack("web", changed)
    space.ready("web")
    new = space.resources("web")
    assert new["server"]["spec"]["serial"] == 1
    assert new["net"]["status"]["physicalID"] == old["net"]["status"]["physicalID"]
    assert cloud.compute.find_server(old["server"]["status"]["physicalID"]) is None


def test_resources_leave_with_the_template_and_orphans_stay(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    both = {"a": {"type": "OS::Neutron::Net"}, "b": {"type": "OS::Neutron::Net"}}
    template = {"heat_template_version": "2021-04-16", "resources": both}
    space.stack("web", template)
    space.ready("web")
    ids = {name: one["status"]["physicalID"] for name, one in space.resources("web").items()}
    space.stack("web", {**template, "resources": {"a": both["a"]}})
    space.ready("web")
    assert cloud.network.find_network(ids["b"]) is None
    space.stack("web", {**template, "resources": {"a": both["a"]}}, deletionPolicy="Orphan")
    space.ready("web")
    space.delete("web")
    assert cloud.network.get_network(ids["a"]).id == ids["a"]
    cloud.network.delete_network(ids["a"])


def test_a_failed_update_is_rolled_back_to_the_last_good_revision(kiln: Operator, space: Namespace) -> None:
    good = {"heat_template_version": "2021-04-16", "resources": {"net": {"type": "OS::Neutron::Net"}}}
    bad = {
        **good,
        "resources": {
            **good["resources"],
            "more": {"type": "OS::Neutron::Net"},
            "broken": {"type": "OS::Heat::TestResource", "depends_on": "more", "properties": {"fail": True}},
        },
    }
    space.stack("web", good, onFailure="Rollback")
    first = space.ready("web")["status"]["currentRevision"]
    space.stack("web", bad, onFailure="Rollback")
    condition = space.reason("web", "RolledBack")
    assert "broken" in condition["message"]
    assert space.condition("web", "Stalled")["status"] == "True"
    assert set(space.resources("web")) == {"net"}
    assert space.get("stack", "web")["status"]["currentRevision"] == first
    space.stack(
        "web", {**good, "resources": {**good["resources"], "more": {"type": "OS::Neutron::Net"}}}, onFailure="Rollback"
    )
    space.ready("web")


def test_deletion_needs_neither_template_nor_parameters(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "template"}, "data": {"template.yaml": HELLO}}
    )
    space.apply(
        {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "Stack",
            "metadata": {"name": "web"},
            "spec": {
                "templateRef": {"configMapName": "template", "key": "template.yaml"},
                "cloudCredentialsRef": {"secretName": "openstack", "cloudName": lab.environment()["OS_CLOUD"]},
            },
        }
    )
    space.ready("web")
    net = space.resources("web")["net"]["status"]["physicalID"]
    space.kubectl("delete", "configmap", "template")
    space.reason("web", "ConfigMapNotFound")
    space.delete("web")
    assert cloud.network.find_network(net) is None


HELLO = """
heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Net}
"""
