"""The settings of the operator's process. Each is declared once, with its option of ``kiln run``."""

import argparse
import dataclasses
import os
import socket
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from reconcilers.cloud.limits import DEFAULT, Limits

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_OPTION: Final = "option"
"""Key of a field's metadata that holds its :class:`Option`."""


@dataclass(frozen=True, slots=True)
class Option:
    """The command line option of a setting.

    ``names`` default to the setting's own name. ``default`` describes a default that is computed.
    """

    help: str
    metavar: str | None = None
    names: tuple[str, ...] = ()
    default: str = ""


def _setting(default: Any, option: Option) -> Any:
    """A field with an option. ``default`` is a value, or a function that computes it."""
    metadata = {_OPTION: option}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def own_namespace() -> str:
    """The operator's own namespace: POD_NAMESPACE, else the pod's namespace, else ``default``."""
    from_environment = os.environ.get("POD_NAMESPACE")
    if from_environment:
        return from_environment
    try:
        return _NAMESPACE_FILE.read_text().strip() or "default"
    except OSError:
        return "default"


def own_identity() -> str:
    """A name that no other replica has, not even the same pod after a restart."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings. Times are seconds; a port of 0 is not served."""

    namespaces: tuple[str, ...] = _setting(
        (), Option("serve this namespace only; may be given several times", "NS", ("--namespace", "-n"), "all")
    )
    metrics_port: int = _setting(8080, Option("port of /metrics; 0: not served", "PORT"))
    health_port: int = _setting(8081, Option("port of /healthz and /readyz; 0: not served", "PORT"))
    debug_port: int = _setting(
        0, Option("port of /debug/passes and /debug/profile, on 127.0.0.1 only; 0: not served", "PORT")
    )
    host: str = _setting(
        "0.0.0.0",  # noqa: S104 - the kubelet and Prometheus connect from outside the pod
        Option("address of the metrics and health ports"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", Option("lowest level that is logged"))
    log_format: Literal["json", "text"] = _setting("text", Option("format of log lines"))
    tracing: bool = _setting(
        False,  # noqa: FBT003 - the default
        Option(
            "send traces by OpenTelemetry, to where its variables (OTEL_EXPORTER_OTLP_ENDPOINT) say; "
            "needs the package's extra `tracing`"
        ),
    )
    lease: bool = _setting(
        True,  # noqa: FBT003 - the default
        Option("work without a Lease; safe only if no other replica ever runs", names=("--no-lease",)),
    )
    lease_namespace: str = _setting(
        own_namespace, Option("namespace of the Lease", "NS", default="the operator's own namespace")
    )
    lease_name: str = _setting("kiln", Option("name of the Lease", "NAME"))
    shards: int = _setting(
        1, Option("number of replicas that work at the same time, each on its own Stacks with its own Lease", "N")
    )
    identity: str = _setting(
        own_identity, Option("name of this replica in the Lease", default="the host's name and a random suffix")
    )
    cloud_threads: int = _setting(96, Option("concurrent calls to OpenStack", "N"))
    cloud_threads_per_namespace: int = _setting(
        24, Option("concurrent calls to OpenStack for the Stacks of one namespace", "N")
    )
    max_active: int = _setting(512, Option("reconciliations that compute or send at the same time", "N"))
    max_active_per_namespace: int = _setting(64, Option("the same for the Stacks of one namespace", "N"))
    denied_networks: tuple[str, ...] = _setting(
        (),
        Option(
            "network that clouds must not be in, besides metadata services, link-local and, in a pod, "
            "loopback, the API server, nodes, pods and Services; may be given several times",
            "CIDR",
            ("--deny-cloud-network",),
            "none",
        ),
    )
    allowed_networks: tuple[str, ...] = _setting(
        (),
        Option(
            "network that clouds may be in although it is denied; may be given several times",
            "CIDR",
            ("--allow-cloud-network",),
            "none",
        ),
    )
    events_sink: str = _setting("", Option("where operations on Stacks are told of, as CloudEvents over HTTP", "URL"))
    events_sink_file: str = _setting("", Option("a file that holds this URL, as a mounted Secret", "FILE"))
    limits: Limits = DEFAULT
    """Bounds on what a cloud may answer; each has an option of its own, ``--cloud-limit-NAME``."""
    cloud_idle: float = 1800.0
    """Seconds after which an unused connection to a cloud is closed."""
    grace: float = 25.0
    """Seconds that running reconciliations have to reach a safe point at a stop."""


def add_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add an option for each setting that has one. Returns the options."""
    types = typing.get_type_hints(Settings)
    options = [_add_limit(parser, bound) for bound in dataclasses.fields(Limits)]
    for field in dataclasses.fields(Settings):
        option: Option | None = field.metadata.get(_OPTION)
        if option is not None:
            names = option.names or (f"--{field.name.replace('_', '-')}",)
            options.append(parser.add_argument(*names, dest=field.name, **_how(field, types[field.name], option)))
    return options


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings that a parsed command line asks for."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        given = getattr(arguments, field.name, None)
        if given is not None:
            values[field.name] = tuple(given) if isinstance(given, list) else given
    limits = {bound.name: getattr(arguments, f"limit_{bound.name}", None) for bound in dataclasses.fields(Limits)}
    values["limits"] = Limits(**{name: value for name, value in limits.items() if value is not None})
    return Settings(**values)


def _add_limit(parser: argparse.ArgumentParser, bound: dataclasses.Field[Any]) -> argparse.Action:
    """The option of one bound on what a cloud may answer."""
    return parser.add_argument(
        f"--cloud-limit-{bound.name.replace('_', '-')}",
        dest=f"limit_{bound.name}",
        type=type(bound.default),
        metavar="N",
        help=f"the bound {bound.name} on what a cloud may answer (default: {bound.default})",
    )


def _how(field: dataclasses.Field[Any], kind: Any, option: Option) -> dict[str, Any]:
    """Arguments of ``add_argument`` for a setting of this type."""
    default = option.default or field.default
    if kind is bool:
        return {"action": "store_false" if field.default else "store_true", "default": None, "help": option.help}
    how: dict[str, Any] = {"default": None, "help": f"{option.help} (default: {default})"}
    if option.metavar:
        how["metavar"] = option.metavar
    if typing.get_origin(kind) is tuple:
        return {**how, "action": "append"}
    if typing.get_origin(kind) is Literal:
        return {**how, "choices": typing.get_args(kind)}
    convert: Callable[[str], Any] = kind
    return {**how, "type": convert}
