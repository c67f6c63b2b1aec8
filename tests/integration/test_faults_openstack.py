"""Between Kiln and OpenStack things go wrong: everything converges all the same, nothing is doubled or left over.

Each fault has a namespace, a project and a proxy of its own. They live through it side by side under one operator,
since most of their time is waiting.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from harness.cloud import Inventory, difference, inventory
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.proxy import EXPIRED, MIXED, STALE, FaultProxy
from harness.relay import HANG, LOST, RESET, SLOW, Call, Rule
from harness.samples import MACHINE, counts, machine, site, site_counts
from harness.stacks import Namespace

LONG = 300.0
"""Seconds for one step: a creation whose outcome nobody knows is looked for until it cannot appear any more."""


@dataclass
class Tenant:
    """Where one fault happens."""

    space: Namespace
    project: Project
    proxy: FaultProxy
    cloud: Any
    before: Inventory

    @classmethod
    def new(cls, seed: int) -> "Tenant":
        space, project = Namespace(), Project()
        space.every = 2.0
        proxy = FaultProxy(project.clouds_yaml, CLOUD, seed).__enter__()
        space.credentials(proxy.clouds_yaml)
        cloud = project.connection()
        return cls(space, project, proxy, cloud, inventory(cloud))

    def close(self) -> None:
        self.proxy.rules = []
        self.space.close()
        self.proxy.__exit__()
        self.project.close()

    def apply(self, template: Mapping[str, Any]) -> None:
        self.space.stack("web", template, cloud=CLOUD)

    def ready(self, **expected: int) -> None:
        """The Stack becomes Ready, and the project holds what is expected: no more, and no less."""
        self.space.ready("web", LONG)
        # What was made twice since a list did not show it is looked for, and removed, a little later.
        eventually(lambda: self.made() == expected, 120, 4)

    def made(self) -> dict[str, int]:
        return counts(self.before, inventory(self.cloud))

    def gone(self) -> None:
        """The Stack is deleted, and nothing is left over."""
        self.space.delete("web", LONG)
        assert difference(self.before, inventory(self.cloud)) == {}
        eventually(lambda: not self.space.get("stackresources"), 30)

    def waits_for(self, what: str, reason: str) -> None:
        """While it lasts, the Ready condition says what is waited for."""

        def told() -> dict[str, Any]:
            condition = self.space.condition("web")
            return condition if what in condition.get("message", "") else {}

        condition = eventually(told, 150, self.space.every)
        assert (condition["status"], condition["reason"]) == ("False", reason)
        assert self.space.condition("web", "Stalled")["status"] == "False"


def changing(*methods: str) -> Callable[[Call], bool]:
    """Whether a call changes something in one of these ways; to authenticate is no change."""
    return lambda call: call.method in methods and call.service != "identity"


# The lives.


def answers(kind: str, reason: str, words: str, tenant: Tenant) -> None:
    proxy = tenant.proxy
    proxy.rules = [Rule(1.0, (kind,), lambda call: call.method == "POST" and bool(re.search("/networks$", call.path)))]
    tenant.apply(machine())
    tenant.waits_for(words, reason)
    # A quarter of all calls, those for tokens too.
    proxy.rules = [Rule(0.25, (kind,))]
    tenant.ready(**MACHINE)
    tenant.apply(machine("8.8.8.8", drive=True))
    tenant.ready(**MACHINE)
    tenant.gone()
    assert proxy.injected[kind] > 3


def answer_lost(method: str, tenant: Tenant) -> None:
    # Every single answer, the first time.
    tenant.proxy.rules = [Rule(1.0, (LOST,), changing(method), first=True)]
    tenant.apply(site(1))
    tenant.ready(**site_counts(1))
    if method == "PUT":
        tenant.apply(site(1, "8.8.8.8"))
        tenant.ready(**site_counts(1))
        subnets = inventory(tenant.cloud)["subnets"].values()
        assert [one["dns_nameservers"] for one in subnets] == [["8.8.8.8"]]
    tenant.gone()
    assert tenant.proxy.injected[LOST] >= 2


def stale_lists(tenant: Tenant, *more: Rule) -> None:
    tenant.proxy.rules = [*more, Rule(1.0, (STALE,), lambda call: call.method == "GET")]
    tenant.apply(site(2))
    tenant.ready(**site_counts(2))
    tenant.apply(site(2, "8.8.8.8", drive=True))
    tenant.ready(**site_counts(2))
    tenant.gone()
    assert tenant.proxy.injected[STALE]


def lost_and_stale(tenant: Tenant) -> None:
    stale_lists(tenant, Rule(0.3, (LOST,), changing("POST", "PUT")))
    assert tenant.proxy.injected[LOST]


def no_answer(tenant: Tenant) -> None:
    tenant.proxy.rules = [Rule(1.0, (HANG,), changing("POST"), first=True)]
    # Three that wait side by side: each wait is as long as the operator has patience for one answer.
    resources = {
        "net": {"type": "OS::Neutron::Net"},
        "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1}},
        "router": {"type": "OS::Neutron::Router"},
    }
    tenant.apply({"heat_template_version": "2021-04-16", "resources": resources})
    tenant.waits_for("no complete answer within", "CloudUnavailable")
    tenant.ready(networks=1, volumes=1, routers=1)
    assert tenant.proxy.injected[HANG] == 3
    tenant.gone()


def tokens_expire(tenant: Tenant) -> None:
    tenant.proxy.rules = [Rule(0.3, (EXPIRED,), lambda call: call.service != "identity")]
    tenant.apply(site(2))
    tenant.ready(**site_counts(2))
    tenant.gone()
    assert tenant.proxy.injected[EXPIRED]


def a_tenth_of_all(tenant: Tenant) -> None:
    tenant.proxy.rules = [Rule(0.1, MIXED)]
    # Large enough for chance to strike some calls for certain.
    tenant.apply(site(6))
    tenant.ready(**site_counts(6))
    tenant.apply(site(4, "8.8.8.8", drive=True))
    tenant.ready(**site_counts(4))
    now = inventory(tenant.cloud)["subnets"]
    assert all(now[key]["dns_nameservers"] == ["8.8.8.8"] for key in now.keys() - tenant.before["subnets"].keys())
    tenant.gone()
    assert tenant.proxy.injected.total() >= 5


FAULTS: Mapping[str, Callable[[Tenant], None]] = {
    "500": partial(answers, "500", "CloudUnavailable", "resources.net: the proxy says 500"),
    "502": partial(answers, "502", "CloudUnavailable", "resources.net: the proxy says 502"),
    "503": partial(answers, "503", "CloudUnavailable", "resources.net: the proxy says 503"),
    "503 with Retry-After": partial(
        answers, "503 with Retry-After", "RateLimited", "resources.net: the proxy says 503"
    ),
    "504": partial(answers, "504", "CloudUnavailable", "resources.net: the proxy says 504"),
    "429": partial(answers, "429", "RateLimited", "resources.net: the proxy says 429"),
    "429 with Retry-After": partial(
        answers, "429 with Retry-After", "RateLimited", "resources.net: the proxy says 429"
    ),
    "connection reset": partial(answers, RESET, "CloudUnavailable", "resources.net: network: "),
    "slow answers": partial(answers, SLOW, "Progressing", "resources ready"),
    "no answer at all": no_answer,
    "answer to POST lost": partial(answer_lost, "POST"),
    "answer to PUT lost": partial(answer_lost, "PUT"),
    "answer to DELETE lost": partial(answer_lost, "DELETE"),
    "lists miss what is new": stale_lists,
    "answers lost and lists stale": lost_and_stale,
    "tokens expire in the middle": tokens_expire,
    "a tenth of all calls": a_tenth_of_all,
}
QUICK = frozenset({"answer to POST lost", "answer to DELETE lost"})
"""Those that a machine has the time for at each change."""


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, installed: None, shared: Operator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[None]]]:
    """All faults whose tests have been selected, side by side."""
    selected = {item.callspec.params.get("fault") for item in request.session.items if hasattr(item, "callspec")}
    names = [name for name in FAULTS if name in selected]
    shared.stop()
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    with ThreadPoolExecutor(len(names)) as pool:
        tenants = list(pool.map(Tenant.new, range(seed, seed + len(names))))
        spaces = tuple(tenant.space.name for tenant in tenants)
        operator = Operator(
            tmp_path_factory.mktemp("faults"), namespaces=spaces, log_level="debug", arguments=("--no-lease",)
        )
        operator.start()
        yield {name: pool.submit(FAULTS[name], tenant) for name, tenant in zip(names, tenants, strict=True)}
        list(pool.map(Tenant.close, tenants))
        operator.stop()
    for name, tenant in zip(names, tenants, strict=True):
        print(f"{name}: injected {dict(tenant.proxy.injected)} of {tenant.proxy.calls.total()} calls")


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name in QUICK else pytest.mark.faults) for name in FAULTS]
)
def test_a_stack_lives_through(fault: str, lives: Mapping[str, Future[None]]) -> None:
    lives[fault].result()
