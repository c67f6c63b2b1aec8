"""OS::Heat::RandomString: text derived from the resource's secret seed, so that it need not be stored."""

import hashlib
import string
from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Local

CLASSES: Mapping[str, str] = {
    "lettersdigits": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "digits": string.digits,
    "hexdigits": string.digits + "ABCDEF",
    "octdigits": string.octdigits,
}
"""Heat's named character classes."""

_LABEL = b"OS::Heat::RandomString"
_WORD = 1 << 32


@register
class RandomString(Local):
    """Another seed comes with each replacement, and every change replaces: so no value is ever seen twice."""

    type = "OS::Heat::RandomString"
    secret_attributes = frozenset({"value"})
    keeps = frozenset({"value"})

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        problem = _refused(desired.properties) if desired is not None else None
        return problem or super().step(desired, recorded, observed)

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        if desired is None:
            return {}
        if desired.kept is not None:
            return {"value": desired.kept["value"]}
        return {"value": generate(desired.seed, desired.properties["length"], _pools(desired.properties))}

    @override
    def reference(self, recorded: Recorded, attributes: Mapping[str, Any]) -> Any:
        """The value itself, as in Heat."""
        return attributes.get("value", recorded.name)


def generate(seed: bytes, length: int, pools: list[tuple[str, int]]) -> str:
    """Text of ``length`` characters: at least the given number out of each pool, the others out of all pools together.

    The same seed gives the same text. Each character and each order is equally likely, as in Heat's generate_password.
    """
    numbers = _numbers(seed)
    drawn = [pool[_below(len(pool), numbers)] for pool, least in pools for _ in range(least)]
    union = "".join(sorted({character for pool, _ in pools for character in pool}))
    drawn += [union[_below(len(union), numbers)] for _ in range(length - len(drawn))]
    for last in range(length - 1, 0, -1):
        other = _below(last + 1, numbers)
        drawn[last], drawn[other] = drawn[other], drawn[last]
    return "".join(drawn)


def _pools(properties: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The characters of each sequence and class, each once, with the least number to take out of them."""
    sequences = [(one["sequence"], one["min"]) for one in properties.get("character_sequences") or ()]
    classes = [(CLASSES[one["class"]], one["min"]) for one in properties.get("character_classes") or ()]
    return [("".join(sorted(set(characters))), least) for characters, least in [*sequences, *classes]]


def _refused(properties: Mapping[str, Any]) -> Failed | None:
    """Why there is no such text."""
    pools = _pools(properties)
    if sum(least for _, least in pools) > properties["length"]:
        reason = "Length property cannot be smaller than combined character class and character sequence minimums"
        return Failed(reason, Fault.INVALID, "length")
    if not pools or any(not characters for characters, _ in pools):
        return Failed(
            "there are no characters to choose from",
            Fault.INVALID,
            "character_sequences" if pools else "character_classes",
        )
    return None


def _numbers(seed: bytes) -> Iterator[int]:
    """Endless 32-bit numbers out of the seed: SHAKE256 keyed with it."""
    block = 0
    while True:
        stream = hashlib.shake_256(seed + _LABEL + block.to_bytes(4, "big")).digest(1024)
        yield from (int.from_bytes(stream[at : at + 4], "big") for at in range(0, len(stream), 4))
        block += 1


def _below(bound: int, numbers: Iterator[int]) -> int:
    """A number from 0 to bound - 1, all equally likely: those of the last, incomplete round are passed over."""
    limit = _WORD - _WORD % bound
    return next(number for number in numbers if number < limit) % bound
