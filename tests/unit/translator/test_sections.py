from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import InvalidParameter, InvalidTemplate, Translation, TranslationError, parse_template

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("{}", "Template format version not found"),
        ("{heat_template_version: 2099-01-01}", "should be one of: 2013-05-23"),
        ("{heat_template_version: 20130523}", "The version must be text"),
        ("{heat_template_version: icehouse}", "should be one of"),
        ("{heat_template_version: 2013-05-23, AWSTemplateFormatVersion: 2010-09-09}", "Ambiguous versions"),
        ("{AWSTemplateFormatVersion: 2012-12-12}", "should be one of: 2010-09-09"),
    ],
)
def test_wrong_versions(version: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate, match=reason):
        parse_template(version)


@pytest.mark.parametrize(
    "version", ["2021-04-16", "wallaby", "2021-04-16T00:00:00Z", "newton", "ocata", "pike", "queens", "rocky"]
)
def test_versions_and_their_codenames(version: str) -> None:
    assert parse_template({"heat_template_version": version}).version.has_conditions


def test_empty_sections_and_no_description() -> None:
    template = parse_template("heat_template_version: 2018-08-31\nresources:\noutputs:\nparameters:\n")
    assert (template.description, template.resources, template.outputs) == ("No description", {}, {})


HEAD = "heat_template_version: 2018-08-31\n"


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("resoures: {}", "resoures", "did you mean resources?"),
        ("conditions: [1]", "conditions", "must be a map"),
        ("resources: {a/b: {type: X}}", "resources.a/b", 'must not be empty or contain "/"'),
        ("resources: {a: 1}", "resources.a", "must be a map with a type key"),
        ("resources: {a: {properties: {}}}", "resources.a", 'is missing "type"'),
        ("resources: {a: {type: [x]}}", "resources.a.type", "type must be string"),
        ("resources: {a: {type: X, propertys: {}}}", "resources.a.propertys", "did you mean properties?"),
        ("resources: {a: {type: X, depends_on: [1]}}", "resources.a.depends_on", "must be a list of strings"),
        ("resources: {a: {type: X, depends_on: null}}", "resources.a.depends_on", "must be list or string"),
        ("resources: {a: {type: X, description: [1]}}", "resources.a.description", "must be text"),
        ("resources: {true: {type: X}}", "resources.true", "put it in quotes"),
        ("outputs: {o: text}", "outputs.o", "must be a map"),
        ("outputs: {o: {}}", "outputs.o", "must contain a value key"),
        ("parameters: {p: 5}", "parameters.p", "expected a mapping"),
        ("parameters: {p: {}}", "parameters.p", "Missing parameter type"),
        ("parameters: {p: {type: strng}}", "parameters.p.type", "Invalid type (strng)"),
        ("parameters: {p: {type: string, defualt: 1}}", "parameters.p.defualt", "did you mean 'default'?"),
        ("parameters: {p: {type: string, tags: x}}", "parameters.p.tags", "should be a list"),
        ("parameters: {p: {type: string, constraints: x}}", "parameters.p.constraints", "expected a list"),
        ("parameters: {p: {type: string, constraints: [{}]}}", "parameters.p.constraints[0]", "No constraint"),
        ("parameters: {p: {type: string}}\nresources: {p: {type: X}}", "resources.p", "Duplicate names"),
        ("parameter_groups: {}\nparameters: {}", None, None),
        ("parameter_groups: text", "parameter_groups", "should be a list"),
        ("parameter_groups: [1]", "parameter_groups[0]", "should be a list"),
        ("parameter_groups: [{parameters: [nope]}]", "parameter_groups[0].parameters[0]", "does not reference"),
        (
            "parameters: {p: {type: string}}\nparameter_groups: [{parameters: [p]}, {parameters: [p]}]",
            "parameter_groups[1].parameters[0]",
            "one parameter group only",
        ),
    ],
)
def test_sections_of_the_wrong_shape(text: str, path: str | None, reason: str | None) -> None:
    if path is None:
        assert parse_template(HEAD + text).parameter_groups == ()
        return
    with pytest.raises(TranslationError) as error:
        parse_template(HEAD + text)
    assert error.value.path == path
    assert reason is not None
    assert reason in error.value.reason


def test_names_that_are_numbers_count_as_text() -> None:
    assert list(parse_template(HEAD + "resources: {1: {type: X}, 2.5: {type: Y}}").resources) == ["1", "2.5"]


def test_parameter_groups_are_kept() -> None:
    text = HEAD + "parameters: {p: {type: string}}\nparameter_groups: [{label: L, parameters: [p]}]"
    assert parse_template(text).parameter_groups[0]["label"] == "L"


