"""str_replace and its strict forms, str_split, digest, make_url, Fn::Split, Fn::Replace, Fn::Base64."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib import parse

from hot_translator.budget import Meter
from hot_translator.errors import ResolutionError
from hot_translator.expression import OMITTED, Dynamic
from hot_translator.functions.base import Failure, Function, is_list, is_map, known_or, plain
from hot_translator.sizes import ITEM


def as_json(value: Any) -> str:
    """The text that joins and replacements use for a list or a map."""
    return json.dumps(value, sort_keys=True)


class StrReplace(Function):
    """``{str_replace: {template, params}}``: longest keys first, and what was put in is not searched again."""

    unpacked = True
    gives = str
    serialises = True
    """Whether lists and maps may be put in, as JSON (from 2015-10-15)."""
    every_key_must_occur = False
    empty_values_allowed = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but a map of a template and params."""
        if not isinstance(arguments, dict):
            msg = f'Arguments to "{self.name}" must be a map'
            raise TypeError(msg)
        if "params" not in arguments or "template" not in arguments:
            msg = f'"{self.name}" needs "template" and "params"'
            raise KeyError(msg)
        self._check_params(arguments["params"])

    def _check_params(self, params: Any) -> None:
        if not isinstance(params, Mapping | Dynamic) and params is not OMITTED:
            msg = f'"{self.name}" parameters must be a mapping'
            raise TypeError(msg)

    def fitting(self, arguments: Any) -> Any:
        """A template of all placeholders, and a value for each, where they are unknown."""
        return dict(zip(("template", "params"), self.known(arguments["template"], arguments["params"]), strict=True))

    @staticmethod
    def known(template: Any, params: Any) -> tuple[Any, Any]:
        """The same of the two arguments."""
        values = {key: known_or(value, "x") for key, value in params.items()} if isinstance(params, dict) else {}
        return known_or(template, "\0".join(map(str, values))), values or known_or(params, {})

    def compute(self, arguments: Any) -> Any:
        """The template with its placeholders replaced."""
        return self.replace(arguments["template"], arguments["params"])

    def replace(self, template: Any, params: Any) -> str:
        """Replace the keys of ``params`` in ``template``."""
        if not isinstance(template, str):
            msg = f'"{self.name}" template must be a string'
            raise TypeError(msg)
        if not is_map(params):
            msg = f'"{self.name}" params must be a map'
            raise TypeError(msg)
        if not all(isinstance(key, str) for key in params):
            msg = f'"{self.name}" param placeholders must be strings'
            raise TypeError(msg)
        missing = set(params)
        pieces = [template]
        meter = Meter()
        for key in sorted(sorted(params), key=len, reverse=True):
            value = self._text(params[key], key)
            pieces = self._replace_in(pieces, key, value, missing, meter)
        if self.every_key_must_occur and missing:
            names = ",".join(sorted(sorted(missing), key=len, reverse=True))
            msg = f"The following params were not found in the template: {names}"
            raise ValueError(msg)
        meter.made(sum(map(len, pieces)))
        return "".join(pieces)

    @staticmethod
    def _replace_in(pieces: list[str], key: str, value: str, missing: set[str], meter: Meter) -> list[str]:
        """Even pieces are text still to be searched, odd ones are values that were put in."""
        replaced: list[str] = []
        for index, piece in enumerate(pieces):
            if index % 2:
                replaced.append(piece)
                continue
            meter.step()
            meter.made(ITEM * piece.count(key) if key else 0)
            parts = piece.split(key)
            if len(parts) > 1:
                missing.discard(key)
            for number, part in enumerate(parts):
                if number:
                    replaced.append(value)
                replaced.append(part)
        return replaced

    def _text(self, value: Any, key: str) -> str:
        if not self.empty_values_allowed and (value is None or value in ("", [], {})):
            msg = f"{self.name} has an undefined or empty value for param {key}, must be a defined non-empty value"
            raise ValueError(msg)
        if value is None:
            return ""
        if isinstance(value, str | int | float):
            return str(value)
        if self.serialises and isinstance(value, dict | list):
            return as_json(value)
        msg = f'"{self.name}" params must be strings, numbers, list or map, param {key} is not valid'
        raise TypeError(msg)


class StrReplacePlain(StrReplace):
    """str_replace before 2015-10-15: strings and numbers only."""

    serialises = False


class StrReplaceStrict(StrReplace):
    """str_replace_strict: every key must occur in the template."""

    every_key_must_occur = True


