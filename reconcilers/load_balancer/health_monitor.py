"""OS::Octavia::HealthMonitor: how a pool finds out which of its members work."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import POOLS, Octavia
from reconcilers.model import Desired
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class HealthMonitor(Octavia):
    """What the template no longer gives goes back to Octavia's own default."""

    type = "OS::Octavia::HealthMonitor"
    collection = "/lbaas/healthmonitors"
    key = "healthmonitor"
    plural = "healthmonitors"
    parent = "pool"
    parents = POOLS
    dies_with = parent
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("admin_state_up", "delay", "timeout", "max_retries", "max_retries_down"),
        **same_name_fields("http_method", "url_path", "expected_codes"),
        "pool": Field("pool_id", update=False),
        "tenant_id": Field("project_id", update=False, drift=False),
        "type": Field("type", update=False),
    }

    @override
    def unique(self, desired: Desired) -> frozenset[str]:
        """A pool has one."""
        return frozenset({"pool"})
