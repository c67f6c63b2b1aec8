"""`make audit` tells apart: nothing known, something known, and a database that cannot be had."""

import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).resolve().parents[2] / "packaging/audit"
FOUND = "Name  Version ID      Fix Versions\n----- ------- ------- ------------\nflask 0.5     PYSEC-1 1.0\n"


@pytest.mark.parametrize(
    ("status", "said", "expected", "words"),
    [
        (0, "No known vulnerabilities found", 0, "No known vulnerabilities found"),
        (1, FOUND, 1, "PYSEC-1"),
        (1, "ERROR: flask: Dependency not found on PyPI and could not be audited", 2, "cannot be had from here"),
        (1, "requests.exceptions.ConnectionError: pypi.org", 2, "nothing is known about locked.txt"),
    ],
)
def test_the_exit_status_says_what_is_known(tmp_path: Path, status: int, said: str, expected: int, words: str) -> None:
    (tmp_path / "said").write_text(said)
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\ncat {tmp_path}/said\nexit {status}\n")
    tool.chmod(0o755)
    done = subprocess.run([AUDIT, tool, "locked.txt"], capture_output=True, text=True, check=False)
    assert done.returncode == expected
    assert words in done.stdout + done.stderr
