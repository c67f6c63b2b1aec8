"""Heat's own results, one test a file: the runner prints what differs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
FILES = sorted((HERE / "vectors").glob("*.json"))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_run", HERE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_vector_agrees(runner: ModuleType, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = runner.main([str(path)])
    assert code == 0, capsys.readouterr().out


def test_a_vector_that_differs_is_printed_and_fails_the_run(
    runner: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        {"schema": {"type": "string"}, "value": "a", "version": "2018-08-31", "result": {"value": "b", "str": "b"}}
    ]
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(wrong))
    assert runner.main([str(file)]) == 1
    printed = capsys.readouterr().out
    assert "wrong[0]" in printed
    assert printed.splitlines()[-1] == "0 passed, 1 failed"


def test_each_deviation_says_why() -> None:
    deviations = json.loads((HERE / "deviations.json").read_text())
    assert len(deviations) <= 5
    assert all(deviation["reason"] for deviation in deviations)
