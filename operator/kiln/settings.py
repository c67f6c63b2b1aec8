"""How this process was told to run."""

import os
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The namespace that the operator lives in: POD_NAMESPACE, else the pod's own, else ``default``."""
    told = os.environ.get("POD_NAMESPACE")
    if told:
        return told
    try:
        return _NAMESPACE_FILE.read_text().strip() or "default"
    except OSError:
        return "default"


def own_identity() -> str:
    """A name that no other replica has, not even the same pod after a restart."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings. Times are seconds; a port 0 means none."""

    namespaces: tuple[str, ...] = ()
    """The namespaces to serve; none: all."""
    lease: bool = True
    """Work only while holding the Lease, so that replicas can stand by."""
    lease_namespace: str = field(default_factory=own_namespace)
    lease_name: str = "kiln"
    identity: str = field(default_factory=own_identity)
    host: str = "0.0.0.0"  # noqa: S104 - a pod's probes and scrapes come from outside
    metrics_port: int = 8080
    health_port: int = 8081
    debug_port: int = 0
    """Where /debug/passes and /debug/profile are served, at 127.0.0.1 alone."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "text"
    cloud_threads: int = 96
    """Calls to OpenStack at one time, of all Stacks."""
    cloud_threads_per_namespace: int = 24
    """The same of the Stacks of one namespace."""
    max_active: int = 512
    """Passes at one time."""
    max_active_per_namespace: int = 64
    denied_networks: tuple[str, ...] = ()
    """Networks (CIDR) where no cloud may be, besides those of ``clouds.default_denied``."""
    allowed_networks: tuple[str, ...] = ()
    """Networks (CIDR) where clouds may be although they are denied."""
    cloud_idle: float = 1800.0
    """A connection to a cloud that nobody used for so long is closed."""
    grace: float = 25.0
    """How long a stop waits for passes to come to a safe point."""
