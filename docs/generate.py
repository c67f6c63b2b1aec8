"""Writes api.md, options.md and resource-types.md out of the CRDs, the command line, the catalogue and the registry.

.venv/bin/python docs/generate.py
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hot_translator import catalogue
from hot_translator.groups import GROUPS
from kiln import settings
from kiln.api.kinds import OWN_KINDS
from reconcilers import registry

FOLDER = Path(__file__).resolve().parent

API = """# API reference: kiln.dev/v1alpha1

Made from [crds/](../crds) by `docs/generate.py`. `kubectl explain stack.spec` says the same. Reasons of conditions and
what to do about them are in [operations.md](operations.md#conditions-and-their-reasons).
"""
OPTIONS = """# Options of `kiln run`

Made from the operator's settings by `docs/generate.py`. The chart sets some of them from its values; `extraArgs` takes
the others. [operations.md](operations.md) says when to change them.

"""
TYPES = """# Resource types

Made from the catalogue and the registry by `docs/generate.py`. Every type that Heat knows can be validated, rendered
and packed; those that are *built* can be converged. A Stack with one of the others ends in the reason InvalidProperty,
with the message "Kiln cannot converge TYPE yet"; its other resources are still brought to what they should be. Of
OS::Heat::AutoScalingGroup the members are built, at the size that the template asks for; scaling by signals is not.

"""


def api() -> str:
    """The text of api.md."""
    parts = [API]
    for kind in OWN_KINDS:
        crd = yaml.safe_load((FOLDER.parent / f"crds/{kind.plural}.yaml").read_text())
        parts.append(_kind(crd))
    return "\n".join(parts)


def _kind(crd: Mapping[str, Any]) -> str:
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    lines = [f"## {names['kind']}", ""]
    lines += [
        f"`{names['plural']}.{crd['spec']['group']}`, short {', '.join(f'`{s}`' for s in names['shortNames'])}.",
        "",
    ]
    lines += [schema["description"].rstrip(), ""]
    columns = [column["name"].upper() for column in version["additionalPrinterColumns"] if not column.get("priority")]
    lines += [f"Columns: {', '.join(columns)}."]
    lines += [
        f"Field selectors: {', '.join('`' + one['jsonPath'][1:] + '`' for one in version['selectableFields'])}.",
        "",
    ]
    lines += ["| field | type | |", "|---|---|---|"]
    for top in ("spec", "status"):
        for path, one, required in _fields(schema["properties"].get(top, {}), top):
            lines.append(f"| `{path}` | {_type(one)} | {_words(one, required=required)} |")
    return "\n".join(lines) + "\n"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, child, name in schema.get("required", ())
        yield from _fields(child, here)
        if child.get("type") == "array":
            yield from _fields(child["items"], f"{here}[]")


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    kind: str = schema.get("type", "any")
    if kind == "array":
        return f"list of {schema['items'].get('type', 'any')}"
    if "additionalProperties" in schema:
        return f"map of {schema['additionalProperties'].get('type', 'any')}"
    return {"object": "map"}.get(kind, kind)


def _words(schema: Mapping[str, Any], *, required: bool) -> str:
    text = " ".join(schema.get("description", "").split()).replace("|", "\\|")
    marks = ["Required."] if required else []
    marks += [f"Default: `{schema['default']}`."] if "default" in schema else []
    marks += [f"At most {schema['maxItems']} items."] if "maxItems" in schema else []
    if "minimum" in schema and "maximum" in schema:
        marks.append(f"{schema['minimum']} to {schema['maximum']}.")
    return " ".join([text, *marks]).strip()


def types() -> str:
    """The text of resource-types.md."""
    built = registry.load().keys() | GROUPS.keys()
    by_family: dict[str, list[str]] = {}
    every = {name: catalogue.lookup(name) for name in catalogue.names() if catalogue.canonical(name) == name}
    gone = sorted(name for name, schema in every.items() if schema and schema.placeholder and name not in built)
    names = every.keys() - set(gone)
    for name in sorted(names):
        by_family.setdefault(name.rpartition("::")[0], []).append(name)
    count = sum(name in built for name in names)
    rows = [f"{len(names)} types, {count} of them built.", "", "| | built | validated only |", "|---|---|---|"]
    for family, members in sorted(by_family.items()):
        cells = [
            ", ".join(one.rpartition("::")[2] for one in members if (one in built) is state) for state in (True, False)
        ]
        rows.append(f"| {family}:: | {cells[0]} | {cells[1]} |")
    rows += ["", "Types that Heat itself keeps in name only do nothing here, as there: " + ", ".join(gone) + "."]
    return TYPES + "\n".join(rows) + "\n"


def options() -> str:
    """The text of options.md."""
    rows = ["| option | default | |", "|---|---|---|"]
    for action in settings.add_options(argparse.ArgumentParser()):
        names = ", ".join(f"`{name}`" for name in action.option_strings)
        choices = f" ({', '.join(action.choices)})" if action.choices else ""
        text, _, default = (action.help or "").partition(" (default: ")
        rows.append(f"| {names}{choices} | {default.removesuffix(')')} | {text} |")
    return OPTIONS + "\n".join(rows) + "\n"


PAGES = {"api.md": api, "options.md": options, "resource-types.md": types}


def main() -> int:
    """Write the pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
        sys.stdout.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
