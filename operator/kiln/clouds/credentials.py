"""Credentials: from the clouds.yaml of a Stack's Secret to a value, without trusting it.

Whoever may write a Secret may write any clouds.yaml, and the operator reads it. So nothing in it may name a file, a
plugin that runs something, or a vendor profile to be fetched: what is known to be inline is on a list, the rest is
refused.
"""

import asyncio
import base64
import functools
import hashlib
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from kiln.api.kinds import SECRETS
from kiln.api.v1alpha1 import Reason, is_object_name, stack_spec
from kiln.clouds import clouds_yaml
from kiln.clouds.clouds_yaml import Block, CloudsYamlError, Text
from kiln.kube.client import Kube
from reconcilers.cloud.limits import printable

MAX_BYTES: Final = 64 << 10
"""Bytes of a clouds.yaml or of a bundle of certificates."""
_PATH: Final = "spec.cloudCredentialsRef"

_SCOPE = frozenset({
    "project_id", "project_name", "project_domain_id", "project_domain_name", "domain_id", "domain_name",
    "system_scope", "trust_id",
})  # fmt: skip
_USER = frozenset({"user_id", "username", "user_domain_id", "user_domain_name"})
_DEFAULT_DOMAIN = frozenset({"default_domain_id", "default_domain_name"})

AUTH: Final[Mapping[str, frozenset[str]]] = {
    "password": frozenset({"auth_url", "password"}) | _USER | _SCOPE | _DEFAULT_DOMAIN,
    "v3password": frozenset({"auth_url", "password"}) | _USER | _SCOPE,
    "token": frozenset({"auth_url", "token"}) | _SCOPE | _DEFAULT_DOMAIN,
    "v3token": frozenset({"auth_url", "token"}) | _SCOPE,
    "v3applicationcredential": _USER
    | {"auth_url", "application_credential_id", "application_credential_name", "application_credential_secret"},
}
"""The ways to authenticate whose every option is an inline value, each with its options."""

_NEEDED: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "password": (("username", "user_id"), ("password",)),
    "v3password": (("username", "user_id"), ("password",)),
    "token": (("token",),),
    "v3token": (("token",),),
    "v3applicationcredential": (
        ("application_credential_secret",),
        ("application_credential_id", "application_credential_name"),
    ),
}
_RENAMED: Final = {
    "tenant_id": "project_id",
    "tenant_name": "project_name",
    "user_name": "username",
    "project_domain": "project_domain_name",
    "user_domain": "user_domain_name",
}