class StrReplaceVeryStrict(StrReplaceStrict):
    """str_replace_vstrict: and no value may be empty."""

    empty_values_allowed = False


class FnReplace(StrReplacePlain):
    """``{Fn::Replace: [{key: value}, text]}``."""

    def check(self, arguments: Any) -> None:
        """Refuse anything but a map and a text."""
        if not is_list(arguments) or len(arguments) != 2:
            msg = f'Incorrect arguments to "{self.name}" should be: [{{"$var": "value"}}, "text with $var"]'
            raise (ValueError if is_list(arguments) else TypeError)(msg)
        self._check_params(arguments[0])

    def fitting(self, arguments: Any) -> Any:
        """As str_replace."""
        template, params = self.known(arguments[1], arguments[0])
        return [params, template]

    def compute(self, arguments: Any) -> Any:
        """The text with its placeholders replaced."""
        return self.replace(arguments[1], arguments[0])


def split(text: str, delimiter: str | None) -> list[str]:
    """The pieces. Raises ValueError when they are too many, before there are any."""
    if delimiter:
        Meter().made(len(text) + ITEM * text.count(delimiter))
    return text.split(delimiter)


class StrSplit(Function):
    """``{str_split: [delimiter, text, index]}``."""

    def check(self, arguments: Any) -> None:
        """Refuse a text or a map."""
        if isinstance(arguments, str | dict):
            raise TypeError(self._usage())

    def fitting(self, arguments: Any) -> Any:
        """A text without the delimiter; of the index, only whether it is a number."""
        if not isinstance(arguments, list) or len(arguments) < 2:
            return plain(arguments)
        delimiter, text, *more = arguments
        index = more[:1] if more and not isinstance(more[0], Dynamic) and not _is_index(more[0]) else []
        return [known_or(delimiter, ","), known_or(text, "x"), *index]

    def compute(self, arguments: Any) -> Any:
        """The pieces, or the one at the index; null for a null text."""
        if not is_list(arguments) or len(arguments) < 2:
            raise ValueError(self._usage())
        delimiter, text, *more = arguments
        if text is None:
            return None
        if not isinstance(text, str) or not isinstance(delimiter, str | None):
            raise TypeError(self._usage())
        pieces = split(text, delimiter)
        if not more:
            return pieces
        try:
            index = int(more[0])
        except (ValueError, TypeError):
            msg = f'Incorrect index to "{self.name}": {more[0]!r}'
            raise ValueError(msg) from None
        try:
            return pieces[index]
        except IndexError:
            msg = f'Incorrect index to "{self.name}" should be between 0 and {len(pieces) - 1}'
            raise ValueError(msg) from None

    def _usage(self) -> str:
        return f'Incorrect arguments to "{self.name}" should be: [",", "apples,pears", <index>]'


def _is_index(value: Any) -> bool:
    try:
        int(value)
    except (ValueError, TypeError):
        return False
    return True


class FnSplit(Function):
    """``{Fn::Split: [delimiter, text]}``. The delimiter must be written out: Heat does not resolve it."""

    unpacked = True

    def build(self, snippet: Any) -> Any:
        """The compiled call."""
        if is_list(snippet) and snippet and is_map(snippet[0]):
            reason = f"Delimiter for {self.name} must be string"
            return Failure(ResolutionError(str(self.path), reason))
        return super().build(snippet)

    def check(self, arguments: Any) -> None:
        """Refuse anything but two items."""
        if not is_list(arguments) or len(arguments) != 2:
            msg = f'Incorrect arguments to "{self.name}" should be: [",", "str1,str2"]'
            raise (ValueError if is_list(arguments) else TypeError)(msg)

    def fitting(self, arguments: Any) -> Any:
        """A text for each unknown one."""
        delimiter, text = arguments
        return [known_or(delimiter, ","), known_or(text, "x")]

    def compute(self, arguments: Any) -> Any:
        """The pieces."""
        delimiter, text = arguments
        if not isinstance(delimiter, str):
            msg = f"Delimiter for {self.name} must be string"
            raise TypeError(msg)
        if not isinstance(text, str):
            msg = f"String to split must be string; got {type(text).__name__}"
            raise TypeError(msg)
        return split(text, delimiter)


