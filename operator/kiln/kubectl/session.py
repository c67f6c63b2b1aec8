"""A command's access to the cluster: which context and namespace, and how it reads Stacks."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kubernetes import config as kubernetes_config

from kiln.api.kinds import STACK_RESOURCES, STACK_REVISIONS, STACKS
from kiln.api.v1alpha1 import LABEL_STACK, owner_uids
from kiln.kube.client import Json, Kube, configuration
from kiln.kube.errors import Forbidden
from kiln.kubectl import output
from kiln.kubectl.output import Paint
from kiln.kubectl.views import Graph, StackView

_PREFIXES: Final = ("stack/", "stacks/", "stk/", "stacks.kiln.dev/", "stack.kiln.dev/")


USAGE: Final = 2
"""Exit code for an invalid command line, the same as argparse's."""


class CommandError(Exception):
    """The command cannot do what it was asked to: a message for people, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def stack_name(word: str) -> str:
    """The name of a Stack as kubectl takes it: ``web``, ``stack/web``, ``stk/web``."""
    for prefix in _PREFIXES:
        if word.startswith(prefix):
            return word.removeprefix(prefix)
    return word


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """The options of kubectl that say which cluster and namespace."""
    parser.add_argument("-n", "--namespace", default="", metavar="NS", help="the namespace (default: the context's)")
    parser.add_argument("--context", default="", help="the context of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="the kubeconfig (default: KUBECONFIG)")


def add_output_option(parser: argparse.ArgumentParser, *more: str) -> None:
    """``-o``."""
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml", *more), default="table")


def context_namespace(kubeconfig: str, context: str) -> str:
    """The namespace of a context, ``default`` if it names none or there is no kubeconfig."""
    try:
        contexts, current = kubernetes_config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
            config_file=kubeconfig or None
        )
    except kubernetes_config.ConfigException:
        return "default"
    chosen = next((one for one in contexts if one["name"] == context), None) if context else current
    return str(((chosen or {}).get("context") or {}).get("namespace") or "default")


@dataclass(slots=True)
class Session:
    """One command's cluster, namespace and output."""

    kube: Kube
    namespace: str
    paint: Paint = output.plain
    _graphs: dict[str, Graph | None] = field(default_factory=dict)

    @classmethod
    def open(cls, arguments: argparse.Namespace) -> "Session":
        """The session of a command line. Raises ``kubernetes.config.ConfigException``."""
        kube = Kube(configuration(arguments.kubeconfig, arguments.context), threads=8, attempts=3)
        namespace = arguments.namespace or context_namespace(arguments.kubeconfig, arguments.context)
        paint = output.coloured if output.is_colourful(sys.stdout) else output.plain
        return cls(kube, namespace, paint)

    async def stack(self, word: str) -> Json:
        """The Stack of this name. Raises CommandError if there is none."""
        name = stack_name(word)
        found = await self.kube.get(STACKS, self.namespace, name)
        if found is None:
            raise CommandError(f"there is no Stack {name!r} in the namespace {self.namespace!r}")
        return found

    async def view(self, word: str, *, graph: bool = True) -> StackView:
        """The Stack of this name with its resources. Raises CommandError if there is none."""
        stack = await self.stack(word)
        selected = f"{LABEL_STACK}={stack['metadata']['name']}"
        objects = await self.kube.list(STACK_RESOURCES, self.namespace, labels=selected)
        own = [one for one in objects if stack["metadata"]["uid"] in owner_uids(one)]
        return StackView(stack, own, await self.graph(stack) if graph else None)

    async def graph(self, stack: Mapping[str, Any]) -> Graph | None:
        """The graph of the Stack's target revision; None if the reader may not see it, or it does not translate."""
        status = stack.get("status") or {}
        revision = status.get("targetRevision") or status.get("currentRevision") or ""
        if not revision:
            return None
        if revision not in self._graphs:
            # The translator takes a second to import; most commands, and completion, do without it.
            from kiln.kubectl.graphs import graph_of  # noqa: PLC0415

            try:
                found = await self.kube.get(STACK_REVISIONS, self.namespace, revision)
            except Forbidden:
                found = None
            self._graphs[revision] = graph_of(found, stack["metadata"]["name"]) if found else None
        return self._graphs[revision]

    def print(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            print(line)

    def print_as(self, form: str, value: Any) -> None:
        """Print a value for programs: ``json`` or ``yaml``."""
        print(output.as_json(value) if form == "json" else output.as_yaml(value))
