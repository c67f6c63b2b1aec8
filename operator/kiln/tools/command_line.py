"""What a command line gives: the template, environments, parameters, and the files that they name, all from disk.

The options are those of Heat's own client, and so is where a file is looked for: beside the template or the
environment that names it, or under an environment's ``base_url``. Unlike Heat's client this leaves the texts as they
are: a file is known by the name that is written, and in a nested template by that name beside the template's own.
Only where two files would have the same name, it is changed in the text, and never in the root template.
"""

import argparse
import base64
import functools
import posixpath
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.loader import load
from kiln.tools.references import FileName, is_template, names_in_environment, names_in_template, renamed

STANDARD_INPUT: Final = "-"

_ONE_PARAMETER: Final = re.compile(r"[A-Za-z_][\w:.-]*=")


class UsageError(Exception):
    """The command line itself cannot be followed: exit code 2."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text and the name that messages give it: its path as it was typed."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a stack is made of.

    ``files`` maps a name, as the texts write it, to the file's text (base64 in lines where it is not UTF-8, as Heat's
    client does), ``origins`` the same names to paths. ``problems`` are files that could not be had.
    """

    template: Document
    environments: tuple[Document, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | list[str]] = field(default_factory=dict)
    problems: tuple[TranslationError, ...] = ()


def add_arguments(parser: argparse.ArgumentParser, *, template_required: bool = True) -> None:
    """The options that say what a stack is made of, as on Heat's command line."""
    add = functools.partial(parser.add_argument, action="append", default=[])
    parser.add_argument(
        "-t", "--template", required=template_required, metavar="FILE", help="the template; - for standard input"
    )
    add("-e", "--environment", metavar="FILE", help="an environment; of several, later ones win")
    add("--parameter", metavar="NAME=VALUE", help="a parameter; again for another, or once as a=1;b=2")
    add("--parameter-file", metavar="NAME=FILE", help="a parameter whose value is a file's content")
    add("--file", metavar="NAME=FILE", help="the file to take for a name, a URL perhaps, that the template writes")


def read(arguments: argparse.Namespace) -> Inputs:
    """Read what the command line names. Raises ``UsageError`` for options that make no sense or name no file."""
    template = document(arguments.template)
    environments = [document(name) for name in arguments.environment]
    parameters = _parameters(arguments.parameter)
    for option in arguments.parameter_file:
        name, path = _pair(option, "--parameter-file")
        parameters[name] = document(path).text
    files = {name: Path(path) for name, path in (_pair(option, "--file") for option in arguments.file)}
    return replace(collect(template, environments, files), parameters=parameters)


def collect(
    template: Document, environments: Sequence[Document] = (), files: Mapping[str, Path] | None = None
) -> Inputs:
    """The template and environments with every file that they name, and that those files name.

    ``files`` says which file to take for a name, wherever it is written. Raises ``UsageError`` when it cannot be read.
    """
    texts = [_Text(template, None, names_in_template)]
    texts += [_Text(environment, None, names_in_environment) for environment in environments]
    collector = _Collector(files or {})
    for text in texts:
        collector.read_names(text)
    collector.follow()
    changed = [collector.settled(text) for text in texts[1:]]
    return Inputs(template, tuple(changed), collector.files(), collector.origins, {}, tuple(collector.problems))


def local_path(name: str, folder: Path) -> Path:
    """The file that a name means in a folder. Raises ValueError, with the reason, when it is not a local one."""
    parts = urlsplit(name)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ValueError(f"{name} is on another machine: only local files are read")
        return Path(url2pathname(parts.path))
    if parts.scheme:
        raise ValueError(f"{name} is not fetched: download it, and name the local file")
    return folder / name


_Finder = Callable[[str, str], Iterator[FileName]]


@dataclass(slots=True)
class _Text:
    """A text that names files. ``key`` is the name of a nested template among the files, None at the top."""

    document: Document
    key: str | None
    find: _Finder
    names: dict[FileName, Path] = field(default_factory=dict)

    def natural(self, name: str) -> str:
        """The name that a file has from here: a nested template's names are beside its own."""
        if self.key is None or "://" in name or name.startswith("/"):
            return name
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.key), name))


