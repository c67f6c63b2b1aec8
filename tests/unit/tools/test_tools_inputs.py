from pathlib import Path

import pytest

from kiln.tools.command_line import Document, Inputs, UsageError, collect, local_path


def collected(folder, template: str = "t.yaml", *environments: str, **given: Path) -> Inputs:
    documents = [Document(name, Path(name).read_text()) for name in (template, *environments)]
    return collect(documents[0], documents[1:], given)


def test_files_keep_the_names_that_the_template_writes(folder) -> None:
    folder(
        {
            "t.yaml": """
                heat_template_version: 2018-08-31
                resources:
                  a: {type: ./lib/a.yaml, properties: {x: {get_file: ../outside.sh}}}
                  b: {type: OS::Heat::Value, properties: {value: {get_file: lib/data.txt}}}
                """,
            "lib/a.yaml": "heat_template_version: 2018-08-31\nparameters: {x: {type: string}}\n",
            "lib/data.txt": "data",
            "../outside.sh": "echo",
        }
    )
    inputs = collected(folder)
    assert inputs.files.keys() == {"./lib/a.yaml", "lib/data.txt", "../outside.sh"}
    assert inputs.files["lib/data.txt"] == "data"
    assert inputs.template.text == Path("t.yaml").read_text()
    assert not inputs.problems


def test_a_nested_templates_files_lie_beside_it_and_are_known_by_its_folder(folder) -> None:
    nested = "heat_template_version: 2018-08-31\noutputs: {o: {value: {get_file: script.sh}}}\n"
    folder(
        {
            "t.yaml": "heat_template_version: 2018-08-31\nresources: {a: {type: lib/a.yaml}}\n",
            "lib/a.yaml": nested,
            "lib/script.sh": "inner",
        }
    )
    assert collected(folder).files == {"lib/a.yaml": nested, "lib/script.sh": "inner"}


def test_where_two_files_have_one_name_the_nested_template_is_changed_and_nothing_else_in_it(folder) -> None:
    nested = "heat_template_version: 2018-08-31\noutputs:\n  o: {value: {get_file: script.sh}}  # a comment\n"
    folder(
        {
            "t.yaml": """
                heat_template_version: 2018-08-31
                resources:
                  a: {type: lib/a.yaml}
                  b: {type: OS::Heat::Value, properties: {value: {get_file: script.sh}}}
                """,
            "lib/a.yaml": nested,
            "lib/script.sh": "inner",
            "script.sh": "outer",
        }
    )
    inputs = collected(folder)
    assert inputs.files == {
        "lib/a.yaml": nested.replace("script.sh", '"lib/script.sh"'),
        "lib/script.sh": "inner",
        "script.sh": "outer",
    }


def test_an_environments_files_lie_beside_it_or_under_its_base_url(folder) -> None:
    other = "heat_template_version: 2018-08-31\n"
    folder(
        {
            "t.yaml": other,
            "envs/e.yaml": """
                resource_registry:
                  My::A: a.yaml
                  My::B: OS::Heat::None
                  My::C: null
                  resources:
                    one: {My::A: one.yaml, hooks: pre-create, base_url: deep}
                """,
            "envs/f.yaml": "resource_registry: {base_url: ../lib/, My::D: d.yaml}\n",
            "envs/a.yaml": other,
            "envs/deep/one.yaml": other,
            "lib/d.yaml": other,
        }
    )
    inputs = collected(folder, "t.yaml", "envs/e.yaml", "envs/f.yaml")
    assert not inputs.problems
    assert {key: Path(path).resolve() for key, path in inputs.origins.items()} == {
        "a.yaml": Path("envs/a.yaml").resolve(),
        "one.yaml": Path("envs/deep/one.yaml").resolve(),
        "d.yaml": Path("lib/d.yaml").resolve(),
    }


