from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from kiln.cli import main


class Folder:
    """A folder of files in which commands are run."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text).lstrip("\n"))

    def kiln(self, *argv: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        try:
            code = main(argv)
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Folder]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OS_CLOUD", raising=False)

    def make(files: Mapping[str, str] | None = None) -> Folder:
        made = Folder(tmp_path, capsys)
        made.write(files or {})
        return made

    return make
