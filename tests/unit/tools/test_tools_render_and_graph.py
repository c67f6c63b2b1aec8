import json

import yaml

TEMPLATE = """
heat_template_version: 2018-08-31
description: A network and a server on it.
parameters:
  password: {type: string, hidden: true}
  public: {type: string}
resources:
  net: {type: OS::Neutron::Net}
  subnet:
    type: OS::Neutron::Subnet
    properties: {network_id: {get_resource: net}, cidr: 10.0.0.0/24, enable_dhcp: "true"}
  vm:
    type: OS::Nova::Server
    deletion_policy: retain
    metadata: {note: {list_join: [" ", [{get_param: password}, is secret]]}}
    properties:
      flavor: m1
      image: cirros
      admin_pass: {get_param: password}
      networks: [{network: {get_resource: net}, fixed_ip: 10.0.0.9}]
      user_data: {str_replace: {template: "p=$p id=$id", params: {$p: {get_param: password}, $id: {get_resource: net}}}}
outputs:
  id: {value: {get_resource: vm}}
  both: {value: [{get_attr: [net, name]}, {get_param: public}]}
  secret: {value: {get_param: password}}
"""

ARGV = ["-t", "web.yaml", "--parameter", "password=hunter22", "--parameter", "public=p"]


def test_resources_are_shown_with_final_properties_in_order(folder) -> None:
    code, out, _ = folder({"web.yaml": TEMPLATE}).kiln("render", *ARGV)
    rendered = yaml.safe_load(out)
    assert code == 0
    assert rendered["description"] == "A network and a server on it."
    assert list(rendered["resources"]) == ["net", "subnet", "vm"]
    assert rendered["waves"] == [["net"], ["subnet"], ["vm"]]
    subnet = rendered["resources"]["subnet"]
    assert subnet["type"] == "OS::Neutron::Subnet"
    assert subnet["requires"] == ["net"]
    assert subnet["properties"]["network"] == "(known after net)"
    assert subnet["properties"]["enable_dhcp"] is True
    assert subnet["properties"]["ip_version"] == 4


def test_what_is_known_of_a_list_is_shown(folder) -> None:
    _, out, _ = folder({"web.yaml": TEMPLATE}).kiln("render", *ARGV, "--json")
    rendered = json.loads(out)
    vm = rendered["resources"]["vm"]
    assert vm["properties"]["networks"] == [{"network": "(known after net)", "fixed_ip": "10.0.0.9"}]
    assert vm["deletion_policy"] == "Retain"
    assert rendered["outputs"] == {"id": "(known after vm)", "both": ["(known after net)", "p"], "secret": "******"}


def test_no_hidden_value_is_shown(folder) -> None:
    for more in ([], ["--json"]):
        code, out, err = folder({"web.yaml": TEMPLATE}).kiln("render", *ARGV, *more)
        assert code == 0
        assert "hunter22" not in out + err
        assert "******" in out


def test_the_stacks_name_is_that_of_the_file_or_the_given_one(folder) -> None:
    template = "heat_template_version: 2018-08-31\noutputs: {o: {value: {get_param: OS::stack_name}}}\n"
    made = folder({"web.yaml": template})
    assert yaml.safe_load(made.kiln("render", "-t", "web.yaml")[1])["outputs"] == {"o": "web"}
    argv = ["-t", "web.yaml", "--stack-name", "prod"]
    assert yaml.safe_load(made.kiln("render", *argv)[1])["outputs"] == {"o": "prod"}


def test_what_needs_a_missing_parameter_is_marked_unless_strict(folder) -> None:
    made = folder({"web.yaml": TEMPLATE})
    code, out, err = made.kiln("render", "-t", "web.yaml")
    assert (code, err) == (0, "parameters without a value: password, public\n")
    rendered = yaml.safe_load(out)
    assert rendered["parameters"] == {"password": None, "public": None}
    assert rendered["outputs"]["both"] == ["(known after net)", "(needs a parameter)"]
    code, out, err = made.kiln("render", "-t", "web.yaml", "--strict")
    assert (code, out) == (1, "")
    assert "web.yaml:4:3: parameters.password: The Parameter (password) was not provided" in err
    code, out, err = made.kiln("graph", "-t", "web.yaml")
    assert (code, err) == (0, "")


def test_a_graph_for_graphviz(folder) -> None:
    _, out, _ = folder({"web.yaml": TEMPLATE}).kiln("graph", "-t", "web.yaml")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "digraph stack {"
    assert lines[-1] == "}"
    assert r'"net" [label="net\nOS::Neutron::Net"];' in lines
    assert [line for line in lines if "->" in line] == ['"subnet" -> "net";', '"vm" -> "net";', '"vm" -> "subnet";']


def test_a_graph_for_mermaid(folder) -> None:
    _, out, _ = folder({"web.yaml": TEMPLATE}).kiln("graph", "-t", "web.yaml", "--format", "mermaid")
    assert out.splitlines() == [
        "graph LR",
        '  n0["net<br/>OS::Neutron::Net"]',
        '  n1["subnet<br/>OS::Neutron::Subnet"]',
        '  n2["vm<br/>OS::Nova::Server"]',
        "  n1 --> n0",
        "  n2 --> n0",
        "  n2 --> n1",
    ]


def test_a_graph_of_a_wrong_template_is_refused(folder) -> None:
    made = folder({"t.yaml": "heat_template_version: 2018-08-31\nresources: {a: {type: OS::No::Type}}\n"})
    code, out, err = made.kiln("graph", "-t", "t.yaml")
    assert (code, out) == (1, "")
    assert "OS::No::Type" in err


def test_an_output_without_a_value_says_why(folder) -> None:
    template = (
        "heat_template_version: 2018-08-31\noutputs:\n  gone: {value: {get_resource: wrod}}\n  there: {value: 1}\n"
    )
    code, out, err = folder({"t.yaml": template}).kiln("render", "-t", "t.yaml")
    assert code == 0
    outputs = yaml.safe_load(out)["outputs"]
    assert outputs == {"gone": '(no value: The specified reference "wrod" is incorrect)', "there": 1}
    assert err.startswith("t.yaml:3:18: warning: outputs.gone.value.get_resource: ")


def test_an_existing_resource_is_shown_without_properties(folder) -> None:
    resource = "{type: OS::Neutron::FloatingIP, external_id: 5a8e}"
    template = f"heat_template_version: 2018-08-31\nresources: {{address: {resource}}}\n"
    code, out, _ = folder({"t.yaml": template}).kiln("render", "-t", "t.yaml")
    shown = yaml.safe_load(out)["resources"]["address"]
    assert (code, shown) == (
        0,
        {"type": "OS::Neutron::FloatingIP", "deletion_policy": "Retain", "external_id": "5a8e"},
    )


def test_a_condition_that_waits_for_a_resource_is_shown(folder) -> None:
    inner = """
        heat_template_version: 2018-08-31
        parameters: {p: {type: string}}
        resources: {r: {type: OS::Heat::RandomString, condition: {equals: [{get_param: p}, x]}}}
        """
    outer = """
        heat_template_version: 2018-08-31
        resources:
          word: {type: OS::Heat::RandomString}
          in: {type: in.yaml, properties: {p: {get_resource: word}}}
        """
    _, out, _ = folder({"t.yaml": outer, "in.yaml": inner}).kiln("render", "-t", "t.yaml")
    assert yaml.safe_load(out)["resources"]["in/r"]["condition"] == "(known after word)"
