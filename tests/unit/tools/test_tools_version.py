import re
from collections.abc import Callable
from typing import Any


def test_version_names_kiln_and_python(folder: Callable[..., Any]) -> None:
    code, said, _ = folder().kiln("version")
    assert code == 0
    assert re.fullmatch(r"kiln \d+\.\d+\.\d+\S* \(Python 3\.\d+\.\d+\S*\)\n", said)
