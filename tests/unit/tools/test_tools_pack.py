from typing import Any

import pytest
import yaml

from kiln.tools import pack
from kiln.tools.command_line import Document, Inputs

TEMPLATE = """heat_template_version: 2018-08-31
# a comment  \nparameters:
  key: {type: string, default: n}
  password: {type: string, hidden: true, default: x}
resources:
  a: {type: lib/a.yaml, properties: {port: 22:22}}
"""


def packed(folder, *argv: str, code: int = 0, **files: str) -> list[dict[str, Any]]:
    made = folder(files)
    (made.path / "t.yaml").write_text(files.get("t.yaml", TEMPLATE))
    made.write({"lib/a.yaml": "heat_template_version: 2018-08-31\nparameters: {port: {type: number}}\n"})
    result, out, err = made.kiln("pack", "-t", "t.yaml", *argv, "web")
    assert result == code, err
    return list(yaml.safe_load_all(out))


def test_a_stack_holds_the_exact_text_of_everything(folder) -> None:
    (stack,) = packed(folder, "-e", "e.yaml", **{"e.yaml": "parameters: {key: y}  # no\n"})
    assert stack["apiVersion"] == "kiln.dev/v1alpha1"
    assert stack["kind"] == "Stack"
    assert stack["metadata"] == {"name": "web"}
    assert stack["spec"] == {
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "openstack"},
        "templateBody": TEMPLATE,
        "environments": [{"inline": "parameters: {key: y}  # no\n"}],
        "files": {"lib/a.yaml": "heat_template_version: 2018-08-31\nparameters: {port: {type: number}}\n"},
    }


def test_options_of_heats_command_line_have_their_fields(folder) -> None:
    argv = ["-n", "prod", "--secret", "s", "--cloud", "c", "--enable-rollback", "--timeout", "90"]
    (stack,) = packed(folder, *argv)
    assert stack["metadata"] == {"name": "web", "namespace": "prod"}
    assert stack["spec"]["cloudCredentialsRef"] == {"secretName": "s", "cloudName": "c"}
    assert stack["spec"]["onFailure"] == "Rollback"
    assert stack["spec"]["timeout"] == "90m"


def test_the_cloud_is_that_of_the_shell(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folder({"t.yaml": "heat_template_version: 2018-08-31\n"})
    monkeypatch.setenv("OS_CLOUD", "mine")
    _, out, _ = made.kiln("pack", "-t", "t.yaml", "web")
    assert yaml.safe_load(out)["spec"]["cloudCredentialsRef"]["cloudName"] == "mine"


def test_hidden_parameters_go_into_a_secret_and_nowhere_else(folder) -> None:
    secret, stack = packed(folder, "--parameter", "password=hunter22", "--parameter", "key=k", "-n", "prod")
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "web-parameters", "namespace": "prod"},
        "stringData": {"password": "hunter22"},
    }
    assert stack["spec"]["parameters"] == {"key": "k"}
    reference = {"name": "web-parameters", "key": "password"}
    assert stack["spec"]["parametersFrom"] == [{"name": "password", "secretKeyRef": reference}]
    assert "hunter22" not in str(stack)


def test_a_hidden_value_in_an_environment_is_warned_of(folder) -> None:
    made = folder({"t.yaml": TEMPLATE.replace("lib/a.yaml", "OS::Heat::None"), "e.yaml": "parameters: {password: p}\n"})
    code, _, err = made.kiln("pack", "-t", "t.yaml", "-e", "e.yaml", "web")
    assert (code, err) == (0, "e.yaml: the hidden parameter password has its value here, in clear\n")


def test_a_large_file_goes_into_a_config_map_under_its_own_name(folder) -> None:
    text = "line of some text\n" * 3000
    template = "heat_template_version: 2018-08-31\na: {get_file: big.sh}\nb: {get_file: lib/big.sh}\nc: {get_file: s}\n"
    made = folder({"t.yaml": template, "big.sh": text, "lib/big.sh": text, "s": "small\n"})
    made.write({"t.yaml": template})
    inputs = pack.given.collect(Document("t.yaml", template), [])
    box, stack = pack.pack(inputs, parsed(), pack.Target("web"))
    assert box["kind"] == "ConfigMap"
    assert box["metadata"] == {"name": "web-files"}
    assert box["data"] == {"big.sh": text, "file-2": text}
    items = [{"key": "big.sh", "path": "big.sh"}, {"key": "file-2", "path": "lib/big.sh"}]
    assert stack["spec"]["filesFrom"] == [{"configMapRef": {"name": "web-files", "items": items}}]
    assert stack["spec"]["files"] == {"s": "small\n"}