class Base64(Function):
    """``{Fn::Base64: text}``: the text as it is, for Heat encodes user data itself."""

    def fitting(self, arguments: Any) -> Any:
        """Lists and maps are no text."""
        return None if isinstance(arguments, Dynamic) else plain(arguments)

    def compute(self, arguments: Any) -> Any:
        """The text."""
        if not isinstance(arguments, str):
            msg = f'"{self.name}" argument must be a string'
            raise TypeError(msg)
        return arguments


class Digest(Function):
    """``{digest: [algorithm, text]}``: the hexadecimal digest of the text in latin-1."""

    gives = str

    def fitting(self, arguments: Any) -> Any:
        """An algorithm, or a text, where they are unknown."""
        if not isinstance(arguments, list):
            return None if isinstance(arguments, Dynamic) else plain(arguments)
        return [known_or(item, "" if index else "sha256") for index, item in enumerate(arguments)]

    def compute(self, arguments: Any) -> Any:
        """The digest."""
        if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
            msg = f'Argument to function "{self.name}" must be a list of strings'
            raise TypeError(msg)
        if len(arguments) != 2:
            msg = f'Function "{self.name}" usage: ["<algorithm>", "<value>"]'
            raise ValueError(msg)
        algorithm, text = arguments
        if algorithm.lower() not in hashlib.algorithms_available:
            msg = f"Algorithm must be one of {', '.join(sorted(hashlib.algorithms_available))}"
            raise ValueError(msg)
        digest = hashlib.new(algorithm, usedforsecurity=False)
        digest.update(text.encode("latin-1"))
        return digest.hexdigest()


class MakeUrl(Function):
    """``{make_url: {scheme, username, password, host, port, path, query, fragment}}``."""

    gives = str
    keys = ("scheme", "username", "password", "host", "port", "path", "query", "fragment")

    def check(self, arguments: Any) -> None:
        """Refuse unknown parts and parts of the wrong type."""
        if not isinstance(arguments, dict):
            msg = f'The arguments to "{self.name}" must be a map'
            raise TypeError(msg)
        if unknown := [str(key) for key in arguments if key not in self.keys]:
            msg = f'Invalid arguments to "{self.name}": {", ".join(unknown)}'
            raise ValueError(msg)
        self._check_parts(arguments)

    def _check_parts(self, arguments: dict[str, Any]) -> None:
        for key in self.keys:
            value = arguments.get(key, "")
            if key not in arguments or isinstance(value, Dynamic) or value is OMITTED:
                continue
            if key == "query":
                if not is_map(value):
                    msg = f'The "{key}" argument to "{self.name}" must be a map'
                    raise TypeError(msg)
                return  # Heat does not look at what comes after the query
            if key == "port":
                self._check_port(value)
            elif not isinstance(value, str):
                msg = f'The "{key}" argument to "{self.name}" must be a string'
                raise TypeError(msg)

    def _check_port(self, value: Any) -> None:
        try:
            port = value if isinstance(value, int) else int(value)
        except (ValueError, TypeError):
            msg = f'Invalid URL port "{value}" for {self.name}'
            raise ValueError(msg) from None
        if not 0 < port <= 65535:
            msg = f"Invalid URL port {port}, must be in range 1-65535"
            raise ValueError(msg)

    def fitting(self, arguments: Any) -> Any:
        """Without the unknown parts."""
        return {key: plain(part) for key, part in arguments.items() if not isinstance(part, Dynamic)}

    def compute(self, arguments: Any) -> Any:
        """The URL, each part quoted as it needs."""
        self._check_parts(arguments)
        scheme = arguments.get("scheme", "")
        if ":" in scheme:
            msg = "URL \"scheme\" should not contain ':'"
            raise ValueError(msg)
        path = parse.quote(arguments.get("path", ""))
        query = parse.urlencode(arguments.get("query", {})).replace("%2F", "/")
        fragment = parse.quote(arguments.get("fragment", ""))
        return parse.urlunsplit((scheme, self._netloc(arguments), path, query, fragment))

    @staticmethod
    def _netloc(arguments: dict[str, Any]) -> str:
        username = parse.quote(arguments.get("username", ""), safe="")
        password = parse.quote(arguments.get("password", ""), safe="")
        user = ""
        if username or password:
            user = f"{username}:{password}@" if password else f"{username}@"
        host = arguments.get("host", "")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        host = parse.quote(host, safe=":")
        if ":" in host:
            host = f"[{host}]"
        port = arguments.get("port", "")
        return f"{user}{host}:{port}" if port else f"{user}{host}"