class _Collector:
    """Finds every file that the texts name, and gives each a name of its own."""

    def __init__(self, given: Mapping[str, Path]) -> None:
        self._given = given
        self.origins: dict[str, str] = {}
        self.problems: list[TranslationError] = []
        self._paths: dict[str, Path] = {}
        self._plain: dict[str, str] = {}
        self._nested: dict[str, _Text] = {}
        self._waiting: deque[str] = deque()
        for name, path in given.items():
            try:
                self._add(name, path)
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from None

    def read_names(self, text: _Text) -> None:
        """Take the names in a text, and read the files that are new."""
        document = text.document
        folder = Path(document.name).parent
        try:
            places = list(text.find(document.text, document.name))
        except TranslationError:
            return  # not readable: whoever parses it says so
        for place in places:
            try:
                path = self._path(place, folder)
                self._add(place.name if place.name in self._given else text.natural(place.name), path)
                text.names[place] = path.resolve()
            except (OSError, ValueError) as error:
                reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
                problem = InvalidTemplate(
                    place.path, reason, line=place.line, column=place.column, source=document.name
                )
                self.problems.append(problem)

    def _path(self, place: FileName, folder: Path) -> Path:
        if place.name in self._given:
            return self._given[place.name]
        return local_path(place.name, local_path(place.base, folder) if place.base else folder)

    def follow(self) -> None:
        """Read the names in the files that are templates themselves."""
        while self._waiting:
            key = self._waiting.popleft()
            if _is_template(key, self._plain[key]):
                text = _Text(Document(self.origins[key], self._plain[key]), key, names_in_template)
                self._nested[key] = text
                self.read_names(text)

    def files(self) -> dict[str, str]:
        """Names and texts of all files."""
        return self._plain | {key: self.settled(text).text for key, text in self._nested.items()}

    def settled(self, text: _Text) -> Document:
        """The document, with another name where the written one means another file."""
        changes = {}
        for place, path in text.names.items():
            if self._meant(place.name, text) != path:
                changes[place] = next(key for key, other in self._paths.items() if other == path)
        return replace(text.document, text=renamed(text.document.text, changes))

    def _meant(self, name: str, text: _Text) -> Path | None:
        """The file that the translator takes a name for: the one of this name, else the one beside the template."""
        return self._paths.get(name) or self._paths.get(text.natural(name))

    def _add(self, wanted: str, path: Path) -> None:
        resolved = path.resolve()
        key, count = wanted, 1
        while key in self._paths and self._paths[key] != resolved:
            count += 1
            key = f"{count}/{wanted.lstrip('./')}"
        if key not in self._paths:
            self._plain[key] = _read_file(path)
            self._paths[key] = resolved
            self.origins[key] = str(path)
            self._waiting.append(key)


def _is_template(key: str, text: str) -> bool:
    try:
        return is_template(load(text, source=key))
    except TranslationError:
        return False


def document(name: str) -> Document:
    """The text of a file, or of standard input for ``-``. Raises ``UsageError`` when it cannot be read."""
    if name == STANDARD_INPUT:
        return Document("<stdin>", sys.stdin.read())
    try:
        return Document(name, local_path(name, Path()).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def _read_file(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.encodebytes(content).decode()


def _parameters(options: Sequence[str]) -> dict[str, str | list[str]]:
    """Names and values; a name that is given several times has a list of them, as Heat's client makes it."""
    if len(options) == 1:
        parts = options[0].split(";")
        options = parts if all(_ONE_PARAMETER.match(part) for part in parts) else options
    parameters: dict[str, str | list[str]] = {}
    for option in options:
        name, value = _pair(option, "--parameter")
        earlier = parameters.get(name)
        if earlier is None:
            parameters[name] = value
        else:
            parameters[name] = [*([earlier] if isinstance(earlier, str) else earlier), value]
    return parameters


def _pair(option: str, flag: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals or not name:
        raise UsageError(f"{flag} {option}: must be NAME=VALUE")
    return name, value
