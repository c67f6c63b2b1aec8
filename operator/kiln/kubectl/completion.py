"""``kubectl_complete-stack``: completes a command line for kubectl, which completes it for the shell.

kubectl runs it with the words after ``kubectl stack``; the last one is to be completed and may be empty. It prints
candidates, one a line, each with a description after a tab, and at the end ``:N``, where N says what the shell does
besides (kubectl's own protocol, that of cobra).
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubernetes.config import ConfigException

from kiln.api.kinds import STACKS, Resource
from kiln.kube.client import Kube, configuration
from kiln.kube.errors import KubeError
from kiln.kubectl import cli
from kiln.kubectl.session import context_namespace

NO_FILES: Final = 4
"""The shell offers no names of files."""
FILES: Final = 0
_NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace")
_PATIENCE: Final = 3.0
"""Seconds after which a cluster that does not answer has no candidates."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print candidates. Exit code 0, always: a shell has no use for errors."""
    words = list(sys.argv[1:] if argv is None else argv) or [""]
    found, directive = complete(words[:-1], words[-1])
    for candidate in found:
        print(candidate)
    print(f":{directive}")
    return 0


def complete(words: Sequence[str], prefix: str) -> tuple[list[str], int]:
    """The candidates for ``prefix`` after ``words``, and the directive."""
    if not words:
        return _matching(((name, text) for name, (_, text) in cli.COMMANDS.items()), prefix), NO_FILES
    if words[0] not in cli.COMMANDS:
        return [], NO_FILES
    parser, given = cli.command_parser(words[0]), words[1:]
    option = _option_awaiting_value(parser, given)
    if option is not None:
        return _values(option, words, prefix)
    if prefix.startswith("-"):
        options = ((name, one.help or "") for one in parser._actions for name in one.option_strings)  # noqa: SLF001 - no other way
        return _matching(options, prefix), NO_FILES
    place = _next_positional(parser, given)
    return _values(place, words, prefix) if place is not None else ([], NO_FILES)


def _option_awaiting_value(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Action | None:
    """The option that the next word is the value of."""
    if not given or not given[-1].startswith("-"):
        return None
    option = next((one for one in parser._actions if given[-1] in one.option_strings), None)  # noqa: SLF001
    return option if option is not None and option.nargs != 0 else None


def _next_positional(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Action | None:
    """The argument that the next word is, by the number of those before it."""
    count = 0
    for index, word in enumerate(given):
        is_value = index > 0 and _option_awaiting_value(parser, given[:index]) is not None
        count += not (word.startswith("-") or is_value)
    places = [one for one in parser._actions if not one.option_strings]  # noqa: SLF001
    return places[count] if count < len(places) else None


def _values(action: argparse.Action, words: Sequence[str], prefix: str) -> tuple[list[str], int]:
    """The candidates for the value of an option or argument."""
    if action.choices is not None:
        return _matching(((str(one), "") for one in action.choices), prefix), NO_FILES
    match action.dest:
        case "stack":
            return _matching(_names(STACKS, words), prefix), NO_FILES
        case "namespace":
            return _matching(_names(_NAMESPACES, words), prefix), NO_FILES
        case "filename" | "kubeconfig":
            return [], FILES
    return [], NO_FILES


def _names(res: Resource, words: Sequence[str]) -> list[tuple[str, str]]:
    """Names of objects; none if the cluster does not give them."""
    chosen = {long: _given(words, long, *short) for long, short in (("--namespace", ("-n",)), ("--context", ()))}
    kubeconfig = _given(words, "--kubeconfig")
    try:
        kube = Kube(configuration(kubeconfig, chosen["--context"]), threads=1, attempts=1, read_timeout=_PATIENCE)
    except (ConfigException, OSError):
        return []
    namespace = chosen["--namespace"] or context_namespace(kubeconfig, chosen["--context"])
    try:
        objects = asyncio.run(kube.list(res, namespace if res is STACKS else ""))
    except KubeError:
        return []
    finally:
        kube.close()
    return sorted((str(one["metadata"]["name"]), _about(one)) for one in objects)


def _about(obj: Any) -> str:
    last = (obj.get("status") or {}).get("lastOperation") or {}
    return " ".join(str(last[key]) for key in ("type", "result") if key in last)


def _given(words: Sequence[str], *names: str) -> str:
    """The value of an option on the command line so far."""
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name in names and sign:
            return value
        if word in names and index + 1 < len(words):
            return words[index + 1]
    return ""


def _matching(candidates: Iterator[tuple[str, str]] | list[tuple[str, str]], prefix: str) -> list[str]:
    return [f"{name}\t{text}" if text else name for name, text in candidates if name.startswith(prefix)]


if __name__ == "__main__":
    sys.exit(main())