def test_an_environments_name_for_another_file_is_changed_in_the_environment(folder) -> None:
    other = "heat_template_version: 2018-08-31\n"
    folder(
        {
            "t.yaml": "heat_template_version: 2018-08-31\nresources: {a: {type: a.yaml}}\n",
            "a.yaml": other,
            "envs/e.yaml": "resource_registry: {My::A: a.yaml}\n",
            "envs/a.yaml": f"{other}description: the other\n",
        }
    )
    inputs = collected(folder, "t.yaml", "envs/e.yaml")
    assert inputs.environments[0].text == 'resource_registry: {My::A: "2/a.yaml"}\n'
    assert inputs.files["2/a.yaml"] == f"{other}description: the other\n"


def test_templates_are_found_through_files_of_files_once_each(folder) -> None:
    version = "heat_template_version: 2018-08-31\n"
    folder(
        {
            "t.yaml": f"{version}resources: {{a: {{type: a.yaml}}}}\n",
            "a.yaml": f"{version}resources: {{b: {{type: b.yaml}}}}\n",
            "b.yaml": f"{version}resources: {{a: {{type: a.yaml}}, c: {{type: t.yaml}}}}\n",
        }
    )
    assert collected(folder).files.keys() == {"a.yaml", "b.yaml", "t.yaml"}


def test_a_template_that_is_read_as_a_file_has_its_files_too(folder) -> None:
    version = "heat_template_version: 2018-08-31\n"
    folder(
        {
            "t.yaml": f"{version}outputs: {{o: {{value: {{get_file: remote.yaml}}}}}}\n",
            "remote.yaml": f"{version}outputs: {{o: {{value: {{get_file: x}}}}}}\n",
            "x": "x",
        }
    )
    assert collected(folder).files.keys() == {"remote.yaml", "x"}


def test_json_that_is_indented_with_tabs_names_files_too(folder) -> None:
    folder({"t.json": '{\n\t"heat_template_version": "2018-08-31",\n\t"a": {"get_file": "x"}\n}', "x": "x"})
    assert collected(folder, "t.json").files == {"x": "x"}


def test_a_file_that_is_not_text_arrives_in_base64(folder) -> None:
    folder({"t.yaml": "heat_template_version: 2018-08-31\na: {get_file: blob}\n"})
    Path("blob").write_bytes(b"\xff\xfe")
    assert collected(folder).files == {"blob": "//4=\n"}


def test_a_missing_file_is_a_problem_with_its_place(folder) -> None:
    folder({"t.yaml": "heat_template_version: 2018-08-31\noutputs:\n  o: {value: {get_file: gone.sh}}\n"})
    (problem,) = collected(folder).problems
    assert str(problem) == "outputs.o.value.get_file: gone.sh: No such file or directory"
    assert (problem.source, problem.line, problem.column) == ("t.yaml", 3, 25)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("http://example.org/x.sh", "is not fetched"),
        ("https://example.org/x.sh", "is not fetched"),
        ("ftp://example.org/x.sh", "is not fetched"),
        ("file://elsewhere/x.sh", "is on another machine"),
    ],
)
def test_nothing_is_fetched(folder, name: str, reason: str) -> None:
    folder({"t.yaml": f"heat_template_version: 2018-08-31\na: {{get_file: '{name}'}}\n"})
    (problem,) = collected(folder).problems
    assert name in problem.reason
    assert reason in problem.reason


def test_a_file_url_is_a_local_file(folder, tmp_path: Path) -> None:
    folder({"x y": "x"})
    assert local_path(f"file://{tmp_path}/x%20y", Path("elsewhere")) == tmp_path / "x y"


def test_a_file_can_be_given_for_any_name(folder) -> None:
    folder({"t.yaml": "heat_template_version: 2018-08-31\na: {get_file: 'https://example.org/x'}\n", "local": "x"})
    document = Document("t.yaml", Path("t.yaml").read_text())
    inputs = collect(document, [], {"https://example.org/x": Path("local")})
    assert inputs.files == {"https://example.org/x": "x"}
    assert not inputs.problems
    with pytest.raises(UsageError, match="gone: No such file"):
        collect(document, [], {"x": Path("gone")})


def test_a_text_that_cannot_be_read_names_no_files(folder) -> None:
    folder({"t.yaml": "heat_template_version: [\n"})
    assert collected(folder).files == {}
