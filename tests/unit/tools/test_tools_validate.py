import json
import sys

import pytest

from kiln import cli

WRONG = """
heat_template_version: 2018-08-31
parameters:
  image: {type: string}
  size: {type: number, default: 3, constraints: [{range: {max: 2}}]}
resources:
  web:
    type: OS::Nova::Sever
  vm:
    type: OS::Nova::Server
    properties:
      flavour: m1.small
      image: {get_param: image}
  key:
    type: OS::Nova::KeyPair
    properties:
      name: {get_param: nam}
outputs:
  o: {value: {get_resource: wbe}}
"""

GOOD = """
heat_template_version: 2018-08-31
parameters:
  image: {type: string}
  count: {type: number, constraints: [{range: {min: 2}}]}
  zone: {type: string, constraints: [{allowed_values: [a, b]}]}
conditions:
  in_a: {equals: [{get_param: zone}, a]}
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      resource_def:
        type: OS::Nova::Server
        properties: {image: {get_param: image}, flavor: m1}
  other: {type: OS::Heat::RandomString, condition: in_a}
"""


def test_every_problem_is_printed_with_its_place(folder) -> None:
    code, out, _ = folder({"t.yaml": WRONG}).kiln("validate", "-t", "t.yaml")
    assert code == 1
    lines = out.splitlines()
    assert lines[-1] == f"{len(lines) - 1} problems"
    assert [line.split(": ")[0] for line in lines[:-1]] == sorted(
        (line.split(": ")[0] for line in lines[:-1]), key=lambda place: int(place.split(":")[1])
    )
    for part in (
        "t.yaml:4:",
        't.yaml:7:5: resources.web.type: The Resource Type (OS::Nova::Sever) could not be found; did you mean "OS::',
        't.yaml:11:7: resources.vm.properties.flavour: Unknown property "flavour"; did you mean "flavor"?',
        "resources.vm.properties: Property flavor not assigned",
        "resources.key.properties.name.get_param: The Parameter (nam) was not provided",
        "parameters.size: Invalid default 3",
    ):
        assert part in out


def test_a_good_template_is_valid_without_parameters(folder) -> None:
    code, out, _ = folder({"t.yaml": GOOD}).kiln("validate", "-t", "t.yaml")
    assert (code, out) == (
        0,
        "t.yaml: valid, 4 resources\nparameters without a value: image, count, zone\n",
    )


def test_strict_wants_every_parameter(folder) -> None:
    code, out, _ = folder({"t.yaml": GOOD}).kiln("validate", "-t", "t.yaml", "--strict", "--parameter", "count=2")
    assert code == 1
    assert "The Parameter (image) was not provided" in out
    assert "(count)" not in out


def test_parameters_come_from_everywhere(folder) -> None:
    files = {"t.yaml": GOOD, "e.yaml": "parameters: {count: 2}\nparameter_defaults: {zone: b}\n", "image.txt": "cirros"}
    argv = ["--strict", "-t", "t.yaml", "-e", "e.yaml", "--parameter-file", "image=image.txt"]
    assert folder(files).kiln("validate", *argv) == (0, "t.yaml: valid, 3 resources\n", "")


def test_a_given_value_is_checked(folder) -> None:
    code, out, _ = folder({"t.yaml": GOOD}).kiln("validate", "-t", "t.yaml", "--parameter", "zone=c;count=1")
    assert code == 1
    assert "zone" in out
    assert "count" in out


def test_problems_of_environments_and_nested_templates_name_their_files(folder) -> None:
    version = "heat_template_version: 2018-08-31\n"
    files = {
        "t.yaml": f"{version}resources: {{a: {{type: My::A}}}}\n",
        "envs/e.yaml": "resource_registry: {My::A: lib/a.yaml}\n",
        "envs/lib/a.yaml": f"{version}resources:\n  net:\n    type: OS::Neutron::Net\n    properties: {{nam: x}}\n",
        "bad.yaml": "parameters: {}\nparametres: {}\n",
    }
    made = folder(files)
    code, out, _ = made.kiln("validate", "-t", "t.yaml", "-e", "envs/e.yaml")
    assert code == 1
    assert out.startswith("envs/lib/a.yaml:5:18: resources.a<lib/a.yaml>.resources.net.properties.nam: Unknown")
    code, out, _ = made.kiln("validate", "-t", "t.yaml", "-e", "bad.yaml")
    assert code == 1
    assert out.startswith("bad.yaml:")


