"""Runs `kiln validate`, `graph` and `render` over real templates: they must agree, and none may end with a traceback.

    make verdicts TEMPLATES=folder        # every template below the folder; none has to be valid
    tests/templates/verdicts.py folder    # the same

Neither a cloud nor a cluster is needed. Parameters get no values. Exit code 1: the commands differ, or one crashed.
"""

import contextlib
import io
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

from hot_translator.errors import TranslationError  # noqa: E402
from hot_translator.loader import load  # noqa: E402
from kiln.cli import main as kiln  # noqa: E402
from kiln.tools.references import is_template  # noqa: E402

COMMANDS = ("validate", "graph", "render")
ENDINGS = (".yaml", ".yml", ".template", ".json")


def templates(folder: Path) -> Iterator[Path]:
    """The files below the folder that are templates."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in ENDINGS and path.is_file():
            try:
                if is_template(load(path.read_text(errors="replace"))):
                    yield path
            except TranslationError:
                continue


def verdict(command: str, path: Path) -> str:
    """The exit code of a command, or the traceback that it ended with."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return str(kiln([command, "-t", str(path)]))
        except SystemExit as error:
            return str(error.code)
        except Exception:  # noqa: BLE001 - what is looked for
            return traceback.format_exc()


def main(folders: list[str]) -> int:
    """Print what differs, and how many templates are valid."""
    found: Counter[str] = Counter()
    differing = 0
    for folder in folders:
        for path in templates(Path(folder)):
            verdicts = {command: verdict(command, path) for command in COMMANDS}
            found["valid" if verdicts["validate"] == "0" else "refused"] += 1
            if len(set(verdicts.values())) > 1 or not set(verdicts.values()) <= {"0", "1"}:
                differing += 1
                print(f"{path}:")
                for command, text in verdicts.items():
                    print(f"  {command}: {text}")
    print(f"{found['valid']} valid, {found['refused']} refused, {differing} with different verdicts")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
