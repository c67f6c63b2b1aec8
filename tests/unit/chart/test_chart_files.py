"""The chart's files, as far as they can be checked without Helm: what is generated is current, what is named exists."""

import json
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kiln import metrics

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/kiln"
GENERATE = runpy.run_path(str(ROOT / "charts/generate.py"), run_name="generate")
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "\n".join(path.read_text() for path in sorted((CHART / "templates").rglob("*")) if path.is_file())


def paths(tree: Mapping[str, Any], documented: set[str], prefix: str = "") -> Iterator[str]:
    """The paths of values; a documented mapping counts as one."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in documented:
            yield from paths(value, documented, f"{path}.")
        else:
            yield path


def test_generated_files_are_current() -> None:
    for path, text in GENERATE["files"]().items():
        assert path.read_text() == text, f"run charts/generate.py: {path.relative_to(ROOT)} is old"


def test_the_chart_has_no_copy_of_a_crd_that_is_gone() -> None:
    assert {path.name for path in (CHART / "crd-files").iterdir()} == {path.name for path in (ROOT / "crds").iterdir()}


def test_every_value_is_documented_once() -> None:
    found = [".".join(value.path) for value in GENERATE["values"]((CHART / "values.yaml").read_text())]
    assert len(found) == len(set(found))
    assert set(found) == set(paths(VALUES, set(found)))


def test_a_value_without_a_comment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing documents a\.b"):
        list(GENERATE["values"]("a:\n  b: 1\n"))


def test_every_value_is_used_by_a_template() -> None:
    for value in GENERATE["values"]((CHART / "values.yaml").read_text()):
        # `.Values.proxy.http`, or `.http` within `with .Values.proxy`.
        whole = ".Values." + ".".join(value.path)
        inner = (
            len(value.path) > 1 and f"with .Values.{value.path[0]} " in TEMPLATES and f".{value.path[-1]}" in TEMPLATES
        )
        assert re.search(re.escape(whole) + r"\b", TEMPLATES) or inner, f"no template uses {whole}"


def test_the_defaults_fit_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "2"}, "replicas"),
        ({"image": {"digest": "sha256:12"}}, "digest"),
        ({"logLevel": "verbose"}, "verbose"),
        ({"crds": {"enable": True}}, "enable"),
        ({"ports": {"metrics": 70000}}, "70000"),
        ({"watchNamespaces": "shop"}, "shop"),
        ({"proxy": {"https": "proxy:3128"}}, "proxy:3128"),
        ({"podLabels": {"a": 1}}, "1"),
    ],
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=re.escape(where)):
        jsonschema.validate(wrong, SCHEMA)


def test_versions_agree() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project
    assert f"ARG VERSION={project}\n" in (ROOT / "Dockerfile").read_text()


def test_the_chart_names_every_crd() -> None:
    listed = yaml.safe_load(yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]["artifacthub.io/crds"])
    crds = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    wanted = {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["name"]) for crd in crds
    }
    assert {(one["name"], one["kind"], one["version"]) for one in listed} == wanted


# ---- metrics -----------------------------------------------------------------------------------------------------

NAME = re.compile(r"\b(?:kiln|process)_\w+")


def exposed() -> dict[str, set[str]]:
    """Every series that the operator exposes, with its labels."""
    found = {"kiln_stacks": {"condition", "status"}}
    for family in metrics.REGISTRY.collect():
        # An empty family with labels has no samples yet: its names follow from its type.
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        collector = metrics.REGISTRY._names_to_collectors.get(family.name + ends[0])
        labels = set(getattr(collector, "_labelnames", ()))
        for end in ends:
            found[family.name + end] = labels | ({"le"} if end == "_bucket" else set())
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for path in sorted((CHART / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_alerts_and_panels_ask_for_series_and_labels_that_exist(where: str, expression: str) -> None:
    known = exposed()
    names = set(NAME.findall(expression))
    assert names, where
    assert names <= known.keys(), f"{where}: {names - known.keys()}"
    labels = set().union(*(known[name] for name in names)) | {"job"}
    used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", expression))
    used |= {label for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(", ")}
    assert used <= labels, f"{where}: {used - labels}"


def test_dashboards_ask_one_data_source_and_have_no_two_panels_of_one_id() -> None:
    for path in sorted((CHART / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
        assert board["uid"] == path.stem


def test_every_alert_is_made_to_fire_by_a_test() -> None:
    """promtool runs them (`make lint`)."""
    rules = yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((CHART / "alerts_test.yaml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules}


def test_operations_md_has_every_alert() -> None:
    rules = yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"][0]["rules"]
    text = (ROOT / "docs/operations.md").read_text()
    assert [rule["alert"] for rule in rules if f"`{rule['alert']}`" not in text] == []