def parsed() -> Any:
    return pack.parse_template("heat_template_version: 2018-08-31\n")


def manifests_of(template: str = "t", environments: tuple[str, ...] = (), **files: str) -> list[dict[str, Any]]:
    documents = tuple(Document(f"e{number}", text) for number, text in enumerate(environments))
    inputs = Inputs(Document("t", template), documents, files, {name: name for name in files})
    return pack.pack(inputs, parsed(), pack.Target("web"))


def test_many_files_that_are_too_much_together_leave_the_stack_largest_first() -> None:
    files = {f"f{number}": "x" * (20_000 + number) for number in range(20)}
    *boxes, stack = manifests_of(**files)
    inline = stack["spec"]["files"]
    assert inline
    assert max(map(len, inline.values())) < min(len(text) for name, text in files.items() if name not in inline)
    stored = {}
    for source, box in zip(stack["spec"]["filesFrom"], boxes, strict=True):
        assert source["configMapRef"]["name"] == box["metadata"]["name"]
        stored |= {item["path"]: box["data"][item["key"]] for item in source["configMapRef"]["items"]}
    assert {**stored, **inline} == files


def test_no_manifest_is_larger_than_client_side_apply_can_take() -> None:
    files = {f"f{number}": "x\n" * 15_000 for number in range(60)}
    manifests = manifests_of("t" * 150_000, ("e" * 150_000, "f" * 10), **files)
    assert len({(it["kind"], it["metadata"]["name"]) for it in manifests}) == len(manifests)
    assert all(pack._size(manifest) < 250_000 for manifest in manifests)


def test_a_template_or_environment_that_is_too_large_is_referred_to() -> None:
    large = "x" * 230_000
    template, environment, stack = manifests_of(large, (large, "small"))
    assert "templateBody" not in stack["spec"]
    assert stack["spec"]["templateRef"] == {"configMapName": "web-template", "key": "template.yaml"}
    assert template["data"] == {"template.yaml": large}
    assert stack["spec"]["environments"] == [
        {"configMapKeyRef": {"name": "web-environments", "key": "0.yaml"}},
        {"inline": "small"},
    ]
    assert environment["data"] == {"0.yaml": large}


def test_a_text_that_no_config_map_can_hold_is_refused(folder) -> None:
    made = folder(
        {
            "t.yaml": "heat_template_version: 2018-08-31\noutputs: {o: {value: {get_file: big}}}\n",
            "big": "x" * (1 << 20) + "x",
        }
    )
    code, out, err = made.kiln("pack", "-t", "t.yaml", "web")
    assert (code, out) == (1, "")
    assert "big: larger than" in err


@pytest.mark.parametrize("broken", ["heat_template_version: 2018-08-31\na: {get_file: gone}\n", "resources: {}\n"])
def test_inputs_with_problems_give_no_manifest(folder, broken: str) -> None:
    code, out, err = folder({"t.yaml": broken}).kiln("pack", "-t", "t.yaml", "web")
    assert (code, out) == (1, "")
    assert err.startswith("t.yaml:")


TEXTS = [
    "a\n b \n\tc\n",
    "a\n\n \n b",
    "x\n  \ny\n  ",
    "\ta\nb",
    " a\nb",
    "a\r\nb\n",
    "é\nü\n",
    "a\u2028b\n",
    "a\x85b\nc",
    "\ufeffa\nb",
    "yes",
    "n",
    "1_000",
    "0o17",
    "22:22",
    "2021-04-16",
    "#a",
    "a: b",
    "- a\n",
    "",
    "\n",
    "a\n\n\n",
    "|\nx",
    "'q'",
    '"',
    "~",
    "😀\nx\n",
    "a\\n\nb",
    "---\na: b\n...\n",
    "null",
    "No",
    "=",
    "<<",
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_survives_yaml(text: str) -> None:
    data = {"kind": "ConfigMap", "data": {"text": text, text or "empty": "value"}}
    assert list(yaml.safe_load_all(pack.to_yaml([data, data]))) == [data, data]


def test_words_that_some_reader_takes_for_something_else_are_quoted() -> None:
    assert pack.to_yaml([{"y": "n", "on": "off", "plain": "word", "a": "1e3"}]) == (
        '"y": "n"\n"on": "off"\nplain: word\n"a": "1e3"\n'
    )
