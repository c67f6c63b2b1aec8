"""Argo CD's health scripts, with the tests that stand beside them in the form of Argo CD's own repository.

Argo CD runs them in a Lua 5.1 whose global `obj` is the object.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from kiln.api.v1alpha1 import Condition

FOLDER = Path(__file__).resolve().parents[3] / "charts/kiln/argocd"
STATUSES = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}


def health(script: Path, obj: Any) -> dict[str, str]:
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(script.read_text()))


def cases() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*/*/health_test.yaml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            name = f"{path.parent.name}/{Path(test['inputPath']).stem}"
            yield pytest.param(path.parent, test, id=name)


@pytest.mark.parametrize(("folder", "test"), list(cases()))
def test_health_is_as_the_table_says(folder: Path, test: dict[str, Any]) -> None:
    obj = yaml.safe_load((folder / test["inputPath"]).read_text())
    found = health(folder / "health.lua", obj)
    assert found == test["healthStatus"]
    assert found["status"] in STATUSES


def test_every_input_is_in_a_table() -> None:
    for path in FOLDER.glob("*/*/health_test.yaml"):
        named = {test["inputPath"] for test in yaml.safe_load(path.read_text())["tests"]}
        assert named == {f"testdata/{one.name}" for one in (path.parent / "testdata").iterdir()}


def test_the_scripts_use_conditions_that_a_stack_has() -> None:
    script = (FOLDER / "kiln.dev/Stack/health.lua").read_text()
    for name in ("Stalled", "Reconciling", "Ready"):
        assert f'"{name}"' in script
        assert name in list(Condition)