CONSTRAINTS = [
    ("string", "length: {min: 1.5}", "must be integral"),
    ("string", "length: {}", "must have a min value"),
    ("string", "length: {mni: 1}", "did you mean 'min'?"),
    ("string", "allowed_values: ab", "must be a list"),
    ("string", "allowed_pattern: 5", "must be a string"),
    ("string", "allowed_pattern: '('", "is not a regular expression"),
    ("string", f"allowed_pattern: {'a' * 10_001}", "longer than"),
    ("string", "custom_constraint: [1]", "named by text"),
    ("number", "modulo: {step: 2}", "must have a step value"),
    ("number", "modulo: {step: 2, offset: 0.5}", "must be integer"),
    ("number", "modulo: {step: 0, offset: 0}", "step cannot be 0"),
    ("boolean", "allowed_values: [maybe]", "Unrecognized value"),
    ("boolean", "range: {min: 1}", "range constraint invalid for boolean"),
]


@pytest.mark.parametrize(("kind", "constraint", "reason"), CONSTRAINTS)
def test_wrong_constraints(kind: str, constraint: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate, match=r"parameters\.p\.constraints") as error:
        parse_template(f"{HEAD}parameters: {{p: {{type: {kind}, constraints: [{{{constraint}}}]}}}}")
    assert reason in error.value.reason


def test_a_catastrophic_pattern_does_not_hang(refused: Refuse) -> None:
    text = HEAD + "parameters: {p: {type: string, constraints: [{allowed_pattern: '(x+x+)+y'}]}}"
    (problem,) = refused(text, parameters={"p": "x" * 3000})
    assert problem.startswith("parameters.p: Parameter 'p' is invalid: ")