def test_an_output_that_will_have_no_value_is_a_warning(folder) -> None:
    made = folder({"t.yaml": "heat_template_version: 2018-08-31\noutputs:\n  o: {value: {get_resource: wbe}}\n"})
    code, out, _ = made.kiln("validate", "-t", "t.yaml")
    assert code == 0
    assert out.startswith("t.yaml:3:15: warning: outputs.o.value.get_resource: ")
    _, out, _ = made.kiln("validate", "-t", "t.yaml", "--json")
    assert [it["path"] for it in json.loads(out)["warnings"]] == ["outputs.o.value.get_resource"]


def test_a_declaration_that_is_wrong_says_no_more_than_that(folder) -> None:
    template = """
        heat_template_version: 2018-08-31
        parameters:
          size: {type: numbr, default: 3}
        resources:
          a: {properties: {x: 1}}
          b: {type: OS::Heat::Value, properties: {value: {get_attr: [a, b]}}, depends_on: a}
          c: {type: OS::Cinder::Volume, properties: {size: {get_param: size}}}
        """
    code, out, _ = folder({"t.yaml": template}).kiln("validate", "--strict", "-t", "t.yaml")
    assert code == 1
    assert [line.split(": ")[1] for line in out.splitlines()[:-1]] == ["parameters.size.type", "resources.a"]


def test_json_that_is_indented_with_tabs_has_places_too(folder) -> None:
    text = '{\n\t"heat_template_version": "2018-08-31",\n\t"resources": {\n\t\t"a": {"type": "X"}}}\n'
    code, out, _ = folder({"t.json": text}).kiln("validate", "-t", "t.json")
    assert code == 1
    assert out.startswith("t.json:4:9: resources.a.type: ")


def test_a_missing_file_is_said_once(folder) -> None:
    made = folder({"t.yaml": "heat_template_version: 2018-08-31\nresources:\n  a: {type: lib/gone.yaml}\n"})
    code, out, _ = made.kiln("validate", "-t", "t.yaml")
    assert (code, out) == (1, "t.yaml:3:13: resources.a.type: lib/gone.yaml: No such file or directory\n1 problem\n")


def test_json_says_the_same(folder) -> None:
    made = folder({"t.yaml": WRONG, "good.yaml": GOOD})
    code, out, _ = made.kiln("validate", "-t", "t.yaml", "--json")
    report = json.loads(out)
    assert code == 1
    assert not report["valid"]
    assert {
        "file": "t.yaml",
        "line": 11,
        "column": 7,
        "path": "resources.vm.properties.flavour",
        "reason": 'Unknown property "flavour"; did you mean "flavor"?',
        "kind": "InvalidTemplate",
    } in report["problems"]
    code, out, _ = made.kiln("validate", "-t", "good.yaml", "--json")
    assert (code, json.loads(out)) == (
        0,
        {
            "valid": True,
            "problems": [],
            "missingParameters": ["image", "count", "zone"],
            "warnings": [],
            "resources": 4,
        },
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["validate"],
        ["validate", "-t", "gone.yaml"],
        ["validate", "-t", "t.yaml", "-e", "gone.yaml"],
        ["validate", "-t", "t.yaml", "--parameter", "x"],
        ["validate", "-t", "t.yaml", "--parameter-file", "x=gone"],
        ["validate", "-t", "https://example.org/t.yaml"],
        ["validate", "-t", "t.yaml", "--frobnicate"],
        ["frobnicate"],
        [],
        ["pack", "-t", "t.yaml", "Not_A_Name"],
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(folder, argv: list[str]) -> None:
    code, out, err = folder({"t.yaml": GOOD}).kiln(*argv)
    assert (code, out) == (2, "")
    assert err


def test_the_template_may_come_from_standard_input(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folder({"in.yaml": GOOD})
    with (made.path / "in.yaml").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        code, out, _ = made.kiln("validate", "-t", "-")
    assert code == 0
    assert out.startswith("<stdin>: valid")


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "run"])
def test_every_tool_has_a_help(folder, command: str) -> None:
    code, out, _ = folder().kiln(command, "--help")
    assert code == 0
    assert out.startswith(f"usage: kiln {command}")


def test_help_names_every_command(folder) -> None:
    _, out, _ = folder().kiln("--help")
    assert all(f"  {command}" in out for command in cli.COMMANDS)


def test_a_name_given_several_times_is_a_list(folder) -> None:
    template = "heat_template_version: 2018-08-31\nparameters: {l: {type: comma_delimited_list}}\n"
    made = folder({"t.yaml": template})
    argv = ["render", "-t", "t.yaml", "--json"]
    for given in (["--parameter", "l=a", "--parameter", "l=b"], ["--parameter", "l=a;l=b"], ["--parameter", "l=a,b"]):
        _, out, _ = made.kiln(*argv, *given)
        assert json.loads(out)["parameters"] == {"l": "a,b"}


