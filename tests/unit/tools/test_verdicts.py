"""The commands of the tools agree about templates, those of this repository here."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def verdicts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verdicts", ROOT / "tests/templates/verdicts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_agree_about_every_template_here(verdicts: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = verdicts.main([str(ROOT / "examples"), str(ROOT / "tests/demo"), str(ROOT / "tests/benchmarks")])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert not printed.startswith("0 valid")


def test_a_difference_and_a_crash_are_printed(
    verdicts: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.yaml").write_text("heat_template_version: 2018-08-31\n")
    (tmp_path / "other.yaml").write_text("a: [\n")

    def kiln(argv: list[str]) -> int:
        if argv[0] == "render":
            raise ValueError("boom")
        return 0

    monkeypatch.setattr(verdicts, "kiln", kiln)
    assert verdicts.main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "ValueError: boom" in printed
    assert printed.endswith("1 valid, 0 refused, 1 with different verdicts\n")
