"""Kinds: the chart gives the operator the rights that it needs, and no others."""

import re
from collections import defaultdict
from pathlib import Path

import yaml

from kiln.api.kinds import KINDS, STACKS, Resource, Scope

TEMPLATES = Path(__file__).parents[3] / "charts/kiln/templates"


def verbs_of(rules) -> dict[tuple[str, str], set[str]]:
    """The verbs of RBAC rules, by API group and resource."""
    found = defaultdict(set)
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found[group, resource] |= set(rule["verbs"])
    return dict(found)


def needed(scope: Scope) -> dict[tuple[str, str], set[str]]:
    kinds = [kind for kind in KINDS if kind.scope is scope]
    wanted = {(kind.group, kind.plural): set(kind.verbs) for kind in kinds}
    return wanted | {
        (kind.group, f"{kind.plural}/status"): set(kind.status_verbs) for kind in kinds if kind.status_verbs
    }


def test_the_chart_gives_exactly_the_rights_on_each_kind_of_a_stack_that_its_row_asks_for():
    block = re.search(r'define "kiln.rules" -}}\n(.*?)\{\{- end }}', (TEMPLATES / "_helpers.tpl").read_text(), re.S)
    assert block is not None
    assert verbs_of(yaml.safe_load(block[1])) == needed(Scope.STACKS)


def test_the_chart_gives_exactly_the_rights_on_the_cluster_s_networks_that_their_rows_ask_for():
    text = (TEMPLATES / "rbac.yaml").read_text().split(".Values.rbac.clusterNetworks }}")[1].split("{{- end }}")[0]
    rules = re.findall(r"rules:\n((?:  .*\n)+)", text)
    assert verbs_of([rule for block in rules for rule in yaml.safe_load(block)]) == needed(Scope.CLUSTER)


def test_the_chart_gives_exactly_the_rights_on_the_lease_that_its_row_asks_for():
    text = re.sub(r"\{\{-? .*?}}", "x", (TEMPLATES / "rbac.yaml").read_text().split("# The Lease")[1])
    documents = [one for one in yaml.safe_load_all("#" + text.replace("\nx\n", "\n")) if one]
    (role,) = [one for one in documents if one["kind"] == "Role"]
    assert verbs_of(role["rules"]) == needed(Scope.OPERATOR)


def test_a_watched_kind_can_be_listed_and_watched():
    for kind in KINDS:
        assert kind.watch is None or kind.verbs >= {"list", "watch"}, kind


def test_paths_and_api_versions_are_those_of_kubernetes():
    pods = Resource("", "v1", "pods", "Pod")
    assert (pods.api_version, STACKS.api_version) == ("v1", "kiln.dev/v1alpha1")
    assert pods.path("shop", "a/b") == "/api/v1/namespaces/shop/pods/a%2Fb"
    assert STACKS.path("shop", "web", "status") == "/apis/kiln.dev/v1alpha1/namespaces/shop/stacks/web/status"
    assert STACKS.path("") == "/apis/kiln.dev/v1alpha1/stacks"
