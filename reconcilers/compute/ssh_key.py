"""SSH key pairs out of a secret: the same secret gives the same pair, to the last byte, so nothing has to be stored."""

import base64
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_KIND = b"ssh-ed25519"
_MAGIC = b"openssh-key-v1\0"
_BLOCK = 8
_WIDTH = 70


def derive(seed: bytes) -> Ed25519PrivateKey:
    """The pair of this secret. ValueError if there is no secret."""
    if not seed:
        raise ValueError("a key pair cannot be derived from nothing")
    return Ed25519PrivateKey.from_private_bytes(_stretch(seed, b"kiln ssh key pair", 32))


def public(key: Ed25519PrivateKey) -> str:
    """The public half as authorized_keys has it."""
    return f"{_KIND.decode()} {base64.b64encode(_public_blob(key)).decode()}"


def private(key: Ed25519PrivateKey) -> str:
    """The private half as OpenSSH's ``openssh-key-v1`` file, without a passphrase.

    Written here, since the format holds a check number that libraries draw at random, and an attribute must not change
    at each reading.
    """
    secret = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    check = _stretch(secret, b"kiln check number", 4)
    pair = secret + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    inner = check + check + _text(_KIND) + _text(pair[32:]) + _text(pair) + _text(b"")
    inner += bytes(range(1, 1 + -len(inner) % _BLOCK))
    blob = _MAGIC + _text(b"none") + _text(b"none") + _text(b"") + struct.pack(">I", 1)
    blob += _text(_public_blob(key)) + _text(inner)
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[start : start + _WIDTH] for start in range(0, len(encoded), _WIDTH)]
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])


def _public_blob(key: Ed25519PrivateKey) -> bytes:
    return _text(_KIND) + _text(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _stretch(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=purpose).derive(secret)
