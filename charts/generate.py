"""Writes what of the chart is made of other files: README.md, values.schema.json and the copies of the CRDs.

.venv/bin/python charts/generate.py

values.yaml is the source of the first two. A comment `# --` above a key documents its value, which may be a mapping as
a whole; `# @schema {...}` adds to the JSON schema that follows from its default.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts/kiln"
_KEY = re.compile(r"^(?P<indent> *)(?P<name>[\w-]+):")

README = """# Kiln's chart

Installs the operator, its CRDs and its rights. Kubernetes 1.32 or newer.

```sh
helm install kiln charts/kiln --namespace kiln-system --create-namespace --set image.repository=registry.example/kiln
helm -n kiln-system test kiln
```

* CRDs are installed and upgraded with the chart, and stay when it is uninstalled.
* Two replicas agree by a Lease on which one works.
* The rights are those of [docs/operations.md](../../docs/operations.md#rights), in all namespaces or in those of
  `watchNamespaces`.
* The pods fit restricted pod security.

More: [install, upgrade, uninstall](../../docs/installing.md), [Argo CD and Flux](../../docs/gitops.md).

## Values

`charts/generate.py` made this table of [values.yaml](values.yaml).

| value | default | |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One documented value. ``path`` is its keys, ``schema`` what its default does not say."""

    path: tuple[str, ...]
    text: str
    default: Any
    schema: Mapping[str, Any] = field(default_factory=dict)


def values(text: str) -> Iterator[Value]:
    """The documented values in their order. Raises ``ValueError`` for a value that no comment documents."""
    defaults = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    schema: dict[str, Any] = {}
    whole: int | None = None  # the indentation of a documented mapping: what is deeper belongs to it
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# @schema "):
            schema = json.loads(stripped.removeprefix("# @schema "))
        elif stripped.startswith("# -- "):
            comment = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("# ") and comment:
            comment.append(stripped.removeprefix("# "))
        elif found := _KEY.match(line):
            indent = len(found["indent"])
            if whole is not None and indent > whole:
                continue
            whole = None
            path[indent // 2 :] = [found["name"]]
            default = _lookup(defaults, path)
            if comment:
                yield Value(tuple(path), " ".join(comment), default, schema)
                whole = indent
            elif not isinstance(default, dict):
                raise ValueError(f"values.yaml: nothing documents {'.'.join(path)}")
            comment, schema = [], {}


def _lookup(tree: Any, path: list[str]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def readme(found: list[Value]) -> str:
    """The text of README.md."""
    rows = [
        f"| `{'.'.join(value.path)}` | `{json.dumps(value.default)}` | {value.text.replace('|', chr(92) + '|')} |"
        for value in found
    ]
    return README + "\n".join(rows) + "\n"


def schema(found: list[Value]) -> str:
    """The text of values.schema.json: unknown values are refused, so that a misspelt one does not go unnoticed."""
    root: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": False,
        "properties": {"global": {"type": "object"}},
    }
    for value in found:
        here = root
        for name in value.path[:-1]:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            here = here["properties"].setdefault(name, empty)
        here["properties"][value.path[-1]] = {"description": value.text, **_type(value.default), **value.schema}
    return json.dumps(root, indent=2) + "\n"


def _type(default: Any) -> dict[str, str]:
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return {"type": names[type(default)]}


def files() -> dict[Path, str]:
    """What is generated, with its text."""
    found = list(values((CHART / "values.yaml").read_text()))
    made = {CHART / "README.md": readme(found), CHART / "values.schema.json": schema(found)}
    copies = {CHART / "crd-files" / path.name: path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))}
    return made | copies


def main() -> int:
    """Write the files, and remove copies of CRDs that are no more."""
    made = files()
    for path, text in made.items():
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    for path in (CHART / "crd-files").glob("*.yaml"):
        if path not in made:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