def test_a_semicolon_in_a_value_is_part_of_it(folder) -> None:
    made = folder({"t.yaml": "heat_template_version: 2018-08-31\nparameters: {s: {type: string}}\n"})
    _, out, _ = made.kiln("render", "-t", "t.yaml", "--json", "--parameter", "s=echo 1; echo 2")
    assert json.loads(out)["parameters"] == {"s": "echo 1; echo 2"}


def test_a_size_from_a_map_without_a_value_is_no_crash(folder) -> None:
    template = """
        heat_template_version: 2018-08-31
        parameters: {sizes: {type: json}, least: {type: number}}
        resources:
          group:
            type: OS::Heat::AutoScalingGroup
            properties:
              min_size: {get_param: least}
              max_size: 3
              desired_capacity: {get_param: [sizes, web]}
              resource: {type: OS::Heat::RandomString}
          members:
            type: OS::Heat::ResourceGroup
            properties: {count: {get_param: [sizes, count]}, resource_def: {type: OS::Heat::RandomString}}
        """
    made = folder({"t.yaml": template})
    for command in ("validate", "graph", "render"):
        code, out, err = made.kiln(command, "-t", "t.yaml")
        assert code == 0, out + err
        assert "parameters without a value: sizes, least" in out + err or command == "graph"


def test_a_type_that_is_not_built_is_a_warning_once(folder) -> None:
    zone = "{type: OS::Designate::Zone, properties: {name: a.org., email: a@a.org}}"
    made = folder({"t.yaml": f"heat_template_version: 2018-08-31\nresources:\n  a: {zone}\n  b: {zone}\n"})
    code, out, _ = made.kiln("validate", "-t", "t.yaml")
    (warning, valid) = out.splitlines()
    assert (code, valid) == (0, "t.yaml: valid, 2 resources")
    assert warning.startswith("t.yaml:3:7: warning: resources.a.type: the type OS::Designate::Zone is not built yet")


def test_hooks_and_snapshots_before_deletions_are_no_reason_for_a_warning(folder) -> None:
    template = """
        heat_template_version: 2018-08-31
        resources:
          v: {type: OS::Cinder::Volume, deletion_policy: Snapshot, properties: {size: 1}}
        """
    files = {"t.yaml": template, "e.yaml": "resource_registry: {resources: {v: {hooks: pre-create}}}\n"}
    code, out, _ = folder(files).kiln("validate", "-t", "t.yaml", "-e", "e.yaml")
    assert (code, "warning" in out) == (0, False)


def test_a_member_of_a_group_whose_size_is_not_known_may_be_there(folder) -> None:
    template = """
        heat_template_version: 2018-08-31
        parameters: {n: {type: number}}
        resources:
          g:
            type: OS::Heat::ResourceGroup
            properties: {count: {get_param: n}, resource_def: {type: OS::Heat::RandomString}}
          v: {type: OS::Heat::Value, properties: {value: {get_attr: [g, resource.7.value]}}}
        """
    made = folder({"t.yaml": template})
    for command in ("validate", "graph", "render"):
        assert made.kiln(command, "-t", "t.yaml")[0] == 0
    code, out, _ = made.kiln("validate", "-t", "t.yaml", "--parameter", "n=2")
    assert (code, "it has no member 7" in out) == (1, True)


def test_a_broken_rule_between_properties_is_a_problem_of_every_command(folder) -> None:
    server = "{type: OS::Nova::Server, properties: {flavor: m1}}"
    made = folder({"t.yaml": f"heat_template_version: 2018-08-31\nresources:\n  vm: {server}\n"})
    for command in ("validate", "graph", "render"):
        code, out, err = made.kiln(command, "-t", "t.yaml")
        assert code == 1
        assert "t.yaml:3:32: resources.vm.properties: Neither image nor a bootable volume" in out + err


def test_the_template_of_a_cloudformation_stack_is_read_from_beside(folder) -> None:
    files = {
        "t.yaml": """
            HeatTemplateFormatVersion: '2012-12-12'
            Resources:
              In: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: in.yaml, Parameters: {A: {b: c}}}}
            """,
        "in.yaml": """
            HeatTemplateFormatVersion: '2012-12-12'
            Parameters: {A: {Type: String}}
            Resources: {R: {Type: OS::Heat::RandomString}}
            """,
    }
    made = folder(files)
    assert made.kiln("validate", "-t", "t.yaml") == (0, "t.yaml: valid, 2 resources\n", "")
    (made.path / "in.yaml").unlink()
    code, out, _ = made.kiln("validate", "-t", "t.yaml")
    assert (code, out.count("in.yaml: No such file")) == (1, 1)
    assert out.endswith("1 problem\n")
