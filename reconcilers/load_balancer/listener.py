"""OS::Octavia::Listener: a port on which a load balancer listens."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import LISTENERS, LOAD_BALANCERS, Octavia
from reconcilers.model import Desired
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Listener(Octavia):
    """Certificates are given by the references of their Barbican containers; Octavia reads them itself."""

    type = "OS::Octavia::Listener"
    collection = LISTENERS
    key = "listener"
    plural = "listeners"
    parent = "loadbalancer"
    parents = LOAD_BALANCERS
    dies_with = parent
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "admin_state_up", "connection_limit", "default_tls_container_ref"),
        "loadbalancer": Field("loadbalancer_id", update=False),
        "tenant_id": Field("project_id", update=False, drift=False),
        "protocol": Field("protocol", update=False),
        "protocol_port": Field("protocol_port", update=False),
        "default_pool": Field("default_pool_id"),
        "allowed_cidrs": Field("allowed_cidrs", decode=lambda shown: shown or [], reset=[]),
        "sni_container_refs": Field("sni_container_refs", decode=lambda shown: shown or [], reset=[]),
    }

    @override
    def unique(self, desired: Desired) -> frozenset[str]:
        return frozenset({"loadbalancer", "protocol_port"})