def test_constraints_of_the_cloud_are_left_to_the_caller(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters:
      flavor: {type: string, constraints: [{custom_constraint: nova.flavor, description: No such flavor}]}
      nets: {type: comma_delimited_list, default: "a,b", constraints: [{custom_constraint: neutron.network}]}
    """
    lookups = translated(text, parameters={"flavor": "m1"}).lookups
    assert [(one.path, one.constraint, one.value, one.message) for one in lookups] == [
        ("parameters.flavor", "nova.flavor", "m1", "No such flavor"),
        ("parameters.nets", "neutron.network", ["a", "b"], ""),
    ]


@pytest.mark.parametrize(
    ("declaration", "value", "expected"),
    [
        ("{Type: String, MinLength: '2', ConstraintDescription: too short}", "a", "too short"),
        ("{Type: Number, MinValue: 1, MaxValue: '5'}", "6", "out of range"),
        ("{Type: String, AllowedValues: [a]}", "b", "not an allowed value"),
        ("{Type: String, AllowedPattern: '[a-z]+'}", "1", "does not match"),
        ("{Type: String, Default: x, NoEcho: 'true'}", None, None),
    ],
)
def test_parameters_of_cloudformation(
    translated: Translate, declaration: str, value: Any, expected: str | None
) -> None:
    text = f"AWSTemplateFormatVersion: 2010-09-09\nParameters: {{p: {declaration}}}\n"
    if expected is None:
        assert translated(text).parameters["p"].hidden
        return
    with pytest.raises(InvalidParameter, match=expected):
        translated(text, parameters={"p": value})


def test_hidden_values_stand_in_no_message(refused: Refuse) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters:
      a: {type: string, hidden: true, constraints: [{length: {max: 2}}]}
      b: {type: number, hidden: true, constraints: [{range: {max: 2}, description: at most two}]}
      c: {type: json, hidden: true}
    """
    problems = refused(text, parameters={"a": "s3cret", "b": "77", "c": "{s3cret"})
    assert len(problems) == 3
    assert not any("s3cret" in problem or "77" in problem for problem in problems)
    assert "at most two" in problems[1]


def test_hidden_values_are_known_in_all_their_parts(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {a: {type: json, hidden: true}, b: {type: comma_delimited_list, hidden: true}}
    """
    translation = translated(text, parameters={"a": {"k": ["v1", {"x": 5}], "t": True}, "b": "p,q"})
    assert translation.hidden_values == {"v1", "5", "p", "q"}


def test_precedence_of_parameter_values(translated: Translate, refused: Refuse) -> None:
    text = HEAD + "parameters: {p: {type: string, default: template}}"
    environment = "parameter_defaults: {p: defaults, unknown: 1}"
    assert translated(text).parameters["p"].value == "template"
    assert translated(text, environment=environment).parameters["p"].value == "defaults"
    both = environment + "\nparameters: {p: environment}"
    assert translated(text, environment=both).parameters["p"].value == "environment"
    assert translated(text, environment=both, parameters={"p": "given"}).parameters["p"].value == "given"
    assert translated(text, parameters={"p": None}).parameters["p"].value == "template"
    (problem,) = refused(text, parameters={"pp": 1})
    assert problem == "parameters.pp: The Parameter (pp) was not defined in template (did you mean 'p'?)"


def test_conditions_switch_resources_and_outputs(translated: Translate, refused: Refuse, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {use: {type: boolean, default: true}}
    conditions: {c: {get_param: use}, not_c: {not: c}}
    resources:
      a: {type: OS::Heat::RandomString, condition: c}
      b: {type: OS::Heat::RandomString, depends_on: [a]}
      d: {type: OS::Heat::RandomString, condition: {and: [c, {equals: [1, 1]}]}}
      e: {type: OS::Heat::RandomString, condition: false}
    outputs:
      o: {condition: not_c, value: {get_resource: a}}
      i: {value: {if: [c, {get_resource: a}, {get_resource: nobody}]}}
      w: {condition: wrong, value: 1}
    """
    wrong = "      w: {condition: wrong, value: 1}\n"
    assert 'Invalid condition "wrong"' in refused(text)[0]
    text = text.replace(wrong, "")
    translation = translated(text)
    assert set(translation.definitions) == {"a", "b", "d"}
    assert translation.definitions["b"].requires == {"a"}
    assert translation.outputs["o"].resolve(cloud()) is None
    assert translation.outputs["i"].resolve(cloud({"a": "x"})) == "x"
    off = text.replace("      i: {value: {if: [c, {get_resource: a}, {get_resource: nobody}]}}\n", "")
    assert set(translated(off, parameters={"use": False}).definitions) == {"b"}


@pytest.mark.parametrize(
    ("conditions", "used", "reason"),
    [
        ("{a: {not: b}, b: {not: a}}", "a", 'Circular definition for condition "a"'),
        ("{a: b, b: true}", "true", 'The definition of condition "a" is invalid: b'),
        ("{a: {get_param: s}}", "a", 'The definition of condition "a" is invalid: text'),
        ("{a: {get_file: x}}", "true", 'The function "get_file" is invalid in this context'),
        ("{a: {equals: [1]}}", "true", "[value_1, value_2]"),
        ("{a: {and: [true]}}", "true", "minimum number of condition arguments"),
        ("{a: {and: text}}", "true", "must be a list of conditions"),
        ("{a: {not: null}}", "true", "must be a condition"),
        ("{a: {Ref: x}}", "true", "not supported in this version"),
        ("{a: {not: [1]}}", "a", 'Invalid condition "[1]"'),
        ("{a: true}", "5", 'Invalid condition "5"'),
        ("{a: true}", "[x]", "Invalid condition"),
        ("{a: true}", "{get_param: nope}", "was not provided"),
    ],
)
def test_wrong_conditions(refused: Refuse, conditions: str, used: str, reason: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    parameters: {{s: {{type: string, default: text}}}}
    conditions: {conditions}
    resources: {{r: {{type: OS::Heat::RandomString, condition: {used}}}}}
    """
    assert any(reason in problem for problem in refused(text))


def test_conditions_of_cloudformation(translated: Translate) -> None:
    text = """
    AWSTemplateFormatVersion: 2010-09-09
    Parameters: {e: {Type: String, Default: prod}}
    Mappings: {m: {prod: {v: yes-please}}}
    Conditions:
      p: !Equals [!Ref e, prod]
      q: !Not [!Condition p]
      r: !And [p, !Or [q, p]]
      s: {Fn::Equals: [{Fn::FindInMap: [m, {Ref: e}, v]}, yes-please]}
    Resources:
      a: {Type: OS::Heat::Value, Condition: s, Properties: {value: !If [r, !Ref e, none]}, Whatever: 1}
      b: {Type: OS::Heat::Value, Condition: q, Properties: {value: 1}}
    Outputs: {o: {Condition: q, Value: 1, Anything: else}}
    """
    translation = translated(text)
    assert set(translation.definitions) == {"a"}
    assert translation.definitions["a"].properties["value"] == "prod"
    assert not translation.outputs["o"].value


def test_a_version_without_conditions_has_none(refused: Refuse) -> None:
    text = "HeatTemplateFormatVersion: 2012-12-12\nConditions: {}\n"
    assert "The template section is invalid: Conditions" in refused(text)[0]
    old = "heat_template_version: 2016-04-08\nresources: {a: {type: OS::Heat::Value, condition: true}}\n"
    assert "Invalid keyword(s)" in refused(old)[0]


def test_pseudo_parameters_of_cloudformation(translated: Translate, cloud: Any) -> None:
    text = "HeatTemplateFormatVersion: 2012-12-12\nOutputs: {o: {Value: [{Ref: AWS::StackId}, {Ref: AWS::Region}]}}\n"
    value = translated(text).outputs["o"].resolve(cloud())
    assert value == ["arn:openstack:heat::project:stacks/stack/0f0e", "ap-southeast-1"]
