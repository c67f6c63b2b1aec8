"""Two tenants: one that works as on any other day, and one that means harm."""

import http.server
import itertools
import statistics
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from harness import lab
from harness.operator import eventually
from harness.stacks import Namespace
from kubernetes import client, config

from hostile import attacks
from hostile.watched import STEPS

LOOK = 0.05
"""Seconds between looks at a Stack of the honest tenant."""


def reason_of(stack: Mapping[str, Any]) -> str:
    """Why a Stack is not Ready, or that it is; "" while nothing was said of it."""
    conditions = (stack.get("status") or {}).get("conditions") or []
    return next((str(one["reason"]) for one in conditions if one["type"] == "Ready"), "")


class Stacks:
    """The Stacks of a namespace, by a client in this process: what is measured holds no start of a kubectl."""

    def __init__(self, space: Namespace) -> None:
        self._place = ("kiln.dev", "v1alpha1", space.name, "stacks")
        self._api = client.CustomObjectsApi(config.new_client_from_config(lab.environment()["KUBECONFIG"]))

    def apply(self, stack: attacks.Object) -> None:
        """Server-side apply."""
        options = {"field_manager": "tenant", "force": True, "_content_type": "application/apply-patch+yaml"}
        self._api.patch_namespaced_custom_object(*self._place, stack["metadata"]["name"], stack, **options)

    def is_ready(self, name: str) -> bool:
        """Whether a Stack is Ready at its present generation."""
        stack = self._api.get_namespaced_custom_object(*self._place, name)
        current = (stack.get("status") or {}).get("observedGeneration") == stack["metadata"]["generation"]
        return current and reason_of(stack) == "Succeeded"

    def delete(self, name: str) -> None:
        """Ask for the deletion of a Stack."""
        self._api.delete_namespaced_custom_object(*self._place, name)

    def is_gone(self, name: str) -> bool:
        """Whether there is no Stack of this name."""
        try:
            self._api.get_namespaced_custom_object(*self._place, name)
        except client.ApiException as error:
            return bool(error.status == 404)
        return False


class Honest:
    """A tenant that creates, updates and deletes a Stack; ``times`` are the seconds of each step."""

    def __init__(self, space: Namespace, canary: str) -> None:
        self.space = space
        self._stacks = Stacks(space)
        self._serial = itertools.count()
        self.names: list[str] = []
        space.apply(attacks.secret("own-secret", {"token": canary}))

    def _stack(self, name: str, cidr: str, more: str = "") -> attacks.Object:
        template = f"""heat_template_version: 2021-04-16
parameters: {{secret: {{type: string, hidden: true}}}}
resources:
  net: {{type: OS::Neutron::Net}}
  subnet: {{type: OS::Neutron::Subnet, properties: {{network: {{get_resource: net}}, cidr: {cidr}}}}}
  word: {{type: OS::Heat::RandomString}}
  kept: {{type: OS::Heat::Value, properties: {{value: {{get_param: secret}}}}}}
{more}outputs:
  words: {{value: {{yaql: {{expression: "$.data.len()", data: {{get_attr: [word, value]}}}}}}}}
  kept: {{value: {{get_attr: [kept, value]}}}}
"""
        given = [{"name": "secret", "secretKeyRef": {"name": "own-secret", "key": "token"}}]
        return attacks.stack(name, template, parametersFrom=given)

    def life(self) -> dict[str, float]:
        """The seconds of each step of one Stack's life."""
        number = next(self._serial)
        name, cidr = f"honest-{number}", f"10.77.{number % 250}.0/24"
        self.names.append(name)
        second = "  second: {type: OS::Neutron::Net}\n"
        steps = (
            lambda: self._ready(self._stack(name, cidr)),
            lambda: self._ready(self._stack(name, cidr, second)),
            lambda: self._delete(name),
        )
        times = {}
        for step, work in zip(STEPS, steps, strict=True):
            began = time.monotonic()
            work()
            times[step] = time.monotonic() - began
        return times

    def _ready(self, stack: attacks.Object) -> None:
        self._stacks.apply(stack)
        eventually(lambda: self._stacks.is_ready(stack["metadata"]["name"]), 300, LOOK)

    def _delete(self, name: str) -> None:
        self._stacks.delete(name)
        eventually(lambda: self._stacks.is_gone(name), 300, LOOK)

    def lives(self, rounds: int) -> dict[str, float]:
        """The median seconds of each step over some Stacks, one after the other."""
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for step, seconds in self.life().items():
                found[step].append(seconds)
        return {step: statistics.median(seconds) for step, seconds in found.items()}


class Hostile:
    """A tenant with Stacks of every kind of attack, which it has tried again and again."""

    def __init__(self, space: Namespace, urls: Mapping[str, str], honest: Honest) -> None:
        self.space = space
        self._stacks = Stacks(space)
        self._objects = [
            *attacks.of_templates(),
            *attacks.of_clouds(urls),
            *attacks.of_secrets(),
            *attacks.of_deputies(honest.space.name, "own-secret"),
            *attacks.of_numbers(),
        ]
        self._turn = itertools.cycle([one for one in self._objects if one["kind"] == "Stack"])
        self.touched = 0

    @property
    def names(self) -> set[str]:
        """Names of its Stacks."""
        return {one["metadata"]["name"] for one in self._objects if one["kind"] == "Stack"}

    def begin(self) -> None:
        """Apply everything."""
        self.space.apply(*self._objects)

    def wait_until_tried(self) -> None:
        """Wait until something was said of every Stack."""
        eventually(lambda: not [one for one in self.space.get("stacks") if not reason_of(one)], 600, 1.0)

    def again(self) -> None:
        """Have the next Stack translated and tried once more: a text that is new defeats what is kept of the old."""
        stack = next(self._turn)
        text = f"{stack['spec']['templateBody']}\n# {uuid.uuid4()}\n"
        self._stacks.apply({**stack, "spec": {**stack["spec"], "templateBody": text}})
        self.touched += 1


class Inside:
    """A place where no cloud may be; ``connections`` are those that came in all the same."""

    url = ""

    def __init__(self) -> None:
        self.connections: list[Any] = []
        connections = self.connections

        class Handler(http.server.BaseHTTPRequestHandler):
            def setup(self) -> None:
                connections.append(self.client_address)
                super().setup()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        self.url = f"http://127.0.0.2:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