_OPTIONS: Final = frozenset({"region_name", "interface", "endpoint_type", "verify", "auth", "auth_type"})
_SERVICE_OPTION: Final = re.compile(
    r"[a-z][a-z0-9_]{0,60}_(api_version|default_microversion|endpoint_override|service_type|interface)"
)
"""Settings of single services, such as ``volume_api_version``;

those of endpoints are URLs and bound by the same rules.
"""
_FORMS: Final = {
    "_api_version": (re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?"), "this must be a version such as 3 or 2.1"),
    "_default_microversion": (re.compile(r"[0-9]{1,3}\.[0-9]{1,3}|latest"), "this must be a version such as 2.79"),
    "_service_type": (re.compile(r"[a-z0-9-]{1,64}"), "this must be a service type such as block-storage"),
    "interface": (re.compile(r"(public|internal|admin)(URL)?"), "this must be public, internal or admin"),
    "endpoint_type": (re.compile(r"(public|internal|admin)(URL)?"), "this must be public, internal or admin"),
}
_VERIFY: Final = {
    word: value
    for words, value in ((("true", "yes", "on", "y"), True), (("false", "no", "off", "n"), False))
    for word in words
}
_ADVICE: Final[Mapping[str, str]] = {
    "cacert": "files of the operator are out of reach; put the certificates into the Secret's key cacert",
    "cert": "client certificates are read from files, which are out of reach; use an application credential",
    "key": "client certificates are read from files, which are out of reach; use an application credential",
    "profile": "vendor profiles may be URLs and are not read; write auth_url and the other settings out",
    "cloud": "vendor profiles may be URLs and are not read; write auth_url and the other settings out",
    "regions": "name the region in region_name",
}


KEPT: Final = "kept"
"""The cloud's name in what a Stack keeps of its credentials."""


class CredentialsError(Exception):
    """Credentials are missing or not usable. ``path`` says where; no message holds a value of the Secret."""

    def __init__(self, reason: Reason, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.reason = reason
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Credential:
    """Which cloud, and as whom. Equal credentials have equal digests; the digest must not be shown either.

    ``auth`` are the arguments of the auth plugin, ``options`` the SDK's settings (interface, API versions, overrides),
    ``cacert`` PEM text or empty, ``hidden`` the values that no text may show.
    """

    cloud_name: str
    auth_type: str
    auth: Mapping[str, str] = field(repr=False)
    region_name: str | None = None
    verify: bool = True
    cacert: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    digest: str = field(default="", repr=False)

    @property
    def hidden(self) -> tuple[str, ...]:
        """Password, token or secret."""
        names = ("password", "token", "application_credential_secret")
        return tuple(self.auth[name] for name in names if name in self.auth)

    @property
    def as_data(self) -> dict[str, str]:
        """Data of a Secret that gives these credentials again, under the name ``kept``; JSON is YAML too."""
        region = {"region_name": self.region_name} if self.region_name else {}
        cloud = {"auth_type": self.auth_type, "auth": self.auth, "verify": self.verify, **region, **self.options}
        texts = {
            "clouds.yaml": json.dumps({"clouds": {KEPT: cloud}}, sort_keys=True, ensure_ascii=False),
            "cacert": self.cacert,
        }
        return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items() if text}

    @property
    def auth_url(self) -> str:
        """Keystone's URL."""
        return self.auth["auth_url"]


async def load(kube: Kube, stack: Mapping[str, Any]) -> Credential:
    """The credentials that a Stack names.

    Raises ``CredentialsError`` (CredentialsNotFound, InvalidCredentials); ``KubeError`` where the API server does not
    answer.
    """
    spec = stack_spec(stack)
    namespace = stack["metadata"]["namespace"]
    secret = await kube.get(SECRETS, namespace, spec.secret_name) if is_object_name(spec.secret_name) else None
    if secret is None:
        message = f"there is no Secret {spec.secret_name!r} in namespace {namespace!r}"
        raise CredentialsError(Reason.CREDENTIALS_NOT_FOUND, f"{_PATH}.secretName", message)
    found = await of_secret(secret, spec.cloud_name)
    changed = partial(adjusted, found, region=spec.region_name, ca_cert=spec.ca_cert, insecure=spec.insecure)
    return await asyncio.to_thread(changed)


async def of_secret(secret: Mapping[str, Any], cloud_name: str) -> Credential:
    """The credentials in a Secret. Raises ``CredentialsError`` (InvalidCredentials)."""
    text = _text(secret, "clouds.yaml")
    if text is None:
        message = f"the Secret {secret['metadata']['name']!r} has no key clouds.yaml"
        raise CredentialsError(Reason.INVALID_CREDENTIALS, f"{_PATH}.secretName", message)
    # Some texts within the bounds take most of a second.
    return await asyncio.to_thread(parse, text, cloud_name, _text(secret, "cacert") or "")


def adjusted(credential: Credential, *, region: str = "", ca_cert: str = "", insecure: bool = False) -> Credential:
    """The credential with what the Stack says beside the Secret. Raises ``CredentialsError``."""
    if not region and not ca_cert and not insecure:
        return credential
    if ca_cert:
        if len(ca_cert.encode(errors="replace")) > MAX_BYTES:
            raise CredentialsError(Reason.INVALID_CREDENTIALS, f"{_PATH}.caCert", f"more than {MAX_BYTES} bytes")
        _check_certificates(ca_cert, f"{_PATH}.caCert")
    found = replace(
        credential,
        region_name=region or credential.region_name,
        cacert=ca_cert or credential.cacert,
        verify=credential.verify and not insecure,
    )
    return replace(found, digest=_digest(found))


def _text(secret: Mapping[str, Any], key: str) -> str | None:
    encoded = (secret.get("data") or {}).get(key)
    if encoded is None:
        return None
    if len(encoded) > MAX_BYTES * 4 // 3 + 4:
        raise _invalid(key, f"more than {MAX_BYTES} bytes are too many")
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:
        raise _invalid(key, "this is not UTF-8 text") from None


def _invalid(where: str, message: str) -> CredentialsError:
    return CredentialsError(Reason.INVALID_CREDENTIALS, f"{_PATH} ({where})", message)


@functools.lru_cache(maxsize=256)
def parse(text: str, cloud_name: str, cacert: str = "") -> Credential:
    """The cloud of this name in a clouds.yaml, or ``CredentialsError``."""
    cloud = _cloud(text, cloud_name)
    where = f"clouds.yaml: clouds.{printable(cloud_name)}"
    auth_type = _text_of(cloud, "auth_type", where) or "password"
    if auth_type not in AUTH:
        raise _invalid(f"{where}.auth_type", f"this is not among the usable types: {', '.join(AUTH)}")
    options = _options(cloud, where)
    auth = _auth(cloud.members.get("auth"), auth_type, f"{where}.auth")
    verify = _VERIFY.get((_text_of(cloud, "verify", where) or "true").lower())
    if verify is None:
        raise _invalid(f"{where}.verify", "this must be true or false")
    if cacert:
        _check_certificates(cacert)
    region = _text_of(cloud, "region_name", where)
    found = Credential(
        cloud_name=cloud_name,
        auth_type=auth_type,
        auth=auth,
        region_name=region,
        verify=verify,
        cacert=cacert,
        options=options,
    )
    return replace(found, digest=_digest(found))


def _digest(one: Credential) -> str:
    whole = [one.auth_type, one.auth, one.region_name, one.verify, one.cacert, one.options]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _cloud(text: str, name: str) -> Block:
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _invalid("clouds.yaml", f"more than {MAX_BYTES} bytes are too many")
    try:
        content = clouds_yaml.read(text)
    except CloudsYamlError as error:
        raise _invalid("clouds.yaml", str(error)) from None
    clouds = content.members.get("clouds") if isinstance(content, Block) else None
    if not isinstance(clouds, Block):
        raise _invalid("clouds.yaml", "there is no mapping `clouds` in it")
    cloud = clouds.members.get(name)
    if not isinstance(cloud, Block):
        message = f"there is no cloud {printable(name)!r} in the clouds.yaml, which has {len(clouds.members)}"
        raise CredentialsError(Reason.INVALID_CREDENTIALS, f"{_PATH}.cloudName", message)
    return cloud


def _text_of(block: Block, name: str, where: str) -> str | None:
    value = block.members.get(name)
    if value is None:
        return None
    if not isinstance(value, Text):
        raise _invalid(f"{where}.{name}", "this must be a plain value")
    return value.value


def _options(cloud: Block, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name in cloud.members:
        if name not in _OPTIONS and not _SERVICE_OPTION.fullmatch(name):
            # The name is not quoted unless it is a known one: `password:x` without a blank is a name too.
            if name in _ADVICE:
                raise _invalid(f"{where}.{name}", _ADVICE[name])
            raise _invalid(where, f"there is a setting that Kiln does not use; leave it out{cloud.keys[name]}")
        if name in {"auth", "auth_type", "verify", "region_name"}:
            continue
        value = _text_of(cloud, name, where)
        if value is None:
            continue
        if name.endswith("_endpoint_override"):
            _check_url(value, f"{where}.{name}")
        for suffix, (form, words) in _FORMS.items():
            if name.endswith(suffix) and not form.fullmatch(value):
                raise _invalid(f"{where}.{name}", words)
        options["interface" if name == "endpoint_type" else name] = value
    return options


def _auth(given: Any, auth_type: str, where: str) -> dict[str, str]:
    if not isinstance(given, Block):
        raise _invalid(where, "there must be a mapping `auth` with auth_url and the credentials")
    auth: dict[str, str] = {}
    for name in given.members:
        option = _RENAMED.get(name, name)
        if option not in AUTH[auth_type]:
            known = ", ".join(sorted(AUTH[auth_type]))
            message = (
                f"there is something that is no option of auth_type {auth_type}{given.keys[name]}; it has: {known}"
            )
            raise _invalid(where, message)
        value = _text_of(given, name, where)
        if value is not None:
            auth[option] = value
    for alternatives in (("auth_url",), *_NEEDED[auth_type]):
        if not any(auth.get(name) for name in alternatives):
            raise _invalid(where, f"{' or '.join(alternatives)} is missing")
    _check_url(auth["auth_url"], f"{where}.auth_url")
    return auth


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise _invalid(where, "this must be an http:// or https:// URL")
    if parts.username or parts.password:
        raise _invalid(where, "user and password belong into username and password, not into the URL")


def _check_certificates(pem: str, where: str = f"{_PATH} (cacert)") -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):
        reason = "this holds no certificates in PEM form"
        raise CredentialsError(Reason.INVALID_CREDENTIALS, where, reason) from None
