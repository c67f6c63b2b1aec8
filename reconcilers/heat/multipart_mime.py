"""OS::Heat::MultipartMime: several texts for cloud-init in one."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from email import message_from_string
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from posixpath import splitext
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.heat.software_config import Config
from reconcilers.registry import register
from reconcilers.resource_type import CONFIG_TEXT


@register
class MultipartMime(Config):
    """A MIME text made of its parts in their order. The same parts always give the same text."""

    type = "OS::Heat::MultipartMime"
    local_lookups: ClassVar[Mapping[str, str]] = {"parts[].config": CONFIG_TEXT}

    @override
    def config(self, properties: Mapping[str, Any]) -> str:
        return assemble(properties.get("parts") or ())


def assemble(parts: Iterable[Mapping[str, Any]]) -> str:
    """The MIME text of parts ``{config, type, subtype, filename}``; of those of type multipart it takes the parts."""
    messages = [message for part in parts for message in _messages(part)]
    return MIMEMultipart(boundary=_boundary(messages), _subparts=messages).as_string()


def _messages(part: Mapping[str, Any]) -> Iterator[Message]:
    if part.get("type") != "multipart":
        yield _message(part["config"], part.get("subtype") or "", part.get("filename") or "")
        return
    whole = message_from_string(part["config"])
    if whole.is_multipart():
        for inner in whole.walk():
            if not inner.is_multipart():
                yield _message(_text(inner), inner.get_content_subtype(), inner.get_filename() or "")


def _message(text: str, subtype: str, filename: str) -> Message:
    """One part; without a subtype its file's name (without the ending) serves as one, as in Heat."""
    subtype = subtype or splitext(filename)[0] or "plain"
    message = MIMEText(text, subtype, "us-ascii" if text.isascii() else "utf-8")
    if filename:
        message.add_header("Content-Disposition", "attachment", filename=filename)
    return message


def _text(message: Message) -> str:
    """A part's text, whatever it was encoded in."""
    payload = message.get_payload(decode=True)
    return payload.decode(message.get_content_charset("utf-8"), "replace") if isinstance(payload, bytes) else ""


def _boundary(messages: Iterable[Message]) -> str:
    """A line that stands in none of the parts, the same for the same parts."""
    text = "\n".join(message.as_string() for message in messages)
    boundary = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    while boundary in text:
        boundary = hashlib.sha256(boundary.encode()).hexdigest()[:32]
    return f"==============={boundary}=="
