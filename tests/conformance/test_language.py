"""Templates of the field, and what becomes of them: the verdict of each with its place and its words.

``language/outcomes.yaml`` has one entry a template: ``environment`` and ``parameters`` that it is tried with, and its
``problems`` and ``warnings``, each a path with words of the reason. One without problems is valid.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kiln.cli import main

HERE = Path(__file__).parent / "language"
OUTCOMES: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "outcomes.yaml").read_text())


def arguments(name: str) -> list[str]:
    outcome = OUTCOMES[name]
    environment = ["-e", str(HERE / Path(name).parent / outcome["environment"])] if "environment" in outcome else []
    given = [part for key, value in outcome.get("parameters", {}).items() for part in ("--parameter", f"{key}={value}")]
    return ["-t", str(HERE / name), *environment, *given]


def lines(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['path']}: {one['reason']}" for one in found]


def unlike(expected: dict[str, str], found: list[str]) -> list[str]:
    """What is missing of the expected, and what was found beside it."""
    missing = [f"{at}: {why}" for at, why in expected.items() if not any(at in one and why in one for one in found)]
    others = [one for one in found if not any(at in one and why in one for at, why in expected.items())]
    return [*(f"missing: {one}" for one in missing), *(f"not expected: {one}" for one in others)]


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_verdict_is_the_one_of_the_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = OUTCOMES[name]
    code = main(["validate", *arguments(name), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert unlike(outcome.get("problems", {}), lines(told.get("problems", []))) == []
    assert unlike(outcome.get("warnings", {}), lines(told.get("warnings", []))) == []
    assert code == (1 if outcome.get("problems") else 0)


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("command", ["graph", "render"])
def test_graph_and_render_agree_with_the_verdict(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, *arguments(name)]) == (1 if OUTCOMES[name].get("problems") else 0)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_every_template_of_the_folder_is_in_the_table_or_nested_in_one_that_is() -> None:
    nested = {*(f"{name}.yaml" for name in ("inner", "inner-string", "types-inner", "env", "app", "l2", "l3", "l4"))}
    found = {str(path.relative_to(HERE)) for path in HERE.glob("*/*.yaml") if path.name not in nested}
    assert found == set(OUTCOMES)


def test_a_null_for_a_nested_parameter_is_what_its_type_has_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-t", str(HERE / "null-nested/types.yaml")]) == 0
    resources = yaml.safe_load(capsys.readouterr().out)["resources"]
    values = {name: one["properties"]["value"] for name, one in resources.items() if name.startswith("inner/")}
    assert values == {"inner/rs": "", "inner/rn": 0, "inner/rb": False, "inner/rl": [], "inner/rj": {}}


def test_a_map_for_a_string_parameter_of_a_nested_template_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(HERE / "cfn-nested-json", tmp_path, dirs_exist_ok=True)
    (tmp_path / "inner-string.yaml").replace(tmp_path / "inner.yaml")
    assert main(["validate", "-t", str(tmp_path / "main.yaml")]) == 0


def test_implicit_dependencies_stay_within_a_nested_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-t", str(HERE / "cross-nested-edge/main.yaml")]) == 0
    resources = yaml.safe_load(capsys.readouterr().out)["resources"]
    assert resources["one/address"]["requires"] == ["one/router"]
    assert resources["two/address"]["requires"] == ["two/router"]
